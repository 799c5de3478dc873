"""Where the cycles of a step go: by layer, and the lost ones by cause."""

from __future__ import annotations

from dataclasses import dataclass

from tinyctl.sims.mcu.pipeline import CAUSES, DATA, FETCH
from tinyctl.sims.mcu.program import STEP
from tinyctl.sims.mcu.trace import Cycles
from tinyctl.trial import Target, Timing

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
