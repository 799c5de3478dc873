"""What the cycle model must know of an instruction, found once per instruction by the Capstone disassembler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import capstone
from capstone import arm
from unicorn import arm_const

from tinyctl.errors import TinyctlError

NONE: frozenset[str] = frozenset()
FP_MAC = ("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms")
BRANCHES = ("b", "bl", "cbz", "cbnz")
MULTIPLE_LOADS = ("ldm", "ldmdb", "pop", "ldrd", "ldmia", "ldmea", "ldmfd")
NO_RESULT = ("nop", "dsb", "dmb", "isb", "wfi", "wfe", "sev", "yield", "bkpt", "svc", "cpsid", "cpsie")
MULTIPLE_STORES = ("stm", "stmdb", "push", "strd", "stmia", "stmea", "stmfd")


class Kind(Enum):
    """Classes of instructions that are timed alike."""

    ALU = auto()
    DIVIDE = auto()
    LOAD = auto()
    STORE = auto()
    LOAD_MULTIPLE = auto()
    STORE_MULTIPLE = auto()
    BRANCH = auto()
    BRANCH_REGISTER = auto()
    TABLE_BRANCH = auto()
    FP = auto()
    FP_MAC = auto()
    FP_DIVIDE = auto()
    FP_MOVE_PAIR = auto()
    FP_LOAD = auto()
    FP_STORE = auto()
    FP_LOAD_MULTIPLE = auto()
    FP_STORE_MULTIPLE = auto()
    OTHER = auto()


@dataclass(frozen=True)
class Operand:
    """Memory that an instruction accesses: `count` times `size` bytes in a row, the first at
    base + (index << shift) + offset. A literal's base is "pc", which stands for the aligned address.

    With `size` 0 no memory but a division of `base` by `index`; `shift` is 1 where it is signed."""

    base: str
    index: str | None
    shift: int
    offset: int
    count: int
    size: int
    write: bool


@dataclass(frozen=True, eq=False)
class Instruction:
    """One instruction at `address`, `size` bytes long.

    `name` is the mnemonic without width, type and condition. `reads` and `writes` are all registers, "flags" and
    "fpscr" among them; FP registers are named singly ("s0".."s31"). `address_registers` form a memory address;
    `updated` is the one of them that the access changes; `shifted` goes through the shifter first; to `accumulated` a
    product or an extended register is added; `result` are core registers an ALU operation writes; `loaded` those a
    single load writes; `fp_addend` is the accumulator of a multiply-accumulate; `words` counts the words moved.
    `operand` is the memory it accesses. `conditional` branches go to `target` or on.
    """

    address: int
    size: int
    text: str
    kind: Kind
    name: str = ""
    reads: frozenset[str] = NONE
    writes: frozenset[str] = NONE
    updated: frozenset[str] = NONE
    shifted: frozenset[str] = NONE
    accumulated: frozenset[str] = NONE
    conditional: bool = False
    target: int | None = None
    words: int = 0
    literal: bool = False
    register_offset: bool = False
    writes_pc: bool = False
    address_registers: frozenset[str] = NONE
    result: frozenset[str] = NONE
    loaded: frozenset[str] = NONE
    fp_reads: frozenset[str] = NONE
    fp_writes: frozenset[str] = NONE
    fp_addend: frozenset[str] = NONE
    operand: Operand | None = None

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def sets_flags(self) -> bool:
        return "flags" in self.writes

    @property
    def backward(self) -> bool:
        """A direct branch to itself or what lies before."""
        return self.target is not None and self.target <= self.address

    @property
    def branches(self) -> bool:
        """It can go on elsewhere than at `end`."""
        return self.writes_pc or self.kind in (Kind.BRANCH, Kind.BRANCH_REGISTER, Kind.TABLE_BRANCH)


@dataclass(frozen=True)
class Decoder:
    """How an instruction set is read: the instructions of some bytes at an address, the bytes of an instruction from
    its first halfword, and the emulator's numbers of the registers that `Operand` names."""

    block: Callable[[bytes, int], tuple[Instruction, ...]]
    size: Callable[[int], int]
    registers: dict[str, int]


def decode_block(code: bytes, address: int) -> tuple[Instruction, ...]:
    """The Thumb instructions in `code` at `address`; raises `TinyctlError` where there is none."""
    decoded = tuple(_instruction(item) for item in _DISASSEMBLER.disasm(code, address))
    end = decoded[-1].end if decoded else address
    if end != address + len(code):
        raise TinyctlError(f"no instruction known to the disassembler at {end:#010x}", where="cycle model")
    return decoded


_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
_DISASSEMBLER.detail = True

WIDE = 0b11101  # the top bits of the first halfword of a 32-bit instruction, and above (ARM DDI 0403, A5.1)
THUMB = Decoder(
    decode_block,
    lambda halfword: 4 if halfword >> 11 >= WIDE else 2,
    {f"r{i}": arm_const.UC_ARM_REG_R0 + i for i in range(13)}
    | {
        "sb": arm_const.UC_ARM_REG_R9,
        "sl": arm_const.UC_ARM_REG_R10,
        "fp": arm_const.UC_ARM_REG_R11,
        "ip": arm_const.UC_ARM_REG_R12,
        "sp": arm_const.UC_ARM_REG_SP,
        "lr": arm_const.UC_ARM_REG_LR,
    },
)


