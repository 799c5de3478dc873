"""What RV32IMC instructions do to the flow of control and to the stack pointer; `tinyctl.callgraph` follows them."""

from __future__ import annotations

import capstone

from tinyctl.image import Function, ImageFile

NO_CALL = -1
BRANCHES = ("beq", "bne", "blt", "bge", "bltu", "bgeu", "beqz", "bnez", "blez", "bgez", "bltz", "bgtz")
FRAME_POINTERS = ("s0", "fp")

_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)


def decode(image: ImageFile, address: int) -> tuple[int, str, str, bool]:
    """Size, name without the mark of compressed ones, operands; nothing is conditional beside branches."""
    size = 4 if image.read(address, 1)[0] & 3 == 3 else 2
    found = next(iter(_DISASSEMBLER.disasm_lite(image.read(address, size), address, 1)), None)
    return (size, "", "", False) if found is None else (size, found[2].removeprefix("c."), found[3], False)


def flow(
    image: ImageFile, function: Function, address: int, size: int, name: str, operands: str
) -> tuple[int | None, list[int], int | None]:
    """Where it goes on (None: nowhere), its jumps inside the function, and what it calls (`NO_CALL`: nothing)."""
    words = operands.split(", ")
    if name in BRANCHES or name in ("j", "jal"):
        to = (address + int(words[-1], 0)) & 0xFFFFFFFF  # the disassembler tells the distance
        if name == "jal" and words[0] != "zero":
            return address + size, [], to
        inside = function.start <= to < function.end
        following = address + size if name in BRANCHES else None
        return following, [to] if inside else [], NO_CALL if inside else to
    if name == "ret" or (name == "jr" and operands == "ra"):
        return None, [], NO_CALL
    if name == "jr":
        return None, [], None
    if name == "jalr":
        far = _far_target(image, address, words) if len(words) == 3 else None
        if words[0] == "zero":
            return None, [], NO_CALL if words[1] == "ra" else far
        return address + size, [], far
    return address + size, [], NO_CALL


def _far_target(image: ImageFile, address: int, words: list[str]) -> int | None:
    """Of `jalr` behind the `auipc` that made its register; None where another instruction did."""
    _, name, operands, _ = decode(image, address - 4)
    if name != "auipc" or operands.split(", ")[0] != words[1]:
        return None
    return (address - 4 + (int(operands.split(", ")[1], 0) << 12) + int(words[2], 0)) & 0xFFFFFFFF


def stack_taken(name: str, operands: str) -> int | None:
    """Bytes by which the stack grows; None where a register says how much, 0 where a frame pointer brings it back."""
    words = operands.split(", ")
    if words[0] != "sp" or (name.startswith(("s", "lw", "lb", "lh")) and name != "sub"):
        return 0
    if name in ("addi", "addi16sp") and (len(words) == 2 or words[1] == "sp"):
        return -int(words[-1], 0)
    return 0 if words[1:2] and words[1] in FRAME_POINTERS else None
