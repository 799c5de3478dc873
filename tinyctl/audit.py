"""The symbol audit: nothing may hide behind an emitted controller."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tinyctl.boards import Board
from tinyctl.callgraph import Body, called_function
from tinyctl.debug import Lines
from tinyctl.errors import TinyctlError
from tinyctl.image import Function, ImageFile

# What an object for a core without FPU may leave to the compiler's own library.
ARITHMETIC_HELPER = re.compile(
    r"__aeabi_(f|i2f|ui2f|l2f|ul2f|cf|lmul|idiv|uidiv|llsl|llsr|lasr|mem)\w*|__\w*sf\w*|mem(cpy|set|move)"
)
DIVISION = "division by data, which takes a time that depends on it"
DIVISION_HELPER = re.compile(r"__aeabi_(u?idiv(mod)?|u?ldivmod)|__u?(div|mod|divmod)[sd]i[34]")
REASONS = (
    (re.compile(r"__aeabi_(d|\w*2d)\w*|__\w*df\w*"), "arithmetic in double"),
    (re.compile(r"__aeabi_(f|\w*2f|f2|cf)\w*|__\w*sf\w*"), "soft float on a core with an FPU"),
    (re.compile(r"_?(malloc|calloc|realloc|free|sbrk)(_r)?"), "the heap"),
    (re.compile(r"mem(cpy|set|move|cmp)|__aeabi_mem\w*"), "a memory routine the compiler put in for a loop or a copy"),
    (
        re.compile(
            r"(a?(sin|cos|tan)h?|atan2|exp[2m1]*|log(10|2|1p)?|pow|sqrt|fmin|fmax|fabs|floor|ceil|fmod|hypot)f?"
        ),
        "the mathematical library",
    ),
)


def foreign(symbols: Iterable[str], board: Board) -> list[tuple[str, str]]:
    """Of names that a unit needs or an image holds, those it should not, each with the reason.

    Without an FPU the compiler's float and integer helpers are allowed; with one nothing is.
    """
    found = []
    for symbol in sorted(set(symbols)):
        reason = next((text for pattern, text in REASONS if pattern.fullmatch(symbol)), None)
        if reason and not (board.fpu == "none" and ARITHMETIC_HELPER.fullmatch(symbol)):
            found.append((symbol, reason))
    return found


@dataclass(frozen=True)
class Finding:
    """A place in the machine code that makes time or memory hard to foresee: `what` it is, the `symbol` called (or the
    instruction), the function `caller` with the call's `address`, and its source line, empty where not known."""

    what: str
    symbol: str
    caller: str
    address: int
    source: str

    def __str__(self) -> str:
        place = f" ({self.source})" if self.source else ""
        return f"{self.caller} at {self.address:#010x}{place}: {self.symbol}, {self.what}"


def call_sites(
    image: ImageFile, bodies: dict[int, Body], root: Function, lines: Lines, board: Board
) -> tuple[Finding, ...]:
    """Where `root`, and what it reaches, calls the libraries of mathematics or double arithmetic, divides by data, uses
    the heap or, on a core with FPU, soft float. What such a library function does inside is not listed again."""
    found, waiting, seen = [], [root.start], set()
    while waiting:
        body = bodies[waiting.pop()]
        if body.function.start in seen:
            continue
        seen.add(body.function.start)
        sites = [(address, "a division instruction", DIVISION) for address in body.divisions]
        sites += [(address, "an instruction", "arithmetic in double") for address in body.doubles]
        for call in body.calls:
            if call.target is None:
                continue
            name = called_function(image, call.target).name
            costs = _costly(name, board)
            sites += [(call.address, name, what) for what in costs]
            if not costs and not ARITHMETIC_HELPER.fullmatch(name):
                waiting.append(call.target)
        found += [
            Finding(what, symbol, body.function.name, address, str(lines.at(address) or ""))
            for address, symbol, what in sites
        ]
    return tuple(sorted(found, key=lambda finding: finding.address))


def _costly(name: str, board: Board) -> list[str]:
    if DIVISION_HELPER.fullmatch(name):
        return [DIVISION]
    return [reason for _, reason in foreign([name], board)]


def audit_object(path: Path, board: Board, unit: str, known: Collection[str] = ()) -> None:
    """Refuse an object of a unit that needs a symbol from outside, other than those `known` of the unit, or keeps data
    of its own in RAM."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = [s for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name]
        undefined = sorted(str(s.name) for s in symbols if s["st_shndx"] == "SHN_UNDEF")
        writable = sum(int(s["sh_size"]) for s in elf.iter_sections() if s["sh_flags"] & 0x3 == 0x3)  # WRITE | ALLOC
    where = f"unit {unit} on {board.name}"
    for symbol, reason in foreign(undefined, board):
        raise TinyctlError(f"the object needs {symbol}: {reason}", where=where)
    for symbol in undefined:
        if symbol not in known and not (board.fpu == "none" and ARITHMETIC_HELPER.fullmatch(symbol)):
            raise TinyctlError(f"the object needs {symbol}: a symbol from outside", where=where)
    if writable:
        raise TinyctlError(f"the object has {writable} bytes of writable data outside the caller's struct", where=where)
