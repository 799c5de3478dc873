"""Cycles of the Cortex-M4F: a table of costs, then the hazards between instructions, then the fetch unit.

EVIDENCE. There is no board behind this file. Sources, named rule by rule below:

    TRM     ARM 100166, Cortex-M4 Technical Reference Manual: table 3-1, section 3.3.3 (load/store timings), table 7-1
    fit     rules and constants that other people's cycle counts on STM32F407 and STM32L4R5 boards ask for, as
            collected in this project's notes; the figures for groups of unaligned 32-bit instructions and for branches
            to them agree with an independent bench on an STM32L4 (compendium.i-0.nl, "instruction alignment")

Compared with published measurements: within 0.4 % on three integer programs of 0.4 million cycles each, docs/timing.md.

A rule marked TRM alone has not been confirmed by a measured binary known to us: VMLA/VFMA 3, VDIV and VSQRT 14 and the
delay of FP results, the refill of indirect branches. What the model gives is "predicted", never "guaranteed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tinyctl.sims.mcu.decode import Instruction, Kind

FIFO_WORDS = 3
FETCH_LATENCY = 2  # cycles from the issue of a fetch to the execution of what it brings
DIRECT_REFILL = 1  # extra cycles of a taken branch: the P of the TRM, 1 to 3, is 1 for direct branches (fit)
INDIRECT_REFILL = 2  # and 2 where the address comes from a register or from memory (TRM)
DIVIDE = 12  # UDIV and SDIV take 2 to 12 by operands (TRM); a prediction of the worst case takes 12
FP_DIVIDE = 14  # VDIV, VSQRT (TRM table 7-1)

CYCLES = {
    Kind.ALU: 1,
    Kind.OTHER: 1,
    Kind.DIVIDE: DIVIDE,
    Kind.BRANCH: 1,
    Kind.BRANCH_REGISTER: 1,
    Kind.TABLE_BRANCH: 2,
    Kind.LOAD: 1,
    Kind.STORE: 1,
    Kind.FP: 1,
    Kind.FP_MAC: 3,
    Kind.FP_DIVIDE: FP_DIVIDE,
    Kind.FP_MOVE_PAIR: 2,
}
MULTIPLES = frozenset(
    {
        Kind.LOAD_MULTIPLE,
        Kind.STORE_MULTIPLE,
        Kind.FP_LOAD,
        Kind.FP_STORE,
        Kind.FP_LOAD_MULTIPLE,
        Kind.FP_STORE_MULTIPLE,
    }
)
FP_ARITHMETIC = frozenset({Kind.FP, Kind.FP_MAC, Kind.FP_DIVIDE})


@dataclass(frozen=True)
class Access:
    """One data access of an instruction: address, bytes, and whether it writes."""

    address: int
    size: int
    write: bool


class Timing(Protocol):
    """The cycles a memory adds to an access that begins at `time`."""

    def fetch(self, address: int, time: int) -> int: ...

    def data(self, access: Access, time: int) -> int: ...


class ZeroWait:
    """Memory that never makes the core wait."""

    def fetch(self, address: int, time: int) -> int:
        return 0

    def data(self, access: Access, time: int) -> int:
        return 0


State = tuple[object, ...]


def cost(instruction: Instruction) -> int:
    """Cycles of an instruction by itself: TRM table 3-1 and table 7-1.

    A load costs 1 here: its second cycle is decided by the instruction that follows. Multiples and all FP loads and
    stores cost 1 + words.
    """
    if instruction.kind in MULTIPLES:
        return 1 + instruction.words
    if instruction.kind is Kind.STORE and instruction.register_offset:
        return 2  # the third register is read in a cycle of its own: TRM 3.3.3, weak evidence
    if instruction.kind is Kind.LOAD and instruction.writes_pc:
        return 2  # a blocking operation: TRM 3.3.3
    return CYCLES[instruction.kind]


def second_load_cycle(load: Instruction, following: Instruction) -> int:
    """1 unless `following` pipelines with the single load before it (TRM 3.3.3; fit).

    It does when it is a single load or store whose address does not come from the load. A literal (from flash) and a
    load from elsewhere do not pipeline with each other.
    """
    alike = following.kind is Kind.STORE or (following.kind is Kind.LOAD and load.literal == following.literal)
    return int(not alike or bool(load.loaded & following.address_registers))


def load_after_store(before: Instruction, instruction: Instruction) -> int:
    """+1 for a single load right after a single store: the write buffer has the bus (TRM 3.3.3; fit).

    A store with register offset has spent that cycle already.
    """
    return int(instruction.kind is Kind.LOAD and before.kind is Kind.STORE and not before.register_offset)


def address_from_alu(before: Instruction, instruction: Instruction) -> int:
    """+1 when the address uses what the ALU operation before made: no forwarding path (TRM 3.3.3)."""
    return int(bool(before.result & instruction.address_registers))


def fp_result_used(before: Instruction, instruction: Instruction) -> int:
    """+1 when the next instruction uses an FP result, except as the addend of a multiply-accumulate (TRM table 7-1,
    note)."""
    return int(before.kind in FP_ARITHMETIC and bool(before.fp_writes & instruction.fp_reads))


def unaligned(accesses: Sequence[Access]) -> int:
    """+1 for an access that is not aligned to its size, +2 for a word at an odd address (TRM 3.3.3; +1 fit)."""
    extra = 0
    for access in accesses:
        if access.size in (2, 4) and access.address % access.size:
            extra += 2 if access.size == 4 and access.address % 2 else 1
    return extra


def refill(instruction: Instruction) -> int:
    """Extra cycles when the instruction branches."""
    return DIRECT_REFILL if instruction.kind is Kind.BRANCH else INDIRECT_REFILL


class Fetch:
    """The fetch unit: a FIFO of three words, one fetch a cycle, usable two cycles after its issue (fit).

    Once full it takes an extra cycle to start again. Out of this fall the lost cycle of three unaligned 32-bit
    instructions after a slow one, and that of a branch to an unaligned 32-bit instruction.
    """

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.head = 0  # the address of the oldest word kept
        self.ready: list[int] = []  # when each word kept or on its way can be used
        self.next_issue = 0

    def jump(self, target: int, time: int) -> None:
        """Drop everything; the first word of `target` is fetched at `time`."""
        self.head = target & ~3
        self.ready.clear()
        self.next_issue = time

    def advance(self, time: int) -> None:
        """Issue what can be issued up to `time`."""
        while len(self.ready) < FIFO_WORDS and self.next_issue <= time:
            wait = self.timing.fetch(self.head + 4 * len(self.ready), self.next_issue)
            self.ready.append(self.next_issue + FETCH_LATENCY + wait)
            self.next_issue += 1 + wait

    def take(self, instruction: Instruction, time: int) -> int:
        """When the instruction can execute, not before `time`; the words it used up leave."""
        last = (instruction.end - 1 - self.head) // 4
        while len(self.ready) <= last:
            self.advance(self.next_issue)
        start = max(time, self.ready[last])
        self.advance(start - 1)
        full = len(self.ready) == FIFO_WORDS and self.next_issue < start
        used = (instruction.end - self.head) // 4
        if used:
            if full:
                self.next_issue = start + 1
            del self.ready[:used]
            self.head += 4 * used
        self.advance(start)
        return start

    def state(self, time: int) -> State:
        """What decides the future, relative to `time`."""
        self.advance(time)
        return (self.head, tuple(max(ready - time, 0) for ready in self.ready), max(self.next_issue - time, -1))

    def restore(self, state: State, time: int) -> None:
        self.head, ready, next_issue = state  # type: ignore[assignment]
        self.ready = [time + wait for wait in ready]  # type: ignore[attr-defined]
        self.next_issue = time + next_issue  # type: ignore[operator]


_NOTHING = Instruction(0, 2, "", Kind.OTHER)


class Pipeline:
    """Executes a path and keeps the time. `time` is when the next instruction could execute."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing: Timing = timing or ZeroWait()
        self.fetch = Fetch(self.timing)
        self.time = 0
        self.before = _NOTHING
        self.open_load = False  # the second cycle of the load before is not decided yet

    def call(self, target: int) -> None:
        """A BL to `target`: where every measurement begins."""
        self._close()
        self._branch(target, DIRECT_REFILL, 1)
        self.before = _NOTHING

    def execute(self, instruction: Instruction, following: int, accesses: Sequence[Access] = ()) -> None:
        """One instruction; the path goes on at address `following`."""
        before = self.before
        if self.open_load:
            self.time += second_load_cycle(before, instruction)
        hazards = (
            load_after_store(before, instruction)
            + address_from_alu(before, instruction)
            + fp_result_used(before, instruction)
        )
        start = self.fetch.take(instruction, self.time + hazards)
        cycles = cost(instruction) + unaligned(accesses)
        for number, access in enumerate(accesses):
            cycles += self.timing.data(access, start + number)
        self.time = start
        if following != instruction.end:
            self._branch(following, refill(instruction), cycles)
        else:
            self.time += cycles
        self.before = instruction
        self.open_load = instruction.kind is Kind.LOAD and not instruction.writes_pc

    def finish(self) -> int:
        """The time when everything has completed."""
        self._close()
        return self.time

    def state(self) -> State:
        return (self.before, self.open_load, self.fetch.state(self.time))

    def restore(self, state: State) -> None:
        self.before, self.open_load, fetch = state  # type: ignore[assignment]
        self.fetch.restore(fetch, self.time)  # type: ignore[arg-type]

    def _close(self) -> None:
        self.time += int(self.open_load)
        self.open_load = False

    def _branch(self, target: int, extra: int, cycles: int) -> None:
        """Leave for `target` after `cycles`: its first instruction, if in one word, executes `extra` later."""
        self.time += cycles
        self.fetch.jump(target, self.time + extra - FETCH_LATENCY)
        self.time += extra
