"""Recording what a call does, and timing what was recorded.

Two grains. A *path* is the sequence of basic blocks with the flash lines read: cheap enough for every input that is
tried; its zero-wait-state time comes from a table keyed by pipeline state, block and next block. A *walk* is every
instruction with its data accesses: recorded once for each path whose time with caches is wanted.

This is the tracer in Python. `fast.py` has the one in C, which gives the same cycles.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from unicorn import unicorn_const

from tinyctl.sims.mcu.engine import RETURN, Machine
from tinyctl.sims.mcu.memories import Memories, cached_regions, grain
from tinyctl.sims.mcu.pipeline import CAUSES, Access, Core, Division, State, magnitude
from tinyctl.sims.mcu.program import INHERIT, STEP, Program

MAX_INSTRUCTIONS = 50_000_000
MAX_SKIPPED_BYTES = 17  # an IT block holds up to four instructions
NOWHERE = 1 << 33
SIZE_BITS = 12  # a block is at most a page of 4096 bytes long


@dataclass(frozen=True)
class Path:
    """One call: its blocks as `address << 12 | size`, and the lines of cached memory its loads read, both in
    order."""

    blocks: NDArray[np.uint64]
    lines: NDArray[np.uint32]
    returned: int

    @property
    def digest(self) -> bytes:
        """Equal for calls that executed the same blocks in the same order."""
        return hashlib.blake2b(self.blocks.data, digest_size=16).digest()

    @property
    def code_bytes(self) -> int:
        """Bytes of the instructions executed."""
        return int((self.blocks & np.uint64((1 << SIZE_BITS) - 1)).sum())

    @property
    def lines_digest(self) -> bytes:
        """Equal for calls that read the same flash lines in the same order."""
        return hashlib.blake2b(self.lines.data, digest_size=16).digest()


@dataclass(frozen=True)
class Walk:
    """One call, instruction by instruction: addresses, and the data accesses and divisions by position in them."""

    addresses: array[int]
    accesses: dict[int, list[Access | Division]]


@dataclass(frozen=True)
class Cycles:
    """Cycles of one call, BL and return included, and how they spread over the nodes; `STEP` is what is left.

    `stalls` are cycles lost, by part, in the order of `CAUSES`; only walks have them.
    """

    total: int
    parts: Counter[int]
    stalls: dict[int, list[int]] = field(default_factory=dict)


class Tracer(Protocol):
    """Records calls of one program on one machine, and times them."""

    def paths(self) -> AbstractContextManager[Callable[..., Path]]:
        """A function that calls (address, *arguments) and records the path; raises `TinyctlError` on a fault, or
        beyond `MAX_INSTRUCTIONS`."""
        ...

    def walks(self) -> AbstractContextManager[Callable[..., Any]]:
        """The same for walks. An instruction that its IT block skips is not reported by the emulator. It is put back
        in, and timed as if it had been executed, without its data accesses."""
        ...

    def memories(self, unknown: NDArray[np.bool_] | None = None) -> Any:
        """The board's memories with cold caches, for `time_walk`; `unknown` marks data reads from cached flash whose
        line depends on data: each is charged a full miss."""
        ...

    def time_path(self, path: Path) -> Cycles:
        """Zero-wait-state time; data accesses are taken as aligned and in one memory, divisions as the longest."""
        ...

    def time_walk(self, walk: Any, memories: Any | None, longest: bool = False) -> Cycles:
        """The time with the memories' caches as they are (None: no wait states), which it leaves filled. With
        `longest`, divisions take the most they can instead of what the walk's operands ask for."""
        ...


