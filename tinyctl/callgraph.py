"""Who calls whom, and how deep the stack gets: read from the machine code of an image, function by function.

The control flow of each function is followed from its first instruction, with the distance of the stack pointer from
where it was then. So it holds for any compiler, for assembly and for files without debug information; for gcc it comes
to what `-fcallgraph-info=su` says (tests hold the two together).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import capstone

from tinyctl import callgraph_riscv
from tinyctl.callgraph_riscv import NO_CALL
from tinyctl.errors import TinyctlError
from tinyctl.image import Function, ImageFile

MAX_INSTRUCTIONS = 500_000  # of all functions together
MAX_DEPTH = 500  # calls, one inside the other
WIDE = 0b11101  # the top bits of the first halfword of a 32-bit instruction, and above (ARM DDI 0403, A5.1)
FRAME_POINTERS = ("r7", "fp", "r11")
DIVISIONS = ("udiv", "sdiv", "div", "divu", "rem", "remu")

CONDITION = r"(eq|ne|hs|lo|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
NAME = re.compile(
    r"(bl|blx|bx|b|cbn?z|tb[bh]|v?push|v?pop|subw?|addw?|mov|strd?|stmdb|ldrd?|ldm|udiv|sdiv)" + CONDITION
)
TARGET = re.compile(r"#(0x[0-9a-f]+|\d+)$")
SP_IMMEDIATE = re.compile(r"sp, (?:sp, )?#(0x[0-9a-f]+|\d+)$")
PRE_DECREMENT = re.compile(r"\[sp, #-(0x[0-9a-f]+|\d+)\]!$")
POST_INCREMENT = re.compile(r"\[sp\], #(0x[0-9a-f]+|\d+)$")

_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)


@dataclass(frozen=True)
class Call:
    """A call, or a jump out of the function that ends as one: the instruction's address, the target's address (None
    where it comes from a register), and the bytes of stack in use at that moment."""

    address: int
    target: int | None
    depth: int


@dataclass(frozen=True)
class Body:
    """What a function does as far as stack and calls go. `depth` is the most bytes it uses itself; `dynamic`: it also
    takes an amount that is known only when it runs. `divisions` and `doubles` are addresses of instructions."""

    function: Function
    depth: int
    dynamic: bool
    calls: tuple[Call, ...]
    divisions: tuple[int, ...]
    doubles: tuple[int, ...]


def reachable(image: ImageFile, root: Function) -> dict[int, Body]:
    """The bodies of `root` and of every function that it can reach by calls with a known target, by address."""
    bodies: dict[int, Body] = {}
    waiting, room = [root], MAX_INSTRUCTIONS
    while waiting:
        function = waiting.pop()
        if function.start in bodies:
            continue
        body, seen = _scan(image, function, room)
        room -= seen
        bodies[function.start] = body
        waiting += [called_function(image, call.target) for call in body.calls if call.target is not None]
    return bodies


def called_function(image: ImageFile, address: int) -> Function:
    """The function at a call's target: entered at its beginning or, as hand-written assembly does, inside."""
    found = image.function_at(address)
    if found is not None:
        return Function(found.name, address, found.end)
    following = next((f.start for f in image.functions if f.start > address), address + (1 << 16))
    named = next((f for f in image.functions if f.start == address), None)  # a symbol without a size
    return Function(f"{address:#010x}" if named is None else named.name, address, following)


# --- one function ----------------------------------------------------------------------------------------------------


def _scan(image: ImageFile, function: Function, room: int) -> tuple[Body, int]:
    """The body, and how many instructions were read."""
    words = (callgraph_riscv.decode, callgraph_riscv.flow, callgraph_riscv.stack_taken)
    decode, flow, stack_taken = words if image.riscv else (_decode, _flow, _stack_taken)
    deepest: dict[int, int] = {}  # the most stack in use before the instruction at an address
    calls: dict[int, Call] = {}
    divisions, doubles = set(), set()
    most, dynamic = 0, False
    waiting = [(function.start, 0)]
    seen = 0
    while waiting:
        address, depth = waiting.pop()
        while function.start <= address < function.end and depth > deepest.get(address, -1):
            seen += 1
            if seen > room:
                raise TinyctlError(f"more than {MAX_INSTRUCTIONS} instructions in reach", where=image.path)
            deepest[address] = depth
            size, name, operands, conditional = decode(image, address)
            moved = stack_taken(name, operands)
            dynamic |= moved is None
            depth = max(depth + (moved or 0), 0)
            most = max(most, depth)
            if name in DIVISIONS:
                divisions.add(address)
            if ".f64" in name and not name.startswith(("vldr", "vstr", "vmov")):
                doubles.add(address)
            following, jumps, called = flow(image, function, address, size, name, operands)
            if called is not NO_CALL and depth >= calls.get(address, _SHALLOW).depth:
                calls[address] = Call(address, called, depth)
            waiting += [(target, depth) for target in jumps]
            if following is None and not conditional:
                break
            address += size
    return Body(
        function,
        most,
        dynamic,
        tuple(calls[at] for at in sorted(calls)),
        tuple(sorted(divisions)),
        tuple(sorted(doubles)),
    ), seen


_SHALLOW = Call(0, None, 0)


