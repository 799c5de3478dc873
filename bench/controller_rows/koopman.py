"""Koopman modes: a linear plant's eigenvalues, and from where the pendulum is brought upright, beside LQR."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import tinyctl
from controller_rows import Figure, cost
from tinyctl.graph import Graph
from tinyctl.koopman import decompose
from tinyctl.layers.base import F32, Array
from tinyctl.sims.experts.lqr import gain_at, make
from tinyctl.sims.experts.model import Model, find_rest, model_of
from tinyctl.trainers.koopman import train

EXACT, SEEDS, UPRIGHT, PERIODS = 1e-6, range(5), 0.05, 400


def figures() -> Iterator[Figure]:
    off = _linear()
    yield Figure("eigenvalues of the mass-spring pair, off by", f"{off:.1e}", f"at most {EXACT:g}", off <= EXACT)
    plant = tinyctl.plant("pendulum")
    model = model_of(plant, plant.task())
    policies = [train(plant, seed=seed).policy for seed in SEEDS]
    by_lqr = _upright(model, make(plant, plant.task()).act)
    for seed, policy in zip(SEEDS, policies, strict=True):
        graph = Graph(policy.contract, policy.nodes)
        ours = _upright(model, lambda x, g=graph: g.run(np.array(model.observe(x.T)).T.astype(F32), g.init(len(x)))[0])
        lost = (by_lqr & ~ours).sum() / by_lqr.sum()
        told = f"{ours.mean():.1%}, LQR {by_lqr.mean():.1%}, of whose starts {lost:.1%} are lost"
        yield Figure(f"starts brought upright, seed {seed}", told, "at least LQR's", not lost)
    yield Figure("on the board", cost(policies[0]))


def _linear() -> float:
    plant = tinyctl.plant("mass_spring")
    model = model_of(plant, plant.task())
    rng = np.random.default_rng(0)
    x, u = rng.standard_normal((400, 4)), rng.standard_normal((400, 2))
    after = np.array(model.step(np.hstack([x, np.zeros((400, 2))]).T, u.T)).T[:, :4]
    true = np.linalg.eigvals(gain_at(model, find_rest(model)).a)
    modes = decompose(x, u, after, true)
    assert modes is not None
    return float(np.abs(modes.values - true).max())


def _upright(model: Model, law: Callable[[Array], Array]) -> Array:
    """Which starts of a grid over all angles and +-8 rad/s end upright and at rest, without noise or disturbance."""
    angle, rate = np.meshgrid(np.linspace(-np.pi, np.pi, 61), np.linspace(-8, 8, 41))
    x = np.stack([angle.ravel(), rate.ravel()], axis=1)
    for _ in range(PERIODS):
        x = np.array(model.step(x.T, law(x).T)).T
    return np.asarray((np.cos(x[:, 0]) > np.cos(UPRIGHT)) & (np.abs(x[:, 1]) < UPRIGHT))
