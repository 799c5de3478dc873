"""What memories add to the core's cycles, by the board's regions. `fast.c` does the same in C."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from tinyctl.boards import Board, Region
from tinyctl.sims.mcu.pipeline import Access

LINE_BYTES = 16  # the grain in which data reads are told apart; no cached flash has shorter lines
INSTRUCTION_LINES = 64
DATA_LINES = 8
FIRST_LOAD = "first_load"
EVERY_ACCESS = "every_access"


@dataclass(frozen=True)
class Cache:
    """The sizes of a flash accelerator."""

    instruction_lines: int
    data_lines: int
    line_bytes: int


# STM32F4: RM0090 section 3.5.2. STM32L4+: 32 instruction lines and 8 data lines of 32 bytes (RM0432, from memory, to be
# looked up); here a line is filled by one read, as on the STM32F4, which no measurement known to us confirms.
CACHES = {
    "stm32f4_art": Cache(INSTRUCTION_LINES, DATA_LINES, LINE_BYTES),
    "stm32l4_art": Cache(32, 8, 32),
}


class Art:
    """An accelerator in front of the flash, as the STM32F4's (RM0090 section 3.5.2): instruction lines and data lines,
    both least-recently-used, and a prefetch of the instruction line after the one in use.

    A read takes the flash for `wait_states` + 1 cycles, one at a time. Evidence: the sizes are the manuals'; that lines
    once prefetched stay in the cache, and that a sequential miss costs about 2 of the 5 cycles, fits other people's
    counts on F407 and F405 boards. Whether a hit starts a prefetch too is not documented; here it does.
    """

    def __init__(self, region: Region) -> None:
        self.wait_states = region.wait_states
        self._sizes = CACHES[region.model]
        self._instructions: OrderedDict[int, None] = OrderedDict()
        self._data: OrderedDict[int, None] = OrderedDict()
        self._current = -1
        self._prefetched = (-1, 0)  # line, and when it is there
        self._free = 0  # when the flash can begin the next read
        self._invented = 0

    def fetch(self, address: int, time: int) -> int:
        line = address // self._sizes.line_bytes
        if line == self._current:
            return 0
        self._current = line
        wait = 0
        if line == self._prefetched[0]:
            wait = max(0, self._prefetched[1] - time)
        elif line not in self._instructions:
            wait = self._read(time)
        self._use_instructions(line)
        if line + 1 not in self._instructions and line + 1 != self._prefetched[0]:
            begin = max(time + wait, self._free)
            self._prefetched = (line + 1, begin + self._read(begin))
        return wait

    def data(self, address: int, time: int) -> int:
        line = address // self._sizes.line_bytes
        wait = 0 if line in self._data else self._read(time)
        _use(self._data, line, self._sizes.data_lines)
        return wait

    def data_unknown(self, time: int) -> int:
        """A read of a line that depends on data: the worst is a miss that drives out another line."""
        self._invented -= 1
        _use(self._data, self._invented, self._sizes.data_lines)
        return self._read(time)

    def restart(self) -> None:
        """Time begins at 0 again, with nothing under way."""
        if self._prefetched[0] >= 0:
            self._use_instructions(self._prefetched[0])
        self._current, self._prefetched, self._free = -1, (-1, 0), 0

    def _use_instructions(self, line: int) -> None:
        _use(self._instructions, line, self._sizes.instruction_lines)

    def _read(self, time: int) -> int:
        begin = max(time, self._free)
        self._free = begin + self.wait_states + 1
        return begin - time + self.wait_states


def _use(lines: OrderedDict[int, None], line: int, capacity: int) -> None:
    lines[line] = None
    lines.move_to_end(line)
    if len(lines) > capacity:
        lines.popitem(last=False)


class Memories:
    """All regions of a board, with cold caches. Accesses outside of the regions add nothing.

    A region of model `every_access` is memory without any cache: each fetch of a word and each read waits.
    A region of model `first_load` (SRAM2 and SRAM3 of the STM32L4+) costs its wait states for the first load of each
    group of pipelined loads and for each LDM or POP: fitted to the counts of pqm4 on an STM32L4R5.

    `unknown_reads` are positions in the sequence of data reads from cached flash whose address depends on data: each
    is charged a full miss.
    """

    def __init__(self, board: Board, unknown_reads: frozenset[int] = frozenset()) -> None:
        self._caches = {name: Art(region) for name, region in board.regions if region.model in CACHES}
        self._regions = [(region, self._caches.get(name)) for name, region in board.regions]
        self._unknown = unknown_reads
        self._position = 0

    def restart(self) -> None:
        """The next call begins: time and positions count from 0 again, the caches stay as they are."""
        self._position = 0
        for cache in self._caches.values():
            cache.restart()

    def fetch(self, address: int, time: int) -> int:
        region, cache = self._at(address)
        if cache is not None:
            return cache.fetch(address, time)
        return region.wait_states if region is not None and region.model == EVERY_ACCESS else 0

    def data(self, access: Access, time: int, first: bool) -> int:
        region, cache = self._at(access.address)
        if region is None or access.write:
            return 0
        if cache is None:
            waits = region.model == EVERY_ACCESS or (first and region.model == FIRST_LOAD)
            return region.wait_states if waits else 0
        position, self._position = self._position, self._position + 1
        if position in self._unknown:
            return cache.data_unknown(time)
        return cache.data(access.address, time)

    def _at(self, address: int) -> tuple[Region | None, Art | None]:
        for region, cache in self._regions:
            if region.origin <= address < region.end:
                return region, cache
        return None, None