def _decode(image: ImageFile, address: int) -> tuple[int, str, str, bool]:
    """Size, name without condition and width, operands, and whether it is conditional in an IT block."""
    first = int.from_bytes(image.read(address, 2), "little")
    size = 4 if first >> 11 >= WIDE else 2
    found = next(iter(_DISASSEMBLER.disasm_lite(image.read(address, size), address, 1)), None)
    if found is None:
        return size, "", "", False
    mnemonic, operands = found[2], found[3]
    known = NAME.fullmatch(mnemonic.removesuffix(".w"))
    return (size, known[1], operands, known[2] is not None) if known else (size, mnemonic, operands, False)


def _flow(
    image: ImageFile, function: Function, address: int, size: int, name: str, operands: str
) -> tuple[int | None, list[int], int | None]:
    """Where it goes on (None: nowhere), what it jumps to inside the function, and what it calls (`NO_CALL`: nothing).

    A jump out of the function is a call that does not come back.
    """
    target = TARGET.search(operands)
    to = int(target[1], 0) if target else None
    if name in ("bl", "blx"):
        return address + size, [], to
    if name in ("b", "cbz", "cbnz"):
        assert to is not None
        inside = function.start <= to < function.end
        following = None if name == "b" else address + size
        return following, [to] if inside else [], NO_CALL if inside else to
    if name in ("tbb", "tbh"):
        return None, _table_targets(image, function, address + size, 1 if name == "tbb" else 2), NO_CALL
    if name == "bx" and operands != "lr":
        return None, [], None
    if name == "bx" or (name in ("pop", "ldm") and "pc" in operands):
        return None, [], NO_CALL
    if name == "ldr" and operands.startswith("pc, "):
        return None, [], NO_CALL if "sp" in operands else _literal(image, address, operands)
    if name == "mov" and operands.startswith("pc, "):
        return None, [], NO_CALL if operands == "pc, lr" else None
    return address + size, [], NO_CALL


def _literal(image: ImageFile, address: int, operands: str) -> int | None:
    """The target of `ldr pc, [pc, #n]`, which linkers put in for a far call; None where a register takes part."""
    match = re.fullmatch(r"pc, \[pc(?:, #(-?0x[0-9a-f]+|-?\d+))?\]", operands)
    if not match:
        return None
    place = (address & ~3) + 4 + int(match[1] or "0", 0)
    return int.from_bytes(image.read(place, 4), "little") & ~1


def _table_targets(image: ImageFile, function: Function, table: int, width: int) -> list[int]:
    """Where a table branch can go: entries lie between it and the first of their targets."""
    targets: list[int] = []
    at, end = table, function.end
    while at < end:
        targets.append(table + 2 * int.from_bytes(image.read(at, width), "little"))
        end = min(end, targets[-1])
        at += width
    return [to for to in targets if function.start <= to < function.end]


def _stack_taken(name: str, operands: str) -> int | None:
    """Bytes by which the stack grows; None where a register says how much.

    Taking the stack pointer back from a frame pointer counts as nothing: the depth stays what it was, which is more.
    """
    words = operands.count(",") + 1
    if name in ("push", "pop"):
        return 4 * words * (1 if name == "push" else -1)
    if name in ("vpush", "vpop"):
        return (8 if "d" in operands else 4) * words * (1 if name == "vpush" else -1)
    if name in ("stmdb", "ldm") and operands.startswith("sp!"):
        return 4 * (words - 1) * (1 if name == "stmdb" else -1)
    for pattern, sign in ((PRE_DECREMENT, 1), (POST_INCREMENT, -1)):
        match = pattern.search(operands) if name in ("str", "strd", "ldr", "ldrd") else None
        if match:
            return sign * int(match[1], 0)
    if name in ("sub", "subw", "add", "addw", "mov") and operands.startswith("sp, "):
        match = SP_IMMEDIATE.match(operands)
        if match:
            return int(match[1], 0) * (1 if name.startswith("sub") else -1)
        source = operands.split(", ")[1]
        return 0 if source in FRAME_POINTERS else None
    return 0


# --- the stack -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StaticStack:
    """The deepest chain of calls from a function: its bytes, the functions along it, and what the figure leaves out
    (recursion, calls through a register, amounts known only at run time), one line each."""

    bytes: int
    chain: tuple[str, ...]
    left_out: tuple[str, ...]


def static_stack(image: ImageFile, bodies: dict[int, Body], root: Function) -> StaticStack:
    """The worst stack of `root` with everything that it calls."""
    known: dict[int, tuple[int, tuple[str, ...]]] = {}
    left_out: list[str] = []

    def deepest(address: int, open_calls: tuple[int, ...]) -> tuple[int, tuple[str, ...]]:
        if len(open_calls) > MAX_DEPTH:
            raise TinyctlError(f"calls nest deeper than {MAX_DEPTH}", where=image.path)
        if address in known:
            return known[address]
        body = bodies[address]
        name = body.function.name
        best: tuple[int, tuple[str, ...]] = (body.depth, (name,))
        if body.dynamic:
            left_out.append(f"{name} takes stack by an amount known only when it runs")
        for call in body.calls:
            if call.target is None:
                left_out.append(f"{image.place(call.address)} goes to an address from a register or a table")
            elif call.target in (*open_calls, address):
                left_out.append(f"{name} calls {bodies[call.target].function.name} again: recursion")
            else:
                below, chain = deepest(call.target, (*open_calls, address))
                best = max(best, (call.depth + below, (name, *chain)), key=lambda found: found[0])
        known[address] = best
        return best

    total, chain = deepest(root.start, ())
    return StaticStack(total, chain, tuple(_unique(left_out)))


def _unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
