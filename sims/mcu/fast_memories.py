"""The memories of a board as the timers in C take them: `memories.py` in structs and arrays."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from tinyctl.boards import Board, Region
from tinyctl.sims.mcu import fastlib
from tinyctl.sims.mcu.memories import ACCELERATORS, CACHES, EVERY_ACCESS, FIRST_LOAD, Caches

PLAIN_MODELS = {FIRST_LOAD: 1, EVERY_ACCESS: 3}  # any other waits for nothing
ACCELERATED, CACHED = 2, 4


def fast_memories(board: Board, unknown: NDArray[np.bool_] | None = None) -> fastlib.Memories:
    """The board's memories with cold caches; `unknown` as in `memories.Memories`, by position."""
    made = fastlib.Memories(n_regions=len(board.regions))
    made.kept = []  # arrays that `made` points to
    stores = {
        region.model: _stores(CACHES[region.model], made) for _, region in board.regions if region.model in CACHES
    }
    for place, (_, region) in zip(made.regions, board.regions, strict=False):
        place.origin, place.end = region.origin, region.end
        place.wait_states, place.current, place.prefetched = region.wait_states, -1, -1
        place.model = PLAIN_MODELS.get(region.model, 0)
        if region.model in ACCELERATORS:
            place.model = ACCELERATED
            _accelerate(place, region, made)
        elif region.model in CACHES:
            place.model, place.line_bytes = CACHED, CACHES[region.model].line_bytes
            place.instruction_sets, place.data_sets = stores[region.model]
    if unknown is not None:
        marked = np.ascontiguousarray(unknown, np.uint8)
        made.kept.append(marked)
        made.unknown, made.n_unknown = marked.ctypes.data, len(marked)
    return made


def _accelerate(place: fastlib.Region, region: Region, made: fastlib.Memories) -> None:
    sizes = ACCELERATORS[region.model]
    place.line_bytes = sizes.line_bytes
    count = region.length // sizes.line_bytes + 1  # a prefetch can go beyond the end
    for lines, capacity in ((place.instructions, sizes.instruction_lines), (place.data, sizes.data_lines)):
        slots = np.zeros(count, np.uint8)
        made.kept.append(slots)
        lines.capacity, lines.slots, lines.n_slots = capacity, slots.ctypes.data, count
        lines.first = region.origin // sizes.line_bytes


def _stores(sizes: Caches, made: fastlib.Memories) -> tuple[int, int]:
    """The addresses of the stores for instructions and for data."""
    found = []
    for ways in (sizes.instruction_ways, sizes.data_ways):
        if ways:
            arrays = [np.zeros(sizes.sets(ways) * ways, np.int64) for _ in range(2)]
            store = fastlib.Sets(sizes.sets(ways), ways, 0, *(array.ctypes.data for array in arrays))
            made.kept += [store, *arrays]
            found.append(ctypes.addressof(store))
    return found[0], found[-1]
