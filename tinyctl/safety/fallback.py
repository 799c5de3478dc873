"""The controller that takes over: the plant's regulator, made for a plant that is not quite the one that was trained.

It is a graph without memory: observations in ranges of their own, the lagged actions, one dense layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinyctl.contract import Contract, Input
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.lag import Lag
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.safety.guard import groups_of
from tinyctl.safety.mining import heavier, starts
from tinyctl.sims.experts.lqr import Law, Regulator
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.loop import close_loop
from tinyctl.sims.plant import Task

SHARES = (0.0, 0.5, 1.0)  # of the way from the nominal weights to the heaviest
RANGES = (0.5, 0.35)  # of the typical magnitudes: a linear law asks for too much far from its rest
FLIGHTS = 128


def choose_fallback(kernel: Kernel, seed: int, delay_s: float) -> tuple[Graph, dict[str, Any]]:
    """Of regulators for weights from the nominal to the heaviest, and with narrower ranges of single sensor groups, the
    one that crashes least, on the nominal plant and on heavier ones. Raises `TinyctlError` where there is none."""
    plant, task = kernel.plant, kernel.task
    flights = [starts(kernel, FLIGHTS, seed + 11), starts(kernel, FLIGHTS, seed + 12, parameters=heavier(plant))]

    def judge(graph: Graph) -> float:
        flown = (_Reserve(graph, task) for _ in flights)
        return float(np.mean([1 - close_loop(kernel, d, c, delay_s=delay_s, keep=0).survived.mean()
                              for d, c in zip(flights, flown, strict=True)]))  # fmt: skip

    nominal, best = plant.nominal(), None
    for share in SHARES:
        heavy = heavier(plant)(np.full((1, len(plant.parameters)), share))[0]
        changes = dict(zip(nominal, (float(v) for v in heavy), strict=True))
        try:
            law = Regulator(replace(plant, variants={"guard": changes}), task, "guard").law
        except TinyctlError:
            continue
        if law is None:
            continue
        scales: dict[str, float] = {}
        score = judge(fallback_graph(task, law, scales))
        for name, _, _ in groups_of(task.contract):
            for scale in RANGES:
                now = judge(fallback_graph(task, law, {**scales, name: scale}))
                if now < score:
                    score, scales = now, {**scales, name: scale}
        if best is None or score < best[0]:
            best = score, law, scales, share
    if best is None:
        raise TinyctlError("no regulator for a fallback", where=f"plant {plant.name}",
                           fix="its observations must show its state")  # fmt: skip
    score, law, scales, share = best
    return fallback_graph(task, law, scales), {"heavier": share, "ranges": scales, "crashed": score}


def fallback_graph(task: Task, law: Law, scales: Mapping[str, float]) -> Graph:
    """The law as a graph; the ranges of the groups in `scales` are these multiples of their typical magnitudes."""
    contract, inputs = task.contract, list(task.contract.inputs[: task.contract.n_obs])
    for name, first, count in groups_of(contract):
        for i in range(first, first + count) if name in scales else ():
            most, s = scales[name] * task.typical[i], inputs[i]
            low, high = max(s.low, -most), min(s.high, most)
            inputs[i] = replace(s, low=low, high=high, on_nan=min(max(s.on_nan, low), high))
    start = contract.initial_applied()
    lagged = [Input(f"lagged_{s.name}"[:63], s.unit, s.frame, s.low, s.high, v)
              for s, v in zip(contract.outputs, start, strict=True)]  # fmt: skip
    own = Contract((*inputs, *lagged), contract.outputs, contract.rate_hz, contract.latency_s)
    weight = np.hstack([law.on_obs, law.on_lag]).astype(F32)
    layers = [("screen", Screen.of(own)), ("law", Dense(weight, law.bias.astype(F32))), ("clip", Clip.of(own))]
    return Graph(own, chain(layers))


class _Reserve(GraphController):
    """A fallback that flies alone: it is given its lagged actions."""

    def __init__(self, graph: Graph, task: Task) -> None:
        super().__init__(graph)
        self._start = np.array(task.contract.initial_applied(), F32)
        self._alpha = Lag(1, (0,), task.lag_s, np.zeros(1, F32)).alpha(graph.contract.rate_hz) if task.lag_s else F32(1)

    def reset(self, n: int) -> None:
        super().reset(n)
        self._applied = np.tile(self._start, (n, 1))
        self._lagged = self._applied.copy()

    def step(self, observations: Array) -> Array:
        self._lagged = self._lagged + self._alpha * (self._applied - self._lagged)
        self._applied = super().step(np.concatenate([observations, self._lagged], axis=1))
        return self._applied
