"""What memories add to the core's cycles, by the board's regions. `fast_time.c` does the same in C."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from tinyctl.boards import Board, Region
from tinyctl.sims.mcu.pipeline import Access

INSTRUCTION_LINES = 64
DATA_LINES = 8
FIRST_LOAD = "first_load"
EVERY_ACCESS = "every_access"


@dataclass(frozen=True)
class Accelerator:
    """The sizes of a flash accelerator: fully associative lines of instructions and of data."""

    instruction_lines: int
    data_lines: int
    line_bytes: int


@dataclass(frozen=True)
class Caches:
    """The sizes of set-associative caches; with no ways for data, instructions and data share one."""

    bytes: int  # of each
    instruction_ways: int
    data_ways: int
    line_bytes: int

    def sets(self, ways: int) -> int:
        return self.bytes // (self.line_bytes * ways)


# STM32F4: RM0090 section 3.5.2. STM32L4+: 32 instruction lines and 8 data lines of 32 bytes (RM0432, from memory, to be
# looked up); here a line is filled by one read, as on the STM32F4, which no measurement known to us confirms.
ACCELERATORS = {
    "stm32f4_art": Accelerator(INSTRUCTION_LINES, DATA_LINES, 16),
    "stm32l4_art": Accelerator(32, 8, 32),
}
# Cortex-M7: lines of 32 bytes, two ways of instructions and four of data (ARM DDI 0489, section 5.9 and the cache type
# register). RP2040 and RP2350: 16 KB in two ways of lines of 8 bytes, instructions and data together (RP2040 datasheet,
# section 2.6.3). The replacement is published for neither: least recently used here.
CACHES = {
    **{f"m7_cache_{size}k": Caches(size << 10, 2, 4, 32) for size in (8, 16, 32)},
    "xip_cache": Caches(16 << 10, 2, 0, 8),
}


def cached_regions(board: Board) -> list[Region]:
    """The regions behind any cache, whose reads can take more or less time."""
    return [region for _, region in board.regions if region.model in ACCELERATORS or region.model in CACHES]


def grain(board: Board) -> int:
    """The bytes in which data reads are told apart: the shortest line of the board's caches."""
    lines = {model: sizes.line_bytes for table in (ACCELERATORS, CACHES) for model, sizes in table.items()}
    return min((lines[region.model] for region in cached_regions(board)), default=16)


class Art:
    """An accelerator in front of the flash, as the STM32F4's (RM0090 section 3.5.2): instruction lines and data lines,
    both least-recently-used, and a prefetch of the instruction line after the one in use.

    A read takes the flash for `wait_states` + 1 cycles, one at a time. Evidence: the sizes are the manuals'; that lines
    once prefetched stay in the cache, and that a sequential miss costs about 2 of the 5 cycles, fits other people's
    counts on F407 and F405 boards. Whether a hit starts a prefetch too is not documented; here it does.
    """

    def __init__(self, region: Region) -> None:
        self.wait_states = region.wait_states
        self._sizes = ACCELERATORS[region.model]
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


class Sets:
    """The lines held in a set-associative cache: least recently used of each set."""

    def __init__(self, sets: int, ways: int) -> None:
        self.ways = ways
        self._sets: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(sets)]

    def use(self, line: int) -> bool:
        """Whether the line was held; now it is."""
        lines = self._sets[line % len(self._sets)]
        held = line in lines
        _use(lines, line, self.ways)
        return held


class Cached:
    """A region behind set-associative caches, which it may share with others. A miss costs the region's wait states,
    after which what was asked for is there; the rest of the line comes meanwhile (critical word first, DDI 0489). Reads
    and writes allocate; writes do not wait."""

    def __init__(self, region: Region, instructions: Sets, data: Sets, line_bytes: int) -> None:
        self.wait_states = region.wait_states
        self._instructions, self._data = instructions, data
        self._line_bytes = line_bytes
        self._current = -1
        self._invented = 0

    def fetch(self, address: int, time: int) -> int:
        line = address // self._line_bytes
        if line == self._current:
            return 0
        self._current = line
        return 0 if self._instructions.use(line) else self.wait_states

    def data(self, address: int, time: int) -> int:
        return 0 if self._data.use(address // self._line_bytes) else self.wait_states

    def data_unknown(self, time: int) -> int:
        """A read of a line that depends on data: a miss that drives out a line, of one set after the other."""
        self._invented -= 1
        self._data.use(self._invented)
        return self.wait_states

    def write(self, address: int) -> None:
        self._data.use(address // self._line_bytes)

    def restart(self) -> None:
        self._current = -1


class Memories:
    """All regions of a board, with cold caches. Accesses outside of the regions add nothing.

    Regions of one cache model share its caches. A region of model `every_access` is memory without any cache: each
    fetch of a word and each read waits. A region of model `first_load` (SRAM2 and SRAM3 of the STM32L4+) costs its
    wait states for the first load of each group of pipelined loads and for each LDM or POP: fitted to the counts of
    pqm4 on an STM32L4R5.

    `unknown_reads` are positions in the sequence of data reads from cached memory whose address depends on data: each
    is charged a full miss.
    """

    def __init__(self, board: Board, unknown_reads: frozenset[int] = frozenset()) -> None:
        stores = {model: _stores(sizes) for model, sizes in CACHES.items()}
        self._regions: list[tuple[Region, Art | Cached | None]] = []
        for _, region in board.regions:
            cache: Art | Cached | None = None
            if region.model in ACCELERATORS:
                cache = Art(region)
            elif region.model in CACHES:
                cache = Cached(region, *stores[region.model], CACHES[region.model].line_bytes)
            self._regions.append((region, cache))
        self._unknown = unknown_reads
        self._position = 0

    def restart(self) -> None:
        """The next call begins: time and positions count from 0 again, the caches stay as they are."""
        self._position = 0
        for _, cache in self._regions:
            if cache is not None:
                cache.restart()

    def fetch(self, address: int, time: int) -> int:
        region, cache = self._at(address)
        if cache is not None:
            return cache.fetch(address, time)
        return region.wait_states if region is not None and region.model == EVERY_ACCESS else 0

    def data(self, access: Access, time: int, first: bool) -> int:
        region, cache = self._at(access.address)
        if region is None:
            return 0
        if access.write:
            if isinstance(cache, Cached):
                cache.write(access.address)
            return 0
        if cache is None:
            waits = region.model == EVERY_ACCESS or (first and region.model == FIRST_LOAD)
            return region.wait_states if waits else 0
        position, self._position = self._position, self._position + 1
        if position in self._unknown:
            return cache.data_unknown(time)
        return cache.data(access.address, time)

    def _at(self, address: int) -> tuple[Region | None, Art | Cached | None]:
        for region, cache in self._regions:
            if region.origin <= address < region.end:
                return region, cache
        return None, None


def _stores(sizes: Caches) -> tuple[Sets, Sets]:
    instructions = Sets(sizes.sets(sizes.instruction_ways), sizes.instruction_ways)
    if not sizes.data_ways:
        return instructions, instructions
    return instructions, Sets(sizes.sets(sizes.data_ways), sizes.data_ways)
