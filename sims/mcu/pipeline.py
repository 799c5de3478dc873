"""A scalar pipeline that executes in order, and what all pipelines have in common. Cores' rules are in a file each.

A core's rules give every instruction its cycles by itself, and what the instruction before adds to it. The fetch unit
and the memories add theirs. Cores that issue two instructions a cycle have `scoreboard.py`. `fast_time.c` does the same
sums on tables that these rules fill; tests hold the two equal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tinyctl.sims.mcu.decode import Decoder, Instruction, Kind

# Why cycles pass in which nothing is executed. `flash` is not counted here: it is what the memories add to `fetch`
# and `data`, found by a second run without wait states.
CAUSES = ("load", "store", "address", "fp", "branch", "unaligned", "fetch", "data", "result")
LOAD, STORE, ADDRESS, FP, BRANCH, UNALIGNED, FETCH, DATA, RESULT = range(len(CAUSES))


@dataclass(frozen=True)
class Access:
    """One data access of an instruction: address, bytes, and whether it writes."""

    address: int
    size: int
    write: bool


@dataclass(frozen=True)
class Division:
    """The operands of a division, as far as they decide how long it takes: see `magnitude`."""

    magnitude: int


MAGNITUDES = 34


def magnitude(dividend: int, divisor: int, signed: bool) -> int:
    """What decides how long a division of two 32-bit words takes: 0 when either is zero, 1 when the dividend has
    fewer bits than the divisor, else 2 more than the bits it has more, signs left out."""
    if signed:
        dividend, divisor = (abs(word - (word >> 31 << 32)) for word in (dividend, divisor))
    if not dividend or not divisor:
        return 0
    return max(dividend.bit_length() - divisor.bit_length(), -1) + 2


def bank(address: int) -> int:
    """A number for the memory behind an address: code, CCM and SRAM of the STM32F4 differ in it, and loads from
    different ones do not pipeline."""
    return address >> 28


class Timing(Protocol):
    """The cycles a memory adds to an access that begins at `time`."""

    def fetch(self, address: int, time: int) -> int: ...

    def data(self, access: Access, time: int, first: bool) -> int:
        """`first`: the access begins a group, as the first of its instruction and not pipelined with a load before."""
        ...


class ZeroWait:
    """Memory that never makes the core wait."""

    def fetch(self, address: int, time: int) -> int:
        return 0

    def data(self, access: Access, time: int, first: bool) -> int:
        return 0


State = tuple[object, ...]


class Executes(Protocol):
    """What every pipeline does: it executes a path and keeps the time."""

    time: int
    stalls: list[int]  # by `CAUSES`; a caller may put another list in its place at any time

    def call(self, target: int) -> None:
        """A BL to `target`: where every measurement begins."""
        ...

    def execute(self, instruction: Instruction, following: int, accesses: Sequence[Access | Division] = ()) -> None:
        """One instruction; the path goes on at address `following`."""
        ...

    def finish(self) -> int:
        """The time when everything has completed."""
        ...

    def state(self) -> State:
        """What decides the time of what follows; of blocks, whose accesses are not known."""
        ...

    def restore(self, state: State) -> None: ...


@dataclass(frozen=True)
class Core(ABC):
    """A core whose cycles can be predicted. `evidence` is a line for the report; `margin` is the share added to a worst
    case."""

    name: str
    title: str
    evidence: str
    margin: float
    decoder: Decoder

    @abstractmethod
    def pipeline(self, timing: Timing | None = None, longest: bool = False) -> Executes:
        """Its pipeline, at rest; `timing` None: no wait states. `longest`: divisions take the most they can."""


@dataclass(frozen=True)
class ScalarCore(Core):
    """The rules of one core. Functions take instructions and give cycles; pairs are (before, instruction).

    `cost`: an instruction by itself, the last cycle of an open load left out. `opens_load`: its last cycle is decided
    by the instruction after it, through `after_load`. `hazards`: what the instruction before adds, by the causes
    store, address and fp. `refill`: more cycles of a taken branch. `divisions`: the cycles of a division by
    `magnitude`, none where they are always those of `cost`, which are the most. `fifo_words` 0: the fetch unit is
    `Direct`, and `fetch_latency` is what a branch loses whose target lies across two words. `banked`: loads from
    different memories do not pipeline. `remembers_branch`: the last branch that was taken backward is predicted to be
    taken when it comes next, all others not to be.
    """

    cost: Callable[[Instruction], int]
    opens_load: Callable[[Instruction], bool]
    after_load: Callable[[Instruction, Instruction], int]
    hazards: Callable[[Instruction, Instruction], tuple[int, int, int]]
    refill: Callable[[Instruction], int]
    fifo_words: int
    fetch_latency: int
    divisions: tuple[int, ...] = ()
    banked: bool = False
    remembers_branch: bool = False

    def pipeline(self, timing: Timing | None = None, longest: bool = False) -> Pipeline:
        return Pipeline(self, timing, longest)

    @property
    def call_refill(self) -> int:
        """The refill of the BL that begins a measurement."""
        return self.refill(CALL)


def unaligned(accesses: Sequence[Access | Division]) -> int:
    """+1 for an access that is not aligned to its size, +2 for a word at an odd address (TRM 3.3.3; +1 fit)."""
    extra = 0
    for access in accesses:
        if isinstance(access, Access) and access.size in (2, 4) and access.address % access.size:
            extra += 2 if access.size == 4 and access.address % 2 else 1
    return extra


class Fetch:
    """The fetch unit: a FIFO of some words, one fetch a cycle, each usable some cycles after its issue.

    Once full it takes an extra cycle to start again. With three words and two cycles, as on the Cortex-M4, out of
    this fall the lost cycle of three unaligned 32-bit instructions after a slow one, and that of a branch to an
    unaligned 32-bit instruction (fit).
    """

    def __init__(self, timing: Timing, words: int, latency: int) -> None:
        self.timing = timing
        self.words = words
        self.latency = latency
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
        while len(self.ready) < self.words and self.next_issue <= time:
            wait = self.timing.fetch(self.head + 4 * len(self.ready), self.next_issue)
            self.ready.append(self.next_issue + self.latency + wait)
            self.next_issue += 1 + wait

    def take(self, instruction: Instruction, time: int) -> int:
        """When the instruction can execute, not before `time`; the words it used up leave."""
        last = (instruction.end - 1 - self.head) // 4
        while len(self.ready) <= last:
            self.advance(self.next_issue)
        start = max(time, self.ready[last])
        self.advance(start - 1)
        full = len(self.ready) == self.words and self.next_issue < start
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


class Direct:
    """A fetch unit without a FIFO: waits for the memory at each new word of code, and hides nothing of it. A branch to
    an instruction that lies across two words loses `split` cycles."""

    def __init__(self, timing: Timing, split: int) -> None:
        self.timing = timing
        self.split = split
        self.word = -1  # the last one fetched, -1 behind a branch

    def jump(self, target: int, time: int) -> None:
        self.word = -1

    def take(self, instruction: Instruction, time: int) -> int:
        first, last = instruction.address // 4, (instruction.end - 1) // 4
        if self.word < 0 and first != last:
            time += self.split
        for word in (first, last):
            if word != self.word:
                self.word = word
                time += self.timing.fetch(4 * word, time)
        return time

    def state(self, time: int) -> State:
        return (self.word < 0,)  # of blocks, which have no wait states

    def restore(self, state: State, time: int) -> None:
        self.word = -1 if state[0] else 0


NOTHING = Instruction(0, 2, "", Kind.OTHER)


class Pipeline:
    """The scalar pipeline. `time` is when the next instruction could execute."""

    def __init__(self, core: ScalarCore, timing: Timing | None = None, longest: bool = False) -> None:
        self.core = core
        self.divisions = () if longest else core.divisions
        self.timing: Timing = timing or ZeroWait()
        self.fetch: Fetch | Direct = Direct(self.timing, core.fetch_latency)
        if core.fifo_words:
            self.fetch = Fetch(self.timing, core.fifo_words, core.fetch_latency)
        self.time = 0
        self.before = NOTHING
        self.open_load = False  # the last cycle of the load before is not decided yet
        self.loaded_from = -1  # its bank, -1 where unknown
        self.remembered = -1  # the address of the last branch taken backward
        self.stalls = [0] * len(CAUSES)

    def call(self, target: int) -> None:
        self._close()
        self._branch(target, self.core.call_refill, 1)
        self.before = NOTHING

    def execute(self, instruction: Instruction, following: int, accesses: Sequence[Access | Division] = ()) -> None:
        core, before, stalls = self.core, self.before, self.stalls
        pipelined = False
        place = bank(accesses[0].address) if accesses and isinstance(accesses[0], Access) else -1
        if self.open_load:
            apart = core.banked and place != self.loaded_from and -1 not in (place, self.loaded_from)
            second = 1 if apart else core.after_load(before, instruction)
            stalls[LOAD] += second
            self.time += second
            pipelined = not second
        store, address, fp = core.hazards(before, instruction)
        stalls[STORE] += store
        stalls[ADDRESS] += address
        stalls[FP] += fp
        due = self.time + store + address + fp
        start = self.fetch.take(instruction, due)
        stalls[FETCH] += start - due
        misaligned = unaligned(accesses)
        cycles, waited = core.cost(instruction), 0
        for number, access in enumerate(accesses):
            if isinstance(access, Access):
                waited += self.timing.data(access, start + number + waited, number == 0 and not pipelined)
            elif self.divisions:
                cycles = self.divisions[access.magnitude]
        stalls[UNALIGNED] += misaligned
        stalls[DATA] += waited
        cycles += misaligned + waited
        self.time = start
        taken = following != instruction.end
        refill = self._refill(instruction, taken)
        if taken:
            self._branch(following, refill, cycles)
        else:
            self.time += cycles + refill
            stalls[BRANCH] += refill
        self.before = instruction
        self.open_load = core.opens_load(instruction)
        self.loaded_from = place if self.open_load else -1

    def finish(self) -> int:
        self._close()
        return self.time

    def state(self) -> State:
        return (self.before, self.open_load, self.remembered, self.fetch.state(self.time))

    def restore(self, state: State) -> None:
        self.before, self.open_load, self.remembered, fetch = state  # type: ignore[assignment]
        self.fetch.restore(fetch, self.time)  # type: ignore[arg-type]

    def _refill(self, instruction: Instruction, taken: bool) -> int:
        """Extra cycles of a branch: when taken, or when not predicted right."""
        core = self.core
        if not (core.remembers_branch and instruction.conditional):
            return core.refill(instruction) if taken else 0
        expected = instruction.address == self.remembered
        if taken and instruction.backward:
            self.remembered = instruction.address
        elif expected and not taken:
            self.remembered = -1
        return core.refill(instruction) if taken != expected else 0

    def _close(self) -> None:
        self.stalls[LOAD] += int(self.open_load)
        self.time += int(self.open_load)
        self.open_load = False

    def _branch(self, target: int, extra: int, cycles: int) -> None:
        """Leave for `target` after `cycles`: its first instruction, if in one word, executes `extra` later."""
        self.time += cycles
        self.fetch.jump(target, self.time + extra - self.core.fetch_latency)
        self.time += extra
        self.stalls[BRANCH] += extra


CALL = Instruction(0, 4, "bl", Kind.BRANCH, writes_pc=True)
