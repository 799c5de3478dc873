"""Where the cycles of a step go: by layer and by source line, and the lost ones by cause."""

from __future__ import annotations

from collections import Counter
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


# --- by source line and instruction ----------------------------------------------------------------------------------

MOST_INSTRUCTIONS = 40


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


@dataclass(frozen=True)
class InstructionCycles:
    """The same of one instruction, which a line of assembly has many of; `text` as the disassembler writes it."""

    address: int
    text: str
    function: str
    cycles: int
    cycles_zero_wait: int
    stalls: dict[str, int]


class _ByAddress(Program):
    """A program whose parts are instructions instead of nodes, numbered as they are met."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.image, "", program.decoder)
        self._instructions = program._instructions  # decoded already
        self.numbers: dict[int, int] = {}

    @property
    def n_nodes(self) -> int:
        return len(self.numbers)

    def part(self, address: int) -> int:
        return self.numbers.setdefault(address, len(self.numbers))


def by_line(trial: Trial, timing: Timing, lines: Lines) -> tuple[tuple[LineCycles, ...], tuple[InstructionCycles, ...]]:
    """The typical call once more, attributed to source lines, whose sum is the call's, and to the instructions that
    take most of it; the most cycles first."""
    program = _ByAddress(trial.program)
    used = type(trial.tracer) if isinstance(trial.tracer, PythonTracer) else FastTracer
    tracer: Tracer = used(trial.machine, program, CORES[trial.target.board.core])
    prepare(trial, timing.call)
    with tracer.walks() as record:
        walk = record(trial.target.address, *trial.target.arguments)
    memories = tracer.memories()
    tracer.time_walk(walk, memories)
    typical, zero_wait = tracer.time_walk(walk, memories), tracer.time_walk(walk, None)
    entry = program.part(trial.target.address)
    for cycles in (typical, zero_wait):  # the call itself, before any instruction: its cycles are with the first one's
        called = cycles.stalls.pop(STEP, [0] * len(CAUSES))
        cycles.stalls[entry] = [a + b for a, b in zip(cycles.stalls[entry], called, strict=True)]
    singly = []
    together: dict[tuple[str, Source | None], Counter[str]] = {}
    for address, number in program.numbers.items():
        holder = program.image.function_at(address)
        function = "" if holder is None else holder.name
        figures = {"cycles": typical.parts[number], "cycles_zero_wait": zero_wait.parts[number]}
        lost = stalls(typical, zero_wait, number)
        text = program.instruction(address).text
        singly.append(InstructionCycles(address, text, function, **figures, stalls=lost))
        together.setdefault((function, lines.at(address)), Counter()).update(figures | lost)
    listed = [
        LineCycles(
            source.file if source else "",
            source.line if source else 0,
            function,
            sums["cycles"],
            sums["cycles_zero_wait"],
            {cause: sums[cause] for cause in SHOWN},
        )
        for (function, source), sums in together.items()
    ]
    return (
        tuple(sorted(listed, key=lambda row: (-row.cycles, row.file, row.line, row.function))),
        tuple(sorted(singly, key=lambda row: (-row.cycles, row.address))[:MOST_INSTRUCTIONS]),
    )
