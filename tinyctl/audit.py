"""The symbol audit: nothing may hide behind an emitted controller."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tinyctl.boards import Board
from tinyctl.errors import TinyctlError

# What an object for a core without FPU may leave to the compiler's own library.
ARITHMETIC_HELPER = re.compile(
    r"__aeabi_(f|i2f|ui2f|l2f|ul2f|cf|lmul|idiv|uidiv|llsl|llsr|lasr|mem)\w*|__\w*sf\w*|mem(cpy|set|move)"
)
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


def audit_object(path: Path, board: Board, unit: str) -> None:
    """Refuse an object of a unit that needs a symbol from outside, or keeps data of its own in RAM."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = [s for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name]
        undefined = sorted(str(s.name) for s in symbols if s["st_shndx"] == "SHN_UNDEF")
        writable = sum(int(s["sh_size"]) for s in elf.iter_sections() if s["sh_flags"] & 0x3 == 0x3)  # WRITE | ALLOC
    where = f"unit {unit} on {board.name}"
    for symbol, reason in foreign(undefined, board):
        raise TinyctlError(f"the object needs {symbol}: {reason}", where=where)
    for symbol in undefined:
        if not (board.fpu == "none" and ARITHMETIC_HELPER.fullmatch(symbol)):
            raise TinyctlError(f"the object needs {symbol}: a symbol from outside", where=where)
    if writable:
        raise TinyctlError(f"the object has {writable} bytes of writable data outside the caller's struct", where=where)
