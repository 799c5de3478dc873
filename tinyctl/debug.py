"""Where machine code comes from: the line table of an ELF file (DWARF), read as far as it is asked.

The tables come with a file from anyone. What cannot be read is taken as absent, never as an error.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.dwarf.ranges import BaseAddressEntry, RangeEntry
from elftools.elf.elffile import ELFFile

from tinyctl.image import printable

MAX_UNITS = 20_000
MAX_NAME = 200
MAX_LINE_BYTES = 8 << 20  # of one compilation unit's table


@dataclass(frozen=True)
class Source:
    """A line of a source file; the file's name as the compiler was given it, folders left out."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Lines:
    """The source line of an address. A compilation unit's table is decoded when an address of it is first asked for."""

    def __init__(self, path: Path) -> None:
        self._units: list[tuple[int, int, Any]] = []  # begin, end and compilation unit, sorted
        self._tables: dict[int, list[tuple[int, Source | None]]] = {}
        self._dwarf: Any = None
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                if elf.has_dwarf_info() and not any(_packed(section) for section in elf.iter_sections()):
                    self._dwarf = elf.get_dwarf_info()
                    self._units = sorted(self._ranges(), key=lambda unit: unit[:2])
        except Exception:  # pyelftools and its parts raise whatever a damaged file leads them to
            self._units = []

    def at(self, address: int) -> Source | None:
        """The line whose code holds `address`; None where nothing is known."""
        index = bisect_right(self._units, address, key=lambda unit: unit[0]) - 1
        if index < 0 or address >= self._units[index][1]:
            return None
        unit = self._units[index][2]
        table = self._tables.get(unit.cu_offset)
        if table is None:
            try:
                table = self._decode(unit)
            except Exception:  # as above
                table = []
            self._tables[unit.cu_offset] = table
        row = bisect_right(table, address, key=lambda item: item[0]) - 1
        return table[row][1] if row >= 0 else None

    def _ranges(self) -> Iterator[tuple[int, int, Any]]:
        """The addresses of every compilation unit: as its topmost entry says."""
        lists = self._dwarf.range_lists()
        for count, unit in enumerate(self._dwarf.iter_CUs()):
            if count == MAX_UNITS:
                return
            attributes = unit.get_top_DIE().attributes
            low, high = attributes.get("DW_AT_low_pc"), attributes.get("DW_AT_high_pc")
            base = int(low.value) if low else 0
            if low and high:
                size = 0 if high.form == "DW_FORM_addr" else base  # else a length
                yield base, size + int(high.value), unit
            elif "DW_AT_ranges" in attributes and lists is not None:
                for entry in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, cu=unit):
                    if isinstance(entry, BaseAddressEntry):
                        base = entry.base_address
                    elif isinstance(entry, RangeEntry):
                        offset = 0 if entry.is_absolute else base
                        yield offset + entry.begin_offset, offset + entry.end_offset, unit

    def _decode(self, unit: Any) -> list[tuple[int, Source | None]]:
        """Addresses where a line begins, sorted, each with its line; None where a sequence ends."""
        program = self._dwarf.line_program_for_CU(unit)
        if program is None or program.header["unit_length"] > MAX_LINE_BYTES:
            return []
        version = program.header["version"]
        names = [_text(entry.name) for entry in program.header["file_entry"]]
        table: list[tuple[int, Source | None]] = []
        line: Source | None = None
        for state in (entry.state for entry in program.get_entries() if entry.state is not None):
            index = state.file if version >= 5 else state.file - 1
            if state.end_sequence:
                line = None
            elif state.line and 0 <= index < len(names):  # line 0 is code of no line: it stays with the one before
                line = Source(names[index], state.line)
            table.append((state.address, line))
        return sorted(table, key=lambda row: row[0])  # stable: of several at one address the last counts


def _packed(section: Any) -> bool:
    """Compressed, so that a small file may hold more than memory does."""
    return bool(section.compressed) or section.name.startswith(".zdebug")


def _text(name: Any) -> str:
    """A file's name without folders."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    return printable(text.replace("\\", "/").split("/")[-1][:MAX_NAME])
