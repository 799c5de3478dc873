"""A pipeline that issues in order, up to two instructions a cycle, as soon as their operands are ready.

A core's rules say of each instruction which registers it reads and when the ones it writes are ready, and which two may
be issued together. Operands are needed at different stages, and results can be forwarded from different stages: that
is what *ports* are for. `fast_score.c` does the same sums on tables that the rules fill; tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tinyctl.sims.mcu.decode import Instruction
from tinyctl.sims.mcu.pipeline import (
    ADDRESS,
    BRANCH,
    CALL,
    CAUSES,
    DATA,
    FETCH,
    FP,
    NOTHING,
    UNALIGNED,
    Access,
    Core,
    Division,
    State,
    Timing,
    ZeroWait,
)

NAMES = (
    *(f"r{i}" for i in range(9)),
    *("sb", "sl", "fp", "ip", "sp", "lr", "pc"),
    *(f"s{i}" for i in range(32)),
    *("flags", "fpscr"),
)
REGISTER = {name: number for number, name in enumerate(NAMES)}
# Where an operand is needed: core registers by the ALU, by an address or a shifter one stage before it, by the
# multiplier; FP registers as an operand, as the addend of a multiply-accumulate, as data of a store.
PORTS = 3
ALU, EARLY, MULTIPLY = range(PORTS)
OPERAND, ADDEND, STORED = range(PORTS)

FETCH_BYTES = 8  # a fetch brings two words
NEVER, UNLESS_TAKEN, ALWAYS = 0, 1, 2  # whether two instructions may be issued together
OLDER, EITHER = 1, 2  # from which place in a pair an instruction may use the early ALU
LONG_AGO = -8


@dataclass(frozen=True)
class Issue:
    """How an instruction is issued: `cycles` until the next one can be; `reads` are register, port, and by how many
    cycles the operand may come late; `writes` are register, and cycles until it is ready at each port.

    `early`: from where in a pair its result can come from the early ALU, if its operands are ready for that; then it
    is ready at once for the ALU and a cycle later for addresses. `blocks_fp`: cycles in which no FP instruction of
    class `waits_fp` can be issued after it. `cause`: why those that need its results wait.
    """

    cycles: int
    reads: tuple[tuple[int, int, int], ...] = ()
    writes: tuple[tuple[int, int, int, int], ...] = ()
    early: int = 0
    blocks_fp: int = 0
    waits_fp: bool = False
    cause: int = DATA


@dataclass(frozen=True)
class DualCore(Core):
    """The rules of a core that can issue two instructions a cycle.

    `pairs` tells whether two may be issued together. `bubble`: cycles lost by a taken branch that was predicted, or
    by any where there is no prediction. `mispredicted`: cycles lost by a conditional branch that was not; the second
    where the flags were made at least `flag_distance` cycles before. (0, 0): no prediction, nothing of the kind.
    Unaligned loads and stores cost more. `banked`: two loads are issued together only if they read different words of
    eight bytes. `divisions` as in `pipeline.ScalarCore`.
    """

    issue: Callable[[Instruction], Issue]
    pairs: Callable[[Instruction, Instruction], int]
    bubble: Callable[[Instruction], int]
    mispredicted: tuple[int, int]
    flag_distance: int
    unaligned_load: int
    unaligned_store: int
    banked: bool
    divisions: tuple[int, ...] = ()

    def pipeline(self, timing: Timing | None = None, longest: bool = False) -> Scoreboard:
        return Scoreboard(self, timing, longest)


@dataclass
class _Ready:
    """When each register is ready at each port, and why those wait that need it before."""

    times: list[list[int]] = field(default_factory=lambda: [[LONG_AGO] * PORTS for _ in NAMES])
    causes: list[int] = field(default_factory=lambda: [DATA] * len(NAMES))


class Scoreboard:
    """The pipeline that issues two. `time` is the cycle after the issue of the last instruction."""

    def __init__(self, core: DualCore, timing: Timing | None = None, longest: bool = False) -> None:
        self.core = core
        self.divisions = () if longest else core.divisions
        self.timing: Timing = timing or ZeroWait()
        self.time = 0
        self.before = NOTHING
        self.open = False  # the second place beside the last instruction is free
        self.fp_free = 0  # when an FP instruction can be issued
        self.flagged = LONG_AGO  # when the flags were made
        self.read_at = -1  # the address that the last instruction loaded from
        self.fetched = -1  # the last fetch, in units of `FETCH_BYTES`
        self.ready = _Ready()
        self.counters: dict[int, int] = {}  # of conditional branches: taken at 2 and 3
        self.stalls = [0] * len(CAUSES)

    def call(self, target: int) -> None:
        self.time += 1 + self.core.bubble(CALL)
        self.stalls[BRANCH] += self.core.bubble(CALL)
        self.before, self.open, self.fetched = NOTHING, False, -1

    def execute(self, instruction: Instruction, following: int, accesses: Sequence[Access | Division] = ()) -> None:
        core, stalls, issue = self.core, self.stalls, self.core.issue(instruction)
        taken = following != instruction.end
        self._fetch(instruction)
        due, cause = self._due(issue)
        together = self.open and self._together(instruction, taken, accesses) and due < self.time
        start = self.time - 1 if together else max(self.time, due)
        if not together:
            stalls[cause] += start - self.time
        cycles, waited, misaligned = issue.cycles, 0, 0
        for number, access in enumerate(accesses):
            if isinstance(access, Access):
                waited += self.timing.data(access, start + number + waited, number == 0)
                if access.size in (2, 4) and access.address % access.size:
                    misaligned += core.unaligned_store if access.write else core.unaligned_load
            elif self.divisions:
                cycles = self.divisions[access.magnitude]
        stalls[DATA] += waited
        stalls[UNALIGNED] += misaligned
        cycles += waited + misaligned
        self._write(issue, start, together, cycles - issue.cycles)
        if issue.blocks_fp:
            self.fp_free = start + 1 + issue.blocks_fp
        self.open = not together and cycles == 1
        self.time = max(self.time, start + cycles)
        lost = self._branch(instruction, taken, following, start)
        if taken or lost:
            self.open = False
        if taken:
            self.fetched = -1
        if instruction.sets_flags:
            self.flagged = start
        stalls[BRANCH] += lost
        self.time += lost
        first = accesses[0] if accesses else None
        self.read_at = first.address if isinstance(first, Access) and not first.write else -1
        self.before = instruction

    def finish(self) -> int:
        return self.time

    def state(self) -> State:
        times = self.ready.times
        late = tuple(
            (register, self.ready.causes[register], *(max(t - self.time, -2) for t in times[register]))
            for register in range(len(NAMES))
            if max(times[register]) >= self.time
        )
        return (
            self.before,
            self.open,
            max(self.fp_free - self.time, -1),
            max(self.flagged - self.time, LONG_AGO),
            late,
        )

    def restore(self, state: State) -> None:
        self.before, self.open, fp_free, flagged, late = state  # type: ignore[assignment]
        self.fp_free, self.flagged = self.time + fp_free, self.time + flagged  # type: ignore[operator]
        for register, cause, *times in late:  # type: ignore[attr-defined]
            self.ready.times[register] = [self.time + t for t in times]
            self.ready.causes[register] = cause

    def _fetch(self, instruction: Instruction) -> None:
        """Waits for what brings the instruction; it hides nothing."""
        for group in (instruction.address // FETCH_BYTES, (instruction.end - 1) // FETCH_BYTES):
            if group != self.fetched:
                self.fetched = group
                wait = self.timing.fetch(group * FETCH_BYTES, self.time)
                if wait:
                    self.stalls[FETCH] += wait
                    self.time += wait
                    self.open = False

    def _due(self, issue: Issue) -> tuple[int, int]:
        """When all operands are there, and the cause of the last."""
        due, cause = LONG_AGO, DATA
        if issue.waits_fp and self.fp_free > due:
            due, cause = self.fp_free, FP
        for register, port, late in issue.reads:
            at = self.ready.times[register][port] - late
            if at > due:
                due, cause = at, ADDRESS if port == EARLY and register < 16 else self.ready.causes[register]
        return due, cause

    def _together(self, instruction: Instruction, taken: bool, accesses: Sequence[Access | Division]) -> bool:
        allowed = self.core.pairs(self.before, instruction)
        if allowed == NEVER or (allowed == UNLESS_TAKEN and taken):
            return False
        first = accesses[0] if accesses else None
        if self.core.banked and self.read_at >= 0 and isinstance(first, Access) and not first.write:
            return bool((self.read_at ^ first.address) & 4)
        return True

    def _write(self, issue: Issue, start: int, together: bool, more: int) -> None:
        times = self.ready.times
        early = issue.early == EITHER or (issue.early == OLDER and not together)
        early = early and all(times[register][EARLY] <= start for register, _, _ in issue.reads)
        for register, *after in issue.writes:
            if early:
                after = [0, 1, 1]
            times[register] = [start + more + cycles for cycles in after]
            self.ready.causes[register] = issue.cause

    def _branch(self, instruction: Instruction, taken: bool, following: int, start: int) -> int:
        """Cycles lost by a branch. Conditional branches have a counter each, which begins as if those that go back
        were taken."""
        core = self.core
        near, far = core.mispredicted
        if not (instruction.conditional and near):
            return core.bubble(instruction) if taken else 0
        counter = self.counters.get(instruction.address, 2 if instruction.backward else 1)
        self.counters[instruction.address] = min(counter + 1, 3) if taken else max(counter - 1, 0)
        if taken == (counter >= 2):
            return core.bubble(instruction) if taken else 0
        return far if start - self.flagged >= core.flag_distance else near
