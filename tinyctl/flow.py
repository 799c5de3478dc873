"""One instruction as the call graph sees it: what it does to the stack, and where it goes. Thumb and RV32IMC."""

from __future__ import annotations

import re
from dataclasses import dataclass

import capstone

from tinyctl.errors import FileError
from tinyctl.image import ImageFile

THUMB_WIDE = 0b11101  # the top bits of the first halfword of a 32-bit instruction, and above (ARM DDI 0403, A5.1)
RISCV_WIDE = 0b11  # its low bits (RISC-V Unprivileged ISA, section 1.5)
FRAME_POINTERS = ("r7", "fp", "r11", "s0")
NUMBER = r"(-?0x[0-9a-f]+|-?\d+)"


@dataclass(frozen=True)
class Flow:
    """`taken`: bytes by which the stack grows, None where a register says how much. `goes_on`: the next instruction can
    follow. `jumps` are targets without return, `calls` those with one; None among them comes from a register. `takes`:
    an address beside the code that it puts into a register."""

    size: int
    taken: int | None = 0
    goes_on: bool = True
    jumps: tuple[int | None, ...] = ()
    calls: tuple[int | None, ...] = ()
    divides: bool = False
    double: bool = False
    takes: int | None = None


def read_flow(image: ImageFile, address: int, end: int) -> Flow:
    """The instruction at `address`, of a function that ends at `end`."""
    return (_riscv if image.riscv else _thumb)(image, address, end)


# --- Thumb -----------------------------------------------------------------------------------------------------------

_THUMB = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
CONDITION = r"(eq|ne|hs|lo|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
NAME = re.compile(
    r"(bl|blx|bx|b|cbn?z|tb[bh]|v?push|v?pop|subw?|addw?|mov|strd?|stmdb|ldrd?|ldm|udiv|sdiv)" + CONDITION
)
TARGET = re.compile(rf"#{NUMBER}$")
SP_IMMEDIATE = re.compile(rf"sp, (?:sp, )?#{NUMBER}$")
PRE_DECREMENT = re.compile(rf"\[sp, #{NUMBER}\]!$")
POST_INCREMENT = re.compile(rf"\[sp\], #{NUMBER}$")
ADR = re.compile(rf"(?:adr(?:\.w)? \w+, |addw? \w+, pc, )#{NUMBER}")
LITERAL = re.compile(rf"pc, \[pc(?:, #{NUMBER})?\]")


def _thumb(image: ImageFile, address: int, end: int) -> Flow:
    first = int.from_bytes(image.read(address, 2), "little")
    size = 4 if first >> 11 >= THUMB_WIDE else 2
    found = next(iter(_THUMB.disasm_lite(image.read(address, size), address, 1)), None)
    if found is None:
        return Flow(size)
    known = NAME.fullmatch(found[2].removesuffix(".w"))
    beside = ADR.fullmatch(f"{found[2]} {found[3]}")
    if beside is not None:
        return Flow(size, takes=(address & ~3) + 4 + int(beside[1], 0))
    if known is None:
        double = ".f64" in found[2] and not found[2].startswith(("vldr", "vstr", "vmov"))
        return Flow(size, double=double)
    name, operands, conditional = known[1], found[3], known[2] is not None
    target = TARGET.search(operands)
    to = int(target[1], 0) if target else None
    if name in ("bl", "blx"):
        return Flow(size, calls=(to,))
    if name in ("b", "cbz", "cbnz"):
        return Flow(size, goes_on=conditional or name != "b", jumps=(to,))
    if name in ("tbb", "tbh"):
        return Flow(size, goes_on=False, jumps=_table(image, address + size, end, 1 if name == "tbb" else 2))
    returns = operands in ("lr", "pc, lr") or "sp" in operands or name == "pop"
    if name == "bx" or (name in ("pop", "ldm", "ldr", "mov") and re.search(r"^pc, |pc\}", operands)):
        jumps: tuple[int | None, ...] = () if returns else (_literal(image, address, operands),)
        return Flow(size, goes_on=conditional, jumps=jumps)
    return Flow(size, _thumb_stack(name, operands), divides=name in ("udiv", "sdiv"))


