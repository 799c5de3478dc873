"""Koopman modes: exact on a linear plant, refused where data deny them; the policy holds what its regulator holds."""

from __future__ import annotations

import numpy as np
import pytest

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.koopman import decompose
from tinyctl.layers.base import Array
from tinyctl.sims.experts.lqr import gain_at, make
from tinyctl.sims.experts.model import find_rest, model_of
from tinyctl.trainers.koopman import Config, excite, train


def test_a_linear_plants_eigenvalues() -> None:
    plant = tinyctl.plant("mass_spring")
    model = model_of(plant, plant.task())
    a = gain_at(model, find_rest(model)).a
    rng = np.random.default_rng(0)
    s, u = rng.standard_normal((400, 4)), rng.standard_normal((400, 2))
    after = np.array(model.step(np.hstack([s, np.zeros((400, 2))]).T, u.T)).T[:, :4]
    junk = 0.1 * rng.standard_normal((2, 400, 3))  # columns that do not follow from the ones before
    true = np.linalg.eigvals(a)
    modes = decompose(np.hstack([s, junk[0]]), u, np.hstack([after, junk[1]]), true)
    assert modes is not None
    assert np.abs(modes.values - true).max() < 1e-6
    assert modes.residuals.max() < 1e-6
    assert np.abs(np.sort(np.linalg.eigvals(modes.a)) - np.sort(true)).max() < 1e-6


def test_what_is_no_mode_misses() -> None:
    rng = np.random.default_rng(1)
    s = rng.standard_normal((400, 2))
    after = np.stack([0.9 * s[:, 0], np.abs(s[:, 1])], axis=1)
    modes = decompose(s, np.zeros((400, 1)), after, np.array([0.9, 0.0]))
    assert modes is not None
    assert modes.residuals[0] < 1e-9
    assert modes.residuals[1] > 0.5
    assert decompose(s[:, :1], np.zeros((400, 1)), after[:, :1], np.array([0.9, 0.5])) is None


def test_it_holds_what_the_regulator_holds() -> None:
    plant = tinyctl.plant("pendulum")
    task = plant.task()
    model = model_of(plant, task)
    policy = train(plant, config=Config(degree=2, periods=(16, 20, 24), validation_episodes=50)).policy
    graph = Graph(policy.contract, policy.nodes)

    def held(law: object) -> Array:
        angle, rate = np.meshgrid(np.linspace(-0.6, 0.6, 13), np.linspace(-2, 2, 9))
        x = np.stack([angle.ravel(), rate.ravel()], axis=1)
        for _ in range(300):
            x = np.array(model.step(x.T, law(x).T)).T  # type: ignore[operator]
        return np.asarray(np.abs(x).max(axis=1) < 0.05)

    by_modes = held(lambda x: graph.run(np.array(model.observe(x.T)).T.astype(np.float32), graph.init(len(x)))[0])
    by_jacobian = held(make(plant, task).act)
    assert by_modes[by_jacobian].all()
    assert by_modes.sum() >= by_jacobian.sum() > 20


def test_what_it_cannot_do_is_said() -> None:
    pendulum = tinyctl.plant("pendulum")
    with pytest.raises(TinyctlError, match="no modes passed: the best lift's miss"):
        train(pendulum, config=Config(degree=2, periods=(60,), tolerance=1e-3))
    with pytest.raises(TinyctlError, match="leave no lift to try"):
        train(pendulum, config=Config(degree=1))
    with pytest.raises(TinyctlError, match="holds one rest"):
        train(tinyctl.plant("mass_spring"))
    model = model_of(pendulum, pendulum.task())
    x, u, _ = excite(model, find_rest(model), 10, 100, np.random.default_rng(0))
    assert (np.abs(u) <= 1).all()
    assert np.ptp(x, axis=0).min() > 0.1
