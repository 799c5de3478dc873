"""A guarded controller for tests, made without flights, and observations that try it."""

from __future__ import annotations

import numpy as np

from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.safety.fallback import fallback_graph
from tinyctl.safety.guard import Guard, Guarded, Monitor, Rules
from tinyctl.safety.making import unlimited
from tinyctl.sims.experts.lqr import make
from tinyctl.sims.plants import load_plant

LIMITS = {"p_x": 0.01, "r_xx": 0.05, "v_x": 0.1, "w_x": 0.9}
RULES = Rules(hold=5, faults=3, blind=4, dwell=6, rearm=8, trips=3)  # soon, so that a short test sees all of it


def make_guarded() -> Guarded:
    """The quadrotor's regulator, guarded: an alarm when it leans."""
    plant = load_plant("quadrotor")
    task = plant.task("hover")
    regulator = make(plant, task)
    policy = regulator.policy()
    assert regulator.law is not None
    groups = tuple(g.limited(LIMITS[g.name]) for g in unlimited(policy.contract, task))
    monitor = Monitor(18, (11, 30, 33), (-40.0, 0.5, 1e-3), 30.0, 0.2, 1.0)
    fallback = fallback_graph(task, regulator.law, {"p_x": 0.5})
    return Guarded(policy.contract, policy.nodes, Guard(groups, monitor, RULES, 0.15, fallback))


def trouble(graph: Graph, steps: int, n: int, seed: int) -> Array:
    """(steps, n, n_obs): smooth observations in range, at times frozen, flipped, jumped, far out, no numbers."""
    rng = np.random.default_rng(seed)
    signals = graph.contract.inputs[: graph.contract.n_obs]
    high = np.array([s.high for s in signals], np.float32)
    x = np.tile(np.array([s.on_nan for s in signals], np.float32), (n, 1))
    found = np.empty((steps, *x.shape), np.float32)
    fault, left = np.zeros(n, int), np.zeros(n, int)
    column = np.zeros(n, int)
    for k in range(steps):
        x = np.clip(x + rng.normal(size=x.shape) * 1e-3 * high, -high, high).astype(np.float32)
        fresh = (left == 0) & (rng.random(n) < 0.05)
        fault = np.where(fresh, rng.integers(1, 7, n), np.where(left > 0, fault, 0))
        left = np.where(fresh, rng.integers(1, 12, n), np.maximum(left - 1, 0))
        column = np.where(fresh, rng.integers(0, x.shape[1], n), column)
        found[k] = x
        for row in np.flatnonzero(fault):
            o = found[k, row]
            if fault[row] == 1:
                found[k, row] = found[k - 1, row] if k else o
            elif fault[row] == 2:
                found[k, row] = -o
            elif fault[row] == 3:
                o[column[row]] += np.float32(rng.normal()) * high[column[row]]
            elif fault[row] == 4:
                o[column[row]] = rng.choice(np.array([1e3, -1e6, 3e38, 1e-42], np.float32))
            elif fault[row] == 5:
                o[column[row]] = rng.choice(np.array([np.nan, -np.nan, np.inf, -np.inf], np.float32))
            else:
                found[k, row] = rng.normal(size=len(o)).astype(np.float32) * high
    return found
