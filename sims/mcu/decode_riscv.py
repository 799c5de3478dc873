"""What the cycle model must know of an RV32IMC instruction, found once per instruction by the Capstone disassembler."""

from __future__ import annotations

from typing import Any

import capstone
from capstone import riscv
from unicorn import riscv_const

from tinyctl.errors import TinyctlError
from tinyctl.sims.mcu.decode import NONE, Decoder, Instruction, Kind, Operand

LOADS = {"lb": 1, "lbu": 1, "lh": 2, "lhu": 2, "lw": 4, "lwsp": 4, "lr": 4}
STORES = {"sb": 1, "sh": 2, "sw": 4, "swsp": 4, "sc": 4}
CONDITIONAL = ("beq", "bne", "blt", "bge", "bltu", "bgeu", "beqz", "bnez", "blez", "bgez", "bltz", "bgtz")
JUMPS = ("j", "jal")
INDIRECT = ("jr", "jalr", "ret")
SYSTEM = ("fence", "ecall", "ebreak", "wfi", "mret", "csr", "nop", "unimp")
WIDE = 0b11  # the low bits of the first halfword of a 32-bit instruction (RISC-V Unprivileged ISA, 1.5)
NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{i}" for i in range(8)),
    *(f"s{i}" for i in range(2, 12)),
    *(f"t{i}" for i in range(3, 7)),
)


def decode_block(code: bytes, address: int) -> tuple[Instruction, ...]:
    """The instructions in `code` at `address`; raises `TinyctlError` where there is none."""
    decoded = tuple(_instruction(item) for item in _DISASSEMBLER.disasm(code, address))
    end = decoded[-1].end if decoded else address
    if end != address + len(code):
        raise TinyctlError(f"no instruction known to the disassembler at {end:#010x}", where="cycle model")
    return decoded


_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
_DISASSEMBLER.detail = True

RISCV = Decoder(
    decode_block,
    lambda halfword: 4 if halfword & WIDE == WIDE else 2,
    {name: riscv_const.UC_RISCV_REG_X0 + number for number, name in enumerate(NAMES)},
)


def _instruction(item: Any) -> Instruction:
    name = str(item.mnemonic).removeprefix("c.").split(".")[0]
    registers = [item.reg_name(o.reg) for o in item.operands if o.type == riscv.RISCV_OP_REG]
    numbers = [o.imm for o in item.operands if o.type == riscv.RISCV_OP_IMM]
    memory = next((o.mem for o in item.operands if o.type == riscv.RISCV_OP_MEM), None)
    fields: dict[str, Any] = {"name": name}
    kind = _kind(name)
    reads, writes = set(registers[1:]), set(registers[:1])
    if kind in (Kind.LOAD, Kind.STORE):
        # Compressed forms list register, offset and base, the others register and memory.
        base = registers[-1] if memory is None else item.reg_name(memory.base)
        offset = (numbers or [0])[0] if memory is None else memory.disp
        size = {**LOADS, **STORES}[name]
        reads, writes = {base}, set(registers[:1])
        if kind is Kind.STORE:
            reads, writes = {base, *registers[:1]}, set(registers[:1]) if name == "sc" else set()
        fields |= {"words": 1, "address_registers": frozenset({base}), "loaded": frozenset(writes - {"zero"})}
        fields["operand"] = Operand(base, None, 0, offset, 1, size, kind is Kind.STORE)
    elif kind is Kind.BRANCH:
        conditional = name in CONDITIONAL
        reads = set(registers) if conditional else set()
        writes = {"ra"} if name == "jal" and not registers else set() if conditional else set(registers)
        fields |= {"conditional": conditional, "target": item.address + numbers[-1], "writes_pc": True}
    elif kind is Kind.BRANCH_REGISTER:
        reads = set(registers[-1:]) or {"ra"}
        writes = {"ra"} if name == "jalr" and len(registers) == 1 else set(registers[:-1])
        fields["writes_pc"] = True
    elif len(registers) == 2 and item.mnemonic.startswith("c.") and name != "mv":
        reads = set(registers)  # the first is an operand, too
    elif len(registers) == 1 and item.mnemonic.startswith("c.") and name not in ("li", "lui"):
        reads = set(registers)
    fields["reads"], fields["writes"] = frozenset(reads - {"zero"}), frozenset(writes - {"zero"})
    fields["result"] = fields["writes"] if kind is Kind.ALU else NONE
    return Instruction(item.address, item.size, f"{item.mnemonic} {item.op_str}".strip(), kind, **fields)


def _kind(name: str) -> Kind:
    if name in LOADS:
        return Kind.LOAD
    if name in STORES:
        return Kind.STORE
    if name in CONDITIONAL or name in JUMPS:
        return Kind.BRANCH
    if name in INDIRECT:
        return Kind.BRANCH_REGISTER
    if name.startswith(("div", "rem")):
        return Kind.DIVIDE
    return Kind.OTHER if name.startswith((*SYSTEM, "amo")) else Kind.ALU
