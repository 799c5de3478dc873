"""Where the cycles of a step go: by layer and by source line, and the lost ones by cause."""

from __future__ import annotations

from dataclasses import dataclass

from tinyctl.debug import Lines, Source
from tinyctl.sims.mcu.cores import CORES
from tinyctl.sims.mcu.fast import FastTracer
from tinyctl.sims.mcu.pipeline import CAUSES, DATA, FETCH
from tinyctl.sims.mcu.program import STEP, Program
from tinyctl.sims.mcu.trace import Cycles, PythonTracer, Tracer
from tinyctl.trial import Target, Timing, Trial, prepare

# What is reported, in this order; `work` is what is left: each instruction's own cycles.
SHOWN = ("load", "store", "address", "fp", "result", "branch", "unaligned", "fetch", "flash")


@dataclass(frozen=True)
class LayerCycles:
    """Cycles of one node's function, callees included: with the board's memory warm, and without wait states.

    `stalls` are those of `cycles` in which nothing was executed, by cause: the second cycle of a load whose
    successor could not join it, a load behind a store, an address made just before, an FP or another result
    used too early, the refill after a taken branch, unaligned accesses, the fetch unit, and waiting for flash or a slow
    RAM.
    """

    name: str
    kind: str
    format: str
    cycles: int
    cycles_zero_wait: int
    stalls: dict[str, int]


def layers(target: Target, timing: Timing) -> tuple[LayerCycles, ...]:
    """One for each node of a controller in the order of execution, and one for the function that was called."""
    nodes = target.image.descriptor.nodes if target.initialise else ()
    named = [(i, node.name, node.kind, node.format) for i, node in enumerate(nodes)]
    named.append((STEP, target.name, "step" if target.initialise else "function", ""))
    return tuple(
        LayerCycles(
            name,
            kind,
            form,
            timing.typical.parts[part],
            timing.zero_wait.parts[part],
            stalls(timing.typical, timing.zero_wait, part),
        )
        for part, name, kind, form in named
    )


def stalls(typical: Cycles, zero_wait: Cycles, part: int) -> dict[str, int]:
    """Lost cycles of one part by cause. What memories add to the waits for instructions and data is `flash`."""
    nothing = [0] * len(CAUSES)
    waiting, without = typical.stalls.get(part, nothing), zero_wait.stalls.get(part, nothing)
    found = dict(zip(CAUSES, waiting, strict=True))
    found["fetch"] = without[FETCH]
    found["flash"] = waiting[FETCH] - without[FETCH] + waiting[DATA]
    return {cause: found[cause] for cause in SHOWN}


# --- by source line --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineCycles:
    """Cycles of the instructions of one source line within one function, what it calls left out: as in
    `LayerCycles`. `line` is 0 and `file` empty where the program does not say. A cycle lost between two instructions
    counts to the second, which is the one that waits."""

    file: str
    line: int
    function: str
    cycles: int
    cycles_zero_wait: int
    stalls: dict[str, int]


class _ByLine(Program):
    """A program whose parts are source lines instead of nodes, numbered as they are met."""

    def __init__(self, program: Program, lines: Lines) -> None:
        super().__init__(program.image, "", program.decoder)
        self._lines = lines
        self._instructions = program._instructions  # decoded already
        self.numbers: dict[tuple[str, Source | None], int] = {}

    @property
    def n_nodes(self) -> int:
        return len(self.numbers)

    def part(self, address: int) -> int:
        found = self._parts.get(address)
        if found is None:
            function = self.image.function_at(address)
            place = ("" if function is None else function.name, self._lines.at(address))
            found = self._parts[address] = self.numbers.setdefault(place, len(self.numbers))
        return found


def by_line(trial: Trial, timing: Timing, lines: Lines) -> tuple[LineCycles, ...]:
    """The typical call once more, attributed to source lines, most cycles first; their sum is the call's."""
    program = _ByLine(trial.program, lines)
    used = type(trial.tracer) if isinstance(trial.tracer, PythonTracer) else FastTracer
    tracer: Tracer = used(trial.machine, program, CORES[trial.target.board.core])
    prepare(trial, timing.call)
    with tracer.walks() as record:
        walk = record(trial.target.address, *trial.target.arguments)
    memories = tracer.memories()
    tracer.time_walk(walk, memories)
    typical, zero_wait = tracer.time_walk(walk, memories), tracer.time_walk(walk, None)
    entry = program.part(trial.target.address)
    for cycles in (typical, zero_wait):  # the call itself, before any line: its cycles are with the first one's
        called = cycles.stalls.pop(STEP, [0] * len(CAUSES))
        cycles.stalls[entry] = [a + b for a, b in zip(cycles.stalls[entry], called, strict=True)]
    found = [
        LineCycles(
            source.file if source else "",
            source.line if source else 0,
            function,
            typical.parts[number],
            zero_wait.parts[number],
            stalls(typical, zero_wait, number),
        )
        for (function, source), number in program.numbers.items()
    ]
    return tuple(sorted(found, key=lambda row: (-row.cycles, row.file, row.line, row.function)))
