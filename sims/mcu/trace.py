"""Recording what a call does, and timing what was recorded.

Two grains. A *path* is the sequence of basic blocks with the flash lines read: cheap enough for every input that is
tried; its zero-wait-state time comes from a table keyed by pipeline state, block and next block. A *walk* is every
instruction with its data accesses: recorded once for each path whose time with caches is wanted.
(A recorder in C would replace `record_path` and nothing else.)
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from unicorn import unicorn_const

from tinyctl.sims.mcu.cortex_m4 import Access, Pipeline, State
from tinyctl.sims.mcu.engine import RETURN, Machine
from tinyctl.sims.mcu.memories import LINE_BYTES, Memories
from tinyctl.sims.mcu.program import INHERIT, STEP, Program

MAX_INSTRUCTIONS = 50_000_000
MAX_SKIPPED_BYTES = 17  # an IT block holds up to four instructions
NOWHERE = 1 << 33
SIZE_BITS = 12  # a block is at most a page of 4096 bytes long


@dataclass(frozen=True)
class Path:
    """One call: its blocks as `address << 12 | size` in order, and the flash lines its loads read, in order."""

    blocks: array[int]
    lines: NDArray[np.uint32]
    returned: int

    @property
    def digest(self) -> bytes:
        """Equal for calls that executed the same blocks in the same order."""
        return hashlib.blake2b(self.blocks.tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class Walk:
    """One call, instruction by instruction: addresses, and the data accesses by position in them."""

    addresses: array[int]
    accesses: dict[int, list[Access]]


def record_path(machine: Machine, function: int, *arguments: int) -> Path:
    """Call `function` and record its path. Raises `TinyctlError` on a fault, or beyond 50 million instructions."""
    blocks, lines = array("Q"), array("L")
    budget = MAX_INSTRUCTIONS * 2  # in bytes of executed code: no instruction is shorter than two

    def on_block(uc: Any, address: int, size: int, data: Any) -> None:
        nonlocal budget
        blocks.append(address << SIZE_BITS | size)
        budget -= size
        if budget < 0:
            machine.fault(f"is still running after {MAX_INSTRUCTIONS} instructions")

    def on_read(uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        lines.append(address // LINE_BYTES)

    code = machine.board.code
    remove = [
        machine.hook(unicorn_const.UC_HOOK_BLOCK, on_block),
        machine.hook(unicorn_const.UC_HOOK_MEM_READ, on_read, code.origin, code.end - 1),
    ]
    try:
        returned = machine.call(function, *arguments)
    finally:
        for undo in remove:
            undo()
    return Path(blocks, np.array(lines, np.uint32), returned)


def record_walk(machine: Machine, program: Program, function: int, *arguments: int) -> Walk:
    """Call `function` and record every instruction and data access.

    An instruction that its IT block skips is not reported by the emulator. It is put back in, and timed as if it had
    been executed, without its data accesses.
    """
    addresses = array("L")
    accesses: dict[int, list[Access]] = {}

    expected = function

    def on_instruction(uc: Any, address: int, size: int, data: Any) -> None:
        nonlocal expected
        while 0 < address - expected < MAX_SKIPPED_BYTES:
            addresses.append(expected)
            expected = program.instruction(expected).end
        addresses.append(address)
        instruction = program.instruction(address)
        expected = NOWHERE if instruction.branches else instruction.end
        if len(addresses) > MAX_INSTRUCTIONS:
            machine.fault(f"is still running after {MAX_INSTRUCTIONS} instructions")

    def on_access(uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        write = access == unicorn_const.UC_MEM_WRITE
        accesses.setdefault(len(addresses) - 1, []).append(Access(address, size, write))

    remove = [
        machine.hook(unicorn_const.UC_HOOK_CODE, on_instruction),
        machine.hook(unicorn_const.UC_HOOK_MEM_READ | unicorn_const.UC_HOOK_MEM_WRITE, on_access),
    ]
    try:
        machine.call(function, *arguments)
    finally:
        for undo in remove:
            undo()
    return Walk(addresses, accesses)


@dataclass(frozen=True)
class Cycles:
    """Cycles of one call, BL and return included, and how they spread over the nodes; `STEP` is what is left."""

    total: int
    parts: Counter[int]


class PathTimer:
    """Zero-wait-state time of paths. Each (pipeline state, block, next block) is timed once and then looked up;
    data accesses are taken as aligned."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[tuple[State, int, int], tuple[int, State]] = {}

    def time(self, path: Path) -> Cycles:
        pipeline = Pipeline()
        blocks = path.blocks
        pipeline.call(blocks[0] >> SIZE_BITS)
        parts: Counter[int] = Counter({STEP: pipeline.time})
        total, state, part = pipeline.time, pipeline.state(), STEP
        for position, block in enumerate(blocks):
            following = blocks[position + 1] >> SIZE_BITS if position + 1 < len(blocks) else RETURN
            key = (state, block, following)
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = self._time_block(*key)
            cycles, state = found
            owner = self._program.part(block >> SIZE_BITS)
            part = part if owner == INHERIT else owner
            parts[part] += cycles
            total += cycles
        return Cycles(total, parts)

    def _time_block(self, state: State, block: int, following: int) -> tuple[int, State]:
        pipeline = Pipeline()
        pipeline.restore(state)
        instructions = self._program.block(block >> SIZE_BITS, block & (1 << SIZE_BITS) - 1)
        for instruction in instructions[:-1]:
            pipeline.execute(instruction, instruction.end)
        pipeline.execute(instructions[-1], following)
        return pipeline.time, pipeline.state()


def time_walk(walk: Walk, program: Program, memories: Memories | None) -> Cycles:
    """The time of a walk with the memories' caches as they are (None: no wait states), which it leaves filled."""
    pipeline = Pipeline(memories)
    addresses, accesses = walk.addresses, walk.accesses
    if memories is not None:
        memories.restart()
    pipeline.call(addresses[0])
    parts: Counter[int] = Counter()
    last = len(addresses) - 1
    part, counted = STEP, 0
    for position, address in enumerate(addresses):
        instruction = program.instruction(address)
        following = addresses[position + 1] if position < last else RETURN
        owner = program.part(address)
        part = part if owner == INHERIT else owner
        pipeline.execute(instruction, following, accesses.get(position, ()))
        parts[part] += pipeline.time - counted
        counted = pipeline.time
    total = pipeline.finish()
    parts[part] += total - counted
    return Cycles(total, parts)