class PythonTracer:
    """The tracer that needs no compiler."""

    def __init__(self, machine: Machine, program: Program, core: Core) -> None:
        self._machine = machine
        self._program = program
        self._core = core
        self._known: dict[tuple[State, int, int], tuple[int, State]] = {}

    @contextmanager
    def paths(self) -> Iterator[Callable[..., Path]]:
        machine = self._machine
        blocks, lines = array("Q"), array("L")
        line_bytes = grain(machine.board)
        budget = 0

        def on_block(uc: Any, address: int, size: int, data: Any) -> None:
            nonlocal budget
            blocks.append(address << SIZE_BITS | size)
            budget -= size
            if budget < 0:
                machine.fault(too_long())

        def on_read(uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
            lines.append(address // line_bytes)

        def record(function: int, *arguments: int) -> Path:
            nonlocal budget
            budget = MAX_INSTRUCTIONS * 2  # in bytes of executed code: no instruction is shorter than two
            del blocks[:], lines[:]
            returned = machine.call(function, *arguments)
            return Path(np.array(blocks, np.uint64), np.array(lines, np.uint32), returned)

        with ExitStack() as hooks:
            hooks.enter_context(machine.hooked(unicorn_const.UC_HOOK_BLOCK, on_block))
            for region in cached_regions(machine.board):
                reads = machine.hooked(unicorn_const.UC_HOOK_MEM_READ, on_read, region.origin, region.end - 1)
                hooks.enter_context(reads)
            yield record

    @contextmanager
    def walks(self) -> Iterator[Callable[..., Walk]]:
        machine, program = self._machine, self._program
        registers = program.decoder.registers
        addresses = array("L")
        accesses: dict[int, list[Access | Division]] = {}
        expected = NOWHERE

        def on_instruction(uc: Any, address: int, size: int, data: Any) -> None:
            nonlocal expected
            while 0 < address - expected < MAX_SKIPPED_BYTES:
                addresses.append(expected)
                expected = program.instruction(expected).end
            addresses.append(address)
            instruction = program.instruction(address)
            expected = NOWHERE if instruction.branches else instruction.end
            operand = instruction.operand
            if operand is not None and not operand.size:
                dividend, divisor = (machine.register(registers[r]) for r in (operand.base, operand.index) if r)
                accesses[len(addresses) - 1] = [Division(magnitude(dividend, divisor, bool(operand.shift)))]
            if len(addresses) > MAX_INSTRUCTIONS:
                machine.fault(too_long())

        def on_access(uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
            write = access == unicorn_const.UC_MEM_WRITE
            accesses.setdefault(len(addresses) - 1, []).append(Access(address, size, write))

        def record(function: int, *arguments: int) -> Walk:
            nonlocal addresses, accesses, expected
            addresses, accesses, expected = array("L"), {}, NOWHERE
            machine.call(function, *arguments)
            return Walk(addresses, accesses)

        with (
            machine.hooked(unicorn_const.UC_HOOK_CODE, on_instruction),
            machine.hooked(unicorn_const.UC_HOOK_MEM_READ | unicorn_const.UC_HOOK_MEM_WRITE, on_access),
        ):
            yield record

    def memories(self, unknown: NDArray[np.bool_] | None = None) -> Memories:
        marked = frozenset() if unknown is None else frozenset(int(i) for i in np.flatnonzero(unknown))
        return Memories(self._machine.board, marked)

    def time_path(self, path: Path) -> Cycles:
        pipeline = self._core.pipeline()
        blocks = path.blocks.tolist()
        pipeline.call(blocks[0] >> SIZE_BITS)
        parts: Counter[int] = Counter({STEP: pipeline.time})
        total, state, part = pipeline.time, pipeline.state(), STEP
        for position, block in enumerate(blocks):
            following = blocks[position + 1] >> SIZE_BITS if position + 1 < len(blocks) else RETURN
            key = (state, block, following)
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = time_block(self._core, self._program, *key)
            cycles, state = found
            owner = self._program.part(block >> SIZE_BITS)
            part = part if owner == INHERIT else owner
            parts[part] += cycles
            total += cycles
        return Cycles(total, parts)

    def time_walk(self, walk: Walk, memories: Memories | None, longest: bool = False) -> Cycles:
        pipeline = self._core.pipeline(memories, longest)
        program = self._program
        addresses, accesses = walk.addresses, walk.accesses
        if memories is not None:
            memories.restart()
        stalls: dict[int, list[int]] = {STEP: pipeline.stalls}
        pipeline.call(addresses[0])
        parts: Counter[int] = Counter()
        last = len(addresses) - 1
        part, counted = STEP, 0
        for position, address in enumerate(addresses):
            instruction = program.instruction(address)
            following = addresses[position + 1] if position < last else RETURN
            owner = program.part(address)
            if owner not in (INHERIT, part):
                part = owner
                pipeline.stalls = stalls.setdefault(part, [0] * len(CAUSES))
            pipeline.execute(instruction, following, accesses.get(position, ()))
            parts[part] += pipeline.time - counted
            counted = pipeline.time
        total = pipeline.finish()
        parts[part] += total - counted
        return Cycles(total, parts, stalls)


def time_block(core: Core, program: Program, state: State, block: int, following: int) -> tuple[int, State]:
    """Cycles of one block from a pipeline state, and the state it leaves."""
    pipeline = core.pipeline()
    pipeline.restore(state)
    instructions = program.block(block >> SIZE_BITS, block & (1 << SIZE_BITS) - 1)
    for instruction in instructions[:-1]:
        pipeline.execute(instruction, instruction.end)
    pipeline.execute(instructions[-1], following)
    return pipeline.time, pipeline.state()


def too_long() -> str:
    return f"is still running after {MAX_INSTRUCTIONS} instructions"