def _literal(image: ImageFile, address: int, operands: str) -> int | None:
    """The target of `ldr pc, [pc, #n]`, which linkers put in for a far call; None where a register takes part."""
    match = LITERAL.fullmatch(operands)
    if not match:
        return None
    return int.from_bytes(image.read((address & ~3) + 4 + int(match[1] or "0", 0), 4), "little") & ~1


def _table(image: ImageFile, table: int, end: int, width: int) -> tuple[int, ...]:
    """Where a table branch can go: entries lie between it and the first of their targets."""
    targets: list[int] = []
    at = table
    while at < end:
        targets.append(table + 2 * int.from_bytes(image.read(at, width), "little"))
        end = min(end, targets[-1])
        at += width
    return tuple(targets)


def _thumb_stack(name: str, operands: str) -> int | None:
    """Taking the stack pointer back from a frame pointer counts as nothing: the depth stays what it was, which is
    more."""
    words = operands.count(",") + 1
    if name in ("push", "pop"):
        return 4 * words * (1 if name == "push" else -1)
    if name in ("vpush", "vpop"):
        return (8 if "d" in operands else 4) * words * (1 if name == "vpush" else -1)
    if name in ("stmdb", "ldm") and operands.startswith("sp!"):
        return 4 * (words - 1) * (1 if name == "stmdb" else -1)
    if name in ("str", "strd", "ldr", "ldrd"):
        moved = PRE_DECREMENT.search(operands) or POST_INCREMENT.search(operands)
        return -int(moved[1], 0) if moved else 0
    if name in ("sub", "subw", "add", "addw", "mov") and operands.startswith("sp, "):
        match = SP_IMMEDIATE.match(operands)
        if match:
            return int(match[1], 0) * (1 if name.startswith("sub") else -1)
        return 0 if operands.split(", ")[1] in FRAME_POINTERS else None
    return 0


# --- RISC-V ----------------------------------------------------------------------------------------------------------

_RISCV = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
BRANCH = re.compile(r"b(eq|ne|lt|ge|le|gt)u?z?")


def _riscv(image: ImageFile, address: int, end: int) -> Flow:
    size, name, operands = _riscv_text(image, address)
    numbers = re.findall(rf"(?:^|[ ,]){NUMBER}(?=$|\()", operands)
    to = address + int(numbers[-1], 0) if numbers else None
    registers = operands.split(", ")
    if BRANCH.fullmatch(name):
        return Flow(size, jumps=(to,))
    if name == "j" or (name == "jal" and registers[0] == "zero"):
        return Flow(size, goes_on=False, jumps=(to,))
    if name == "jal":
        return Flow(size, calls=(to,))
    if name in ("jr", "jalr", "ret"):
        back = name == "ret" or operands == "ra"
        target = _riscv_far(image, address, registers)
        if name == "jalr" and registers[0] != "zero":
            return Flow(size, calls=(target,))
        return Flow(size, goes_on=False, jumps=() if name != "jalr" and back else (target,))
    if operands.startswith("sp, ") and name in ("addi", "addi16sp", "add", "sub", "mv"):
        if numbers and name.startswith("addi"):
            return Flow(size, -int(numbers[-1], 0) if len(registers) < 3 or registers[1] == "sp" else 0)
        return Flow(size, 0 if registers[-1] in FRAME_POINTERS else None)
    return Flow(size, divides=name.startswith(("div", "rem")))


def _riscv_text(image: ImageFile, address: int) -> tuple[int, str, str]:
    first = int.from_bytes(image.read(address, 2), "little")
    size = 4 if first & RISCV_WIDE == RISCV_WIDE else 2
    found = next(iter(_RISCV.disasm_lite(image.read(address, size), address, 1)), None)
    return (size, "", "") if found is None else (size, found[2].removeprefix("c."), found[3])


def _riscv_far(image: ImageFile, address: int, registers: list[str]) -> int | None:
    """The target of `auipc r, n; jalr r, r, m`; None where it comes from elsewhere."""
    try:
        _, name, operands = _riscv_text(image, address - 4)
    except FileError:  # the beginning of the image
        return None
    upper = re.fullmatch(rf"(\w+), {NUMBER}", operands)
    if name != "auipc" or upper is None or upper[1] not in registers:
        return None
    offset = int(registers[-1], 0) if re.fullmatch(NUMBER, registers[-1]) else 0
    return (address - 4 + (int(upper[2], 0) << 12) + offset) & 0xFFFF_FFFE
