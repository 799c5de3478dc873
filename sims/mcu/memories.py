"""What memories add to the core's cycles, by the board's regions."""

from __future__ import annotations

from collections import OrderedDict

from tinyctl.boards import Board, Region
from tinyctl.sims.mcu.cortex_m4 import Access

LINE_BYTES = 16
INSTRUCTION_LINES = 64
DATA_LINES = 8


class Art:
    """The STM32F4 accelerator in front of the flash (RM0090 section 3.5.2): 64 instruction lines and 8 data lines of
    128 bits, both least-recently-used, and a prefetch of the instruction line after the one in use.

    A read takes the flash for `wait_states` + 1 cycles, one at a time. Evidence: the sizes are RM0090's; that lines
    once prefetched stay in the cache, and that a sequential miss costs about 2 of the 5 cycles, fits other people's
    counts on F407 and F405 boards. Whether a hit starts a prefetch too is not documented; here it does.
    """

    def __init__(self, region: Region) -> None:
        self.wait_states = region.wait_states
        self._instructions: OrderedDict[int, None] = OrderedDict()
        self._data: OrderedDict[int, None] = OrderedDict()
        self._current = -1
        self._prefetched = (-1, 0)  # line, and when it is there
        self._free = 0  # when the flash can begin the next read

    def fetch(self, address: int, time: int) -> int:
        line = address // LINE_BYTES
        if line == self._current:
            return 0
        self._current = line
        wait = 0
        if line == self._prefetched[0]:
            wait = max(0, self._prefetched[1] - time)
        elif line not in self._instructions:
            wait = self._read(time)
        _use(self._instructions, line, INSTRUCTION_LINES)
        if line + 1 not in self._instructions and line + 1 != self._prefetched[0]:
            begin = max(time + wait, self._free)
            self._prefetched = (line + 1, begin + self._read(begin))
        return wait

    def data(self, address: int, time: int) -> int:
        line = address // LINE_BYTES
        wait = 0 if line in self._data else self._read(time)
        _use(self._data, line, DATA_LINES)
        return wait

    def data_unknown(self, time: int) -> int:
        """A read of a line that depends on data: the worst is a miss that drives out another line."""
        _use(self._data, -1 - time, DATA_LINES)
        return self._read(time)

    def restart(self) -> None:
        """Time begins at 0 again, with nothing under way."""
        if self._prefetched[0] >= 0:
            _use(self._instructions, self._prefetched[0], INSTRUCTION_LINES)
        self._current, self._prefetched, self._free = -1, (-1, 0), 0

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

    `unknown_reads` are positions in the sequence of data reads from cached flash whose address depends on data: each
    is charged a full miss.
    """

    def __init__(self, board: Board, unknown_reads: frozenset[int] = frozenset()) -> None:
        self._board = board
        self._caches = {name: Art(region) for name, region in board.regions if region.model == "stm32f4_art"}
        self._regions = [(region.origin, region.end, self._caches.get(name)) for name, region in board.regions]
        self._unknown = unknown_reads
        self._position = 0

    def restart(self) -> None:
        """The next call begins: time and positions count from 0 again, the caches stay as they are."""
        self._position = 0
        for cache in self._caches.values():
            cache.restart()

    def fetch(self, address: int, time: int) -> int:
        cache = self._cache(address)
        return 0 if cache is None else cache.fetch(address, time)

    def data(self, access: Access, time: int) -> int:
        cache = self._cache(access.address)
        if cache is None or access.write:
            return 0
        position, self._position = self._position, self._position + 1
        if position in self._unknown:
            return cache.data_unknown(time)
        return cache.data(access.address, time)

    def _cache(self, address: int) -> Art | None:
        for origin, end, cache in self._regions:
            if origin <= address < end:
                return cache
        return None
