"""The tracer in C, on the library of `fastlib.py`: the same cycles as `trace.PythonTracer`."""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from unicorn import unicorn_const

from tinyctl.errors import TinyctlError
from tinyctl.sims.mcu import trace
from tinyctl.sims.mcu.engine import RETURN, Machine, native
from tinyctl.sims.mcu.fast_memories import fast_memories
from tinyctl.sims.mcu.fast_rows import FastWalk, grown, rows_of
from tinyctl.sims.mcu.fastlib import ACCESS, OPERAND, TIMED, Memories, Recorder, library
from tinyctl.sims.mcu.memories import cached_regions, grain
from tinyctl.sims.mcu.pipeline import CAUSES, NOTHING, Core, State
from tinyctl.sims.mcu.program import INHERIT, STEP, Program
from tinyctl.sims.mcu.trace import SIZE_BITS, Cycles, Path, PythonTracer, Tracer, time_block


def tracer(machine: Machine, program: Program, core: Core) -> Tracer:
    """The tracer in C where a compiler is found, else the one in Python."""
    try:
        return FastTracer(machine, program, core)
    except TinyctlError:
        return PythonTracer(machine, program, core)


class FastTracer:
    """See `trace.Tracer`. Tables are kept for the life of the tracer: each pair and each block is decoded once."""

    def __init__(self, machine: Machine, program: Program, core: Core, compiler: str | None = None) -> None:
        self._library = library(compiler)
        self._machine = machine
        self._program = program
        self._core = core
        self._recorder = self._library.recorder_new()
        self._pairs, self._memo, self._operands = (self._library.table_new() for _ in range(3))
        if not (self._recorder and self._pairs and self._memo and self._operands):
            raise TinyctlError("out of memory")
        self._registers: dict[str | None, int] = {"pc": -1, None: 0}
        self._registers.update(program.decoder.registers)
        self._rows = rows_of(self._library, core)
        self._timed, self._places = np.zeros(1024, TIMED), np.zeros(1024, OPERAND)
        self._n_timed = self._n_places = 0
        self._failure: TinyctlError | None = None
        reference = weakref.ref(self)  # a callback that held the tracer would keep it for ever

        def decode(address: int) -> None:
            tracer = reference()
            assert tracer is not None
            tracer._add_operand(address)

        self._decode = ctypes.CFUNCTYPE(None, ctypes.c_uint32)(decode)
        record = Recorder.from_address(self._recorder)
        record.stop, record.read_register = native("uc_emu_stop"), native("uc_reg_read")
        record.decode = ctypes.cast(self._decode, ctypes.c_void_p)
        record.operands, record.places = self._operands, self._places.ctypes.data
        cached = cached_regions(machine.board)
        record.line_bytes, record.n_ranges = grain(machine.board), len(cached)
        for number, region in enumerate(cached):
            record.ranges[2 * number : 2 * number + 2] = (region.origin, region.end)
        self._cached = bool(cached)
        self._states: dict[State, int] = {}
        self._by_number: list[State] = []

    def __del__(self) -> None:
        tables = [(name, "table_free") for name in ("_pairs", "_memo", "_operands")]
        for name, free in (("_recorder", "recorder_free"), *tables):
            if getattr(self, name, None):
                getattr(self._library, free)(getattr(self, name))

    @contextmanager
    def paths(self) -> Iterator[Callable[..., Path]]:
        def record(function: int, *arguments: int) -> Path:
            returned = self._call(2 * trace.MAX_INSTRUCTIONS, function, arguments)
            return Path(self._copy("blocks", np.uint64), self._copy("lines", np.uint32), returned)

        lines = self._hooked(unicorn_const.UC_HOOK_CODE, "on_line") if self._cached else nullcontext()
        with self._hooked(unicorn_const.UC_HOOK_BLOCK, "on_block"), lines:
            yield record

    @contextmanager
    def walks(self) -> Iterator[Callable[..., FastWalk]]:
        def record(function: int, *arguments: int) -> FastWalk:
            self._call(trace.MAX_INSTRUCTIONS, function, arguments)
            return self._walk(self._copy("addresses", np.uint32), self._copy("accesses", ACCESS))

        with self._hooked(unicorn_const.UC_HOOK_CODE, "on_instruction"):
            yield record

    def memories(self, unknown: NDArray[np.bool_] | None = None) -> Memories:
        return fast_memories(self._machine.board, unknown)

    def time_path(self, path: Path) -> Cycles:
        pipeline = self._core.pipeline()
        blocks = np.ascontiguousarray(path.blocks)
        pipeline.call(int(blocks[0]) >> SIZE_BITS)
        position, part = np.zeros(1, np.int64), np.array([self._step])
        state = np.array([self._number(pipeline.state())])
        parts = np.zeros(self._step + 1, np.int64)
        parts[self._step] = pipeline.time
        pointers = [array.ctypes.data for array in (position, state, part)]
        while self._library.memo_run(
            self._memo,
            self._timed.ctypes.data,
            blocks.ctypes.data,
            len(blocks),
            RETURN,
            *pointers,
            INHERIT,
            parts.ctypes.data,
        ):
            at = int(position[0])
            following = int(blocks[at + 1]) >> SIZE_BITS if at + 1 < len(blocks) else RETURN
            self._add_block(int(state[0]), int(blocks[at]), following)
        return Cycles(int(parts.sum()), self._by_part(parts))

    def time_walk(self, walk: FastWalk, memories: Memories | None, longest: bool = False) -> Cycles:
        parts = np.zeros(self._step + 1, np.int64)
        stalls = np.zeros((self._step + 1, len(CAUSES)), np.int64)
        where = (INHERIT, self._step, parts.ctypes.data, stalls.ctypes.data)
        address = None if memories is None else ctypes.addressof(memories)
        total = self._rows.time(walk, address, RETURN, longest, where)
        used = {STEP if i == self._step else i: row.tolist() for i, row in enumerate(stalls) if parts[i] or row.any()}
        return Cycles(total, self._by_part(parts), used)

    # --- recording ---

    def _call(self, budget: int, function: int, arguments: tuple[int, ...]) -> int:
        self._library.recorder_begin(self._recorder, budget)
        try:
            return self._machine.call(function, *arguments)
        except TinyctlError:
            spent = Recorder.from_address(self._recorder).spent
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure from None
            if spent:
                raise self._machine.error("needs too much memory" if spent > 1 else trace.too_long()) from None
            raise

    @contextmanager
    def _hooked(self, kind: int, name: str) -> Iterator[None]:
        function = ctypes.cast(getattr(self._library, name), ctypes.c_void_p).value
        assert function is not None
        with self._machine.natively_hooked(kind, function, self._recorder):
            yield

    def _copy(self, name: str, dtype: Any) -> Any:
        array = getattr(Recorder.from_address(self._recorder), name)
        if not array.count:
            return np.zeros(0, dtype)
        size = array.count * np.dtype(dtype).itemsize
        return np.frombuffer(ctypes.string_at(array.data, size), dtype)

    # --- tables ---

    @property
    def _step(self) -> int:
        """The number of the part that Python calls `STEP`: the last."""
        return self._program.n_nodes

    def _part(self, address: int) -> int:
        part = self._program.part(address)
        return self._step if part == STEP else part

    def _by_part(self, parts: NDArray[np.int64]) -> Counter[int]:
        """With -1, which is `STEP`, for the last."""
        last = len(parts) - 1
        return Counter({STEP if i == last else i: int(cycles) for i, cycles in enumerate(parts) if cycles})

    def _number(self, state: State) -> int:
        number = self._states.setdefault(state, len(self._states))
        if number == len(self._by_number):
            self._by_number.append(state)
        return number

    def _add_block(self, state: int, block: int, following: int) -> None:
        cycles, after = time_block(self._core, self._program, self._by_number[state], block, following)
        self._timed = grown(self._timed, self._n_timed)
        self._timed[self._n_timed] = (cycles, self._number(after), self._part(block >> SIZE_BITS))
        self._add(self._memo, state, block, following, self._n_timed)
        self._n_timed += 1

    def _add_pair(self, before: int, address: int) -> None:
        instruction = self._program.instruction(address)
        previous = self._program.instruction(before) if before else NOTHING
        number = self._rows.add(previous, instruction, self._part(address))
        self._add(self._pairs, before, address, 0, number)

    def _add_operand(self, address: int) -> None:
        """Called by the recorder for an instruction that it meets for the first time."""
        try:
            operand = self._program.instruction(address).operand
            number = 0
            if operand is not None:
                self._places = grown(self._places, self._n_places)
                Recorder.from_address(self._recorder).places = self._places.ctypes.data
                base, index = (self._registers[r] for r in (operand.base, operand.index))
                self._places[self._n_places] = (
                    base,
                    index,
                    operand.shift,
                    operand.offset,
                    operand.count,
                    operand.size,
                    operand.write,
                )
                self._n_places += 1
                number = self._n_places
            self._add(self._operands, address, 0, 0, number)
        except TinyctlError as error:  # it may not cross the emulator's C
            self._failure = error

    def _add(self, table: int, a: int, b: int, c: int, number: int) -> None:
        if not self._library.table_add(table, a, b, c, number):
            raise TinyctlError("out of memory")

    def _walk(self, addresses: NDArray[np.uint32], accesses: NDArray[np.void]) -> FastWalk:
        room = len(addresses) + len(addresses) // 2 + 16
        steps, moved = np.zeros(room, np.uint32), np.zeros(len(addresses), np.uint32)
        position, count, pair = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(2, np.uint32)
        while missing := self._library.steps_fill(
            self._pairs,
            self._rows.pointer,
            addresses.ctypes.data,
            len(addresses),
            position.ctypes.data,
            steps.ctypes.data,
            count.ctypes.data,
            len(steps),
            moved.ctypes.data,
            pair.ctypes.data,
        ):
            if missing == 1:
                self._add_pair(int(pair[0]), int(pair[1]))
            else:
                steps = np.concatenate([steps, np.zeros(len(steps), np.uint32)])
        return FastWalk(steps[: int(count[0])], accesses, moved)
