"""Tables for the timers in C, filled by the rules of a core: a row for each instruction behind a certain other."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyctl.errors import TinyctlError
from tinyctl.sims.mcu.decode import Instruction
from tinyctl.sims.mcu.fastlib import ISSUE, ROW, USE, Rules
from tinyctl.sims.mcu.pipeline import CALL, Core, ScalarCore
from tinyctl.sims.mcu.scoreboard import DualCore

OPENS_LOAD, BRANCHES, CONDITIONAL, BACKWARD = 1, 2, 4, 8
WAITS_FP, SETS_FLAGS = 2, 8


@dataclass(frozen=True)
class FastWalk:
    """One call: a row number for each instruction, and its data accesses; `moved` gives their positions in `steps`."""

    steps: NDArray[np.uint32]
    accesses: NDArray[np.void]
    moved: NDArray[np.uint32]

    @property
    def pointers(self) -> tuple[Any, ...]:
        """As the timers take them."""
        accesses = (self.accesses.ctypes.data, len(self.accesses))
        return (self.steps.ctypes.data, len(self.steps), *accesses, self.moved.ctypes.data)


class Rows:
    """Rows of a scalar core, timed by `walk_time`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.count = 0
        self._rows = np.zeros(1024, ROW)

    @property
    def pointer(self) -> int:
        return int(self._rows.ctypes.data)

    def add(self, previous: Instruction, instruction: Instruction, part: int) -> int:
        """The number of the row of `instruction` behind `previous`."""
        self._rows = grown(self._rows, self.count)
        flags = (
            BRANCHES * instruction.branches | CONDITIONAL * instruction.conditional | BACKWARD * instruction.backward
        )
        self._rows[self.count] = (instruction.address, instruction.end, part, 0, 0, 0, flags, 0, 0, 0, 0, 0)
        self.count += 1
        return self.count - 1


class ScalarRows(Rows):
    def __init__(self, library: ctypes.CDLL, core: ScalarCore) -> None:
        super().__init__(library)
        self._core = core

    def add(self, previous: Instruction, instruction: Instruction, part: int) -> int:
        number, core = super().add(previous, instruction, part), self._core
        row = self._rows[number]
        row["cost"], row["refill"] = core.cost(instruction), core.refill(instruction)
        row["flags"] |= OPENS_LOAD * core.opens_load(instruction)
        row["after_load"] = core.after_load(previous, instruction) if core.opens_load(previous) else 0
        row["store"], row["address_made"], row["fp"] = core.hazards(previous, instruction)
        return number

    def time(self, walk: FastWalk, memories: int | None, back: int, longest: bool, where: Sequence[Any]) -> int:
        core = self._core
        return int(
            self._library.walk_time(
                self.pointer,
                *walk.pointers,
                memories,
                *(core.fifo_words, core.fetch_latency, back, core.call_refill),
                _divisions(core.divisions, longest),
                *(core.banked, core.remembers_branch),
                *where,
            )
        )


class DualRows(Rows):
    """Rows of a core that issues two instructions a cycle, timed by `score_time`."""

    def __init__(self, library: ctypes.CDLL, core: DualCore) -> None:
        super().__init__(library)
        self._core = core
        self._issues, self._uses = np.zeros(1024, ISSUE), np.zeros(4096, USE)
        self._n_uses = 0
        self._branches: dict[int, int] = {}

    def add(self, previous: Instruction, instruction: Instruction, part: int) -> int:
        number, core = super().add(previous, instruction, part), self._core
        self._issues = grown(self._issues, number)
        issue, row = core.issue(instruction), self._issues[number]
        row["reads"], row["n_reads"] = self._add_uses([(*read, 0) for read in issue.reads]), len(issue.reads)
        row["writes"], row["n_writes"] = self._add_uses(issue.writes), len(issue.writes)
        row["branch"] = self._branches.setdefault(instruction.address, len(self._branches))
        row["cycles"], row["pairs"] = issue.cycles, core.pairs(previous, instruction)
        row["early"], row["blocks_fp"] = issue.early, issue.blocks_fp
        row["bubble"], row["cause"] = core.bubble(instruction), issue.cause
        row["flags"] = WAITS_FP * issue.waits_fp | SETS_FLAGS * instruction.sets_flags
        return number

    def time(self, walk: FastWalk, memories: int | None, back: int, longest: bool, where: Sequence[Any]) -> int:
        core = self._core
        rules = Rules(
            *core.mispredicted,
            *(core.flag_distance, core.unaligned_load, core.unaligned_store, core.banked),
            *(core.bubble(CALL), len(self._branches)),
        )
        total = self._library.score_time(
            self.pointer,
            self._issues.ctypes.data,
            self._uses.ctypes.data,
            *walk.pointers,
            memories,
            ctypes.byref(rules),
            back,
            _divisions(core.divisions, longest),
            *where,
        )
        if total < 0:
            raise TinyctlError("out of memory")
        return int(total)

    def _add_uses(self, uses: Sequence[tuple[int, int, int, int]]) -> int:
        first = self._n_uses
        for use in uses:
            self._uses = grown(self._uses, self._n_uses)
            self._uses[self._n_uses] = use
            self._n_uses += 1
        return first


def rows_of(library: ctypes.CDLL, core: Core) -> ScalarRows | DualRows:
    """The tables that a core needs."""
    if isinstance(core, ScalarCore):
        return ScalarRows(library, core)
    assert isinstance(core, DualCore)
    return DualRows(library, core)


def grown(rows: NDArray[np.void], count: int) -> NDArray[np.void]:
    """The array with room for one more than `count`."""
    return rows if count < len(rows) else np.concatenate([rows, np.zeros(len(rows), rows.dtype)])


def _divisions(cycles: tuple[int, ...], longest: bool) -> bytes | None:
    return None if longest or not cycles else bytes(cycles)
