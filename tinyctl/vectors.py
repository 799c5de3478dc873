"""Observation sequences that look for trouble, and the steps stored with every emitted unit."""

from __future__ import annotations

import numpy as np

from tinyctl.contract import Contract
from tinyctl.graph import Graph
from tinyctl.integer_entry import IntegerEntry
from tinyctl.layers.base import F32, Array

STORED_STEPS = 24
SPECIAL = np.array(
    [
        0.0,
        -0.0,
        1e-45,
        -1e-45,
        1.17549435e-38,
        -1e-39,
        3.4028235e38,
        -3.4028235e38,
        np.inf,
        -np.inf,
        np.nan,
        -np.nan,
        1.0,
        -1.0,
    ],
    F32,
)


def observations(contract: Contract, steps: int, seed: int, special: float = 0.02) -> Array:
    """(steps, n_obs) float32: values inside, at and beyond the contract's ranges and at many magnitudes, a share of
    them replaced by zeros of both signs, subnormals, the largest floats, infinities and NaN."""
    rng = np.random.default_rng(seed)
    signals = [s for s in contract.inputs if s.source == "observation"]
    low, high = (np.array([getattr(s, side) for s in signals]) for side in ("low", "high"))
    shape = (steps, len(signals))
    middle, half = (low + high) / 2, (high - low) / 2
    spread = rng.choice([1e-6, 1e-3, 0.1, 0.5, 1.0, 1.5], size=(steps, 1))
    values = (middle + half * spread * rng.uniform(-1, 1, shape)).astype(F32)
    corners = rng.random((steps, 1)) < 0.1
    values = np.where(corners, np.where(rng.random(shape) < 0.5, low, high).astype(F32), values)
    # Whole rows stay ordinary most of the time, so that the stateful layers move.
    hit = (rng.random(shape) < 0.3) & (rng.random((steps, 1)) < special * 10)
    return np.where(hit, rng.choice(SPECIAL, size=shape), values).astype(F32)


def integer_observations(entry: IntegerEntry, n_obs: int, steps: int, seed: int) -> Array:
    """(steps, n_obs) of the entry's type: inside and beyond the ranges, the type's ends, no measurement at times."""
    rng = np.random.default_rng(seed)
    limits = np.iinfo(entry.obs_type)
    low, high = entry.low[:n_obs].astype(np.int64), entry.high[:n_obs].astype(np.int64)
    shape = (steps, n_obs)
    values = np.where(rng.random((steps, 1)) < 0.2, rng.integers(limits.min + 1, limits.max + 1, shape), 0)
    values = np.where(values == 0, low + ((high - low) * rng.random(shape)).astype(np.int64), values)
    special = rng.choice([limits.min, limits.min + 1, limits.max, 0, -1, 1], shape)
    hit = (rng.random(shape) < 0.3) & (rng.random((steps, 1)) < 0.3)
    return np.where(hit, special, values).astype(entry.obs_type)


def stored_q_steps(graph: Graph) -> list[tuple[Array, Array, int]]:
    """(observation, action, status) of the integer entry, of one sequence from the initial state; empty without one."""
    entry, state, steps = graph.integer_entry, graph.init(1), []
    if entry is not None:
        for obs in integer_observations(entry, graph.contract.n_obs, STORED_STEPS, seed=0):
            action, state = graph.run_q(obs[None], state)
            steps.append((obs, action[0], int(state.status[0])))
    return steps


def stored_steps(graph: Graph) -> list[tuple[Array, Array, int]]:
    """(observation, action, status) of one sequence from the initial state."""
    state = graph.init(1)
    steps = []
    for obs in observations(graph.contract, STORED_STEPS, seed=0, special=0.04):
        action, state = graph.run(obs[None], state)
        steps.append((obs, action[0], int(state.status[0])))
    return steps