def _instruction(item: Any) -> Instruction:
    name = _base_name(item)
    reads, writes = ({item.reg_name(r) for r in registers} for registers in item.regs_access())
    operands = [(o.type, item.reg_name(o.reg) if o.type == arm.ARM_OP_REG else None) for o in item.operands]
    registers = [register for _, register in operands if register]
    memory = next((o.mem for o in item.operands if o.type == arm.ARM_OP_MEM), None)
    fields: dict[str, Any] = {"name": name, "writes_pc": "pc" in writes}
    if memory is not None:
        base, index = (item.reg_name(r) if r else None for r in (memory.base, memory.index))
        fields["literal"] = base == "pc"
        fields["register_offset"] = bool(index)
        fields["address_registers"] = frozenset({base, index} - {None, "pc"})
    kind = _kind(name, registers, item)
    fields |= _registers(name, kind, item, registers, reads, writes)
    if kind in (Kind.LOAD, Kind.STORE):
        fields["words"] = 1
        fields["loaded"] = frozenset(registers[:1]) - {"pc"} if kind is Kind.LOAD else NONE
    elif kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
        if name in ("push", "pop"):
            fields["words"], fields["address_registers"] = len(registers), frozenset({"sp"})
        elif name in ("ldrd", "strd"):
            fields["words"] = 2
        else:
            fields["words"], fields["address_registers"] = len(registers) - 1, frozenset(registers[:1])
    elif kind in (Kind.FP_LOAD, Kind.FP_STORE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE):
        moved = _singles(registers)
        fields["words"] = len(moved)
        if memory is None:
            core = [r for r in registers if not _singles([r])]
            fields["address_registers"] = frozenset(core[:1] or ["sp"])  # VPUSH and VPOP name no base
        fields["fp_reads" if kind in (Kind.FP_STORE, Kind.FP_STORE_MULTIPLE) else "fp_writes"] = moved
    elif name.startswith("v"):
        fields["fp_writes"] = _singles(writes)
        fields["fp_reads"] = _singles(reads)
        if kind is Kind.FP_MAC:
            fields["fp_addend"] = _singles(registers[:1])
            fields["fp_reads"] = _singles(registers[1:])
    elif kind in (Kind.ALU, Kind.DIVIDE):
        fields["result"] = frozenset(writes - {"cpsr", "itstate", "pc"})
    if kind in MEMORY_KINDS:
        fields["operand"] = _operand(name, kind, item, memory, registers, fields.get("words", 0))
    elif kind is Kind.DIVIDE:
        dividend, divisor = registers[-2:]
        fields["operand"] = Operand(dividend, divisor, int(name == "sdiv"), 0, 1, 0, False)
    return Instruction(item.address, item.size, f"{item.mnemonic} {item.op_str}".strip(), kind, **fields)


LONG_ACCUMULATE = ("umlal", "smlal", "umaal", "smlsl")
ACCUMULATE = ("mla", "mls", "smla", "smls", "smml")
EXTEND_AND_ADD = ("sxta", "uxta")


def _registers(
    name: str, kind: Kind, item: Any, registers: list[str], reads: set[str], writes: set[str]
) -> dict[str, Any]:
    """All registers read and written, of which the disassembler forgets some: accumulators, shifted operands, bases."""
    conditional = item.cc not in (arm.ARM_CC_INVALID, arm.ARM_CC_AL)
    accumulated: list[str] = []
    if name.startswith(LONG_ACCUMULATE):
        accumulated = registers[:2]
    elif name.startswith((*ACCUMULATE, *EXTEND_AND_ADD)):
        accumulated = registers[1:2] if name.startswith(EXTEND_AND_ADD) else registers[3:4]
    if kind in (Kind.ALU, Kind.DIVIDE):
        reads = reads | set(registers[1:]) | set(accumulated)
    if kind in (Kind.FP_LOAD, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE, Kind.FP_STORE_MULTIPLE):
        moved = {r for r in registers if _singles([r])}
        stores = kind in (Kind.FP_STORE, Kind.FP_STORE_MULTIPLE)
        reads, writes = (reads | moved, writes - moved) if stores else (reads - moved, writes | moved)
    if item.update_flags:
        writes = writes | {"cpsr"}
    if conditional or name in ("adc", "sbc", "rrx"):
        reads = reads | {"cpsr"}
    updated = writes & _bases(name, item, registers) if kind in MEMORY_KINDS else set()
    if kind is Kind.LOAD and not item.writeback:
        updated = set()
    target = item.operands[-1].imm if kind is Kind.BRANCH else None
    return {
        "reads": _names(reads),
        "writes": _names(writes),
        "updated": frozenset(updated),
        "shifted": frozenset(item.reg_name(o.reg) for o in item.operands if o.type == arm.ARM_OP_REG and o.shift.type),
        "accumulated": frozenset(accumulated),
        "conditional": kind is Kind.BRANCH and (conditional or name in ("cbz", "cbnz")),
        "target": target,
    }


