"""Who calls whom, and how deep the stack gets: read from the machine code of an image, function by function.

The control flow of each function is followed from its first instruction, with the distance of the stack pointer from
where it was then (`flow.py` reads the instructions). So it holds for any compiler, for assembly and for files without
debug information; for gcc it comes to what `-fcallgraph-info=su` says (tests hold the two together).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tinyctl.errors import FileError
from tinyctl.flow import read_flow
from tinyctl.image import Function, ImageFile

MAX_INSTRUCTIONS = 500_000  # of all functions together
MAX_DEPTH = 500  # calls, one inside the other


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
    takes an amount that is known only when it runs; `unread`: not all of its code lies in the image, or there is too
    much of it. `divisions` and `doubles` are addresses of instructions."""

    function: Function
    depth: int
    dynamic: bool
    unread: bool
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
    deepest: dict[int, int] = {}  # the most stack in use before the instruction at an address
    calls: dict[int, Call] = {}
    divisions, doubles = set(), set()
    taken: set[int] = set()  # addresses of its own code that it puts into registers
    most, dynamic, unread = 0, False, False
    waiting = [(function.start, 0)]
    seen = 0
    while waiting:
        address, depth = waiting.pop()
        while function.start <= address < function.end and depth > deepest.get(address, -1):
            seen += 1
            deepest[address] = depth
            try:
                flow = read_flow(image, address, function.end)
            except FileError:  # outside of the image
                flow = None
            if flow is None or seen > room:
                unread = True
                break
            dynamic |= flow.taken is None
            depth = max(depth + (flow.taken or 0), 0)
            most = max(most, depth)
            if flow.divides:
                divisions.add(address)
            if flow.double:
                doubles.add(address)
            if flow.takes is not None and function.start <= flow.takes < function.end:
                taken.add(flow.takes)
            jumps: set[int | None] = set(flow.jumps)
            if None in jumps and taken:  # code that is entered late: at an address taken here, or further on
                jumps = jumps - {None} | taken
            inside = [to for to in jumps if to is not None and function.start <= to < function.end]
            for target in (*flow.calls, *(to for to in jumps if to not in inside)):
                if address not in calls or depth > calls[address].depth:
                    calls[address] = Call(address, target, depth)
            waiting += [(to, depth) for to in inside]
            if not flow.goes_on:
                break
            address += flow.size
    body = Body(
        function,
        most,
        dynamic,
        unread,
        tuple(calls[at] for at in sorted(calls)),
        tuple(sorted(divisions)),
        tuple(sorted(doubles)),
    )
    return body, seen


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
        if address in known:
            return known[address]
        body = bodies[address]
        name = body.function.name
        best: tuple[int, tuple[str, ...]] = (body.depth, (name,))
        if len(open_calls) > MAX_DEPTH:
            left_out.append(f"what {name} calls, {MAX_DEPTH} calls deep")
            return best
        if body.unread:
            left_out.append(f"not all of {name} could be read")
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
