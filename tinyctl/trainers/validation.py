"""The validation episodes, flown by a policy as it is so far: a point of the training's curve, and the estimates."""

from __future__ import annotations

import math
import time

from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.policy import Policy
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.loop import Controller, Draws, Estimate, close_loop
from tinyctl.trainers.result import CurvePoint

Estimates = tuple[Estimate, dict[str, Estimate | None]]  # of the survival, and of each score


def validate(
    kernel: Kernel, flights: Draws, flown_by: Policy | Controller, iteration: int, cost: float, started: float
) -> tuple[CurvePoint, Estimates]:
    """Fly `flights` with the delay of the contract. `cost` is the training's since the validation before, `started`
    when it began, of `time.perf_counter`."""
    pilot = GraphController(Graph(flown_by.contract, flown_by.nodes)) if isinstance(flown_by, Policy) else flown_by
    flown = close_loop(kernel, flights, pilot, delay_s=kernel.task.contract.latency_s, keep=1)
    survival, scores = flown.survival(), {s.name: flown.score(s.name) for s in kernel.task.scores}
    first = next(iter(scores.values()), None)
    score = first.value if first else math.nan
    return CurvePoint(iteration, cost, survival.value, score, time.perf_counter() - started), (survival, scores)