def _bases(name: str, item: Any, registers: list[str]) -> set[str]:
    if name in ("push", "pop", "vpush", "vpop"):
        return {"sp"}
    found = {item.reg_name(o.mem.base) for o in item.operands if o.type == arm.ARM_OP_MEM and o.mem.base}
    return found or set(registers[:1])


def _names(registers: set[str]) -> frozenset[str]:
    renamed = {"cpsr": "flags", "fpscr_nzcv": "fpscr"}
    plain = {renamed.get(r, r) for r in registers if r != "itstate" and not _singles([r])}
    return frozenset(plain) | _singles(registers)


MEMORY_KINDS = (
    *(Kind.LOAD, Kind.STORE, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.TABLE_BRANCH),
    *(Kind.FP_LOAD, Kind.FP_STORE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE),
)


def _operand(name: str, kind: Kind, item: Any, memory: Any, registers: list[str], words: int) -> Operand:
    """Doubles are moved by one access of 8 bytes each, as the emulator does it."""
    write = kind in (Kind.STORE, Kind.STORE_MULTIPLE, Kind.FP_STORE, Kind.FP_STORE_MULTIPLE)
    size = 4
    if kind is Kind.TABLE_BRANCH:
        size = 2 if name == "tbh" else 1
    elif kind in (Kind.LOAD, Kind.STORE) and name not in ("push", "pop"):
        size = 1 if "b" in name[3:] else 2 if "h" in name[3:] else 4
    elif name.startswith("v") and any(r[0] == "d" and r[1:].isdigit() for r in registers):
        size = 8
    count = max(1, 4 * words // size) if words > 1 else 1
    if memory is not None:
        base = str(item.reg_name(memory.base))
        index = str(item.reg_name(memory.index)) if memory.index else None
        shift = memory.lshift if memory.index else 0
        if index is not None and not shift and kind is not Kind.TABLE_BRANCH:
            shift = next((o.shift.value for o in item.operands if o.type == arm.ARM_OP_MEM), 0)
        offset = 0 if item.post_index else memory.disp
        return Operand(base, index, 1 if name == "tbh" else shift, offset, count, size, write)
    if name in ("push", "pop", "vpush", "vpop"):
        base, down = "sp", name.endswith("push")
    else:
        base, down = next(r for r in registers if not _singles([r])), "db" in name
    return Operand(base, None, 0, -4 * words if down else 0, count, size, write)


def _base_name(item: Any) -> str:
    """The mnemonic without width, type and condition."""
    name = str(item.mnemonic).split(".")[0]
    if item.cc not in (arm.ARM_CC_INVALID, arm.ARM_CC_AL) and len(name) > 2 and not name.startswith("it"):
        name = name[:-2]
    return name


def _kind(name: str, registers: list[str], item: Any) -> Kind:
    if name.startswith("v"):
        return _fp_kind(name, registers)
    if name in MULTIPLE_LOADS:
        single = name == "pop" and item.size == 4 and len(registers) == 1  # encoded as LDR with post-increment
        return Kind.LOAD if single else Kind.LOAD_MULTIPLE
    if name in MULTIPLE_STORES:
        single = name == "push" and item.size == 4 and len(registers) == 1
        return Kind.STORE if single else Kind.STORE_MULTIPLE
    if name.startswith("ldr"):
        return Kind.LOAD
    if name.startswith("str"):
        return Kind.STORE
    if name in BRANCHES:
        return Kind.BRANCH
    if name in ("tbb", "tbh"):
        return Kind.TABLE_BRANCH
    if name in ("bx", "blx"):
        return Kind.BRANCH_REGISTER
    if name in ("udiv", "sdiv"):
        return Kind.DIVIDE
    return Kind.OTHER if name.startswith("it") or name in NO_RESULT else Kind.ALU


def _fp_kind(name: str, registers: list[str]) -> Kind:
    if name == "vldr":
        return Kind.FP_LOAD
    if name == "vstr":
        return Kind.FP_STORE
    if name.startswith(("vldm", "vpop")):
        return Kind.FP_LOAD_MULTIPLE
    if name.startswith(("vstm", "vpush")):
        return Kind.FP_STORE_MULTIPLE
    if name in FP_MAC:
        return Kind.FP_MAC
    if name in ("vdiv", "vsqrt"):
        return Kind.FP_DIVIDE
    if name == "vmov" and sum(not _singles([r]) for r in registers) == 2:
        return Kind.FP_MOVE_PAIR
    return Kind.FP


def _singles(registers: Any) -> frozenset[str]:
    """FP registers as single-precision halves: d1 is s2 and s3."""
    found: set[str] = set()
    for register in registers:
        if register[0] == "s" and register[1:].isdigit():
            found.add(register)
        elif register[0] == "d" and register[1:].isdigit():
            number = 2 * int(register[1:])
            found |= {f"s{number}", f"s{number + 1}"}
    return frozenset(found)
