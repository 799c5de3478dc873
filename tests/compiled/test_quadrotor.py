"""The quadrotor against its equations written out once more, in float64 and another form; and what a delay does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import Flights, fly
from tinyctl.sims.plant import Array, Plant
from tinyctl.sims.plants import load_plant
from tinyctl.trainers.apg import Config, train

# Eschmann et al., Learning to Fly in Seconds: rotor positions (m), directions of the yaw torque, constants.
ROTORS = np.array([[0.028, -0.028, 0.0], [-0.028, -0.028, 0.0], [-0.028, 0.028, 0.0], [0.028, 0.028, 0.0]])
YAW = np.array([-1.0, 1.0, -1.0, 1.0]) * 0.005964552
MASS, GRAVITY, THRUST, LAG, RPM_MAX = 0.027, 9.81, 3.16e-10, 0.15, 21702.0
INERTIA = np.diag([3.85e-6, 3.85e-6, 5.9675e-6])


def product(a: Array, b: Array) -> Array:
    """The Hamilton product of quaternions (w, vector)."""
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.concatenate([[a[0] * b[0] - a[1:] @ b[1:]], vector])


def derivative(x: Array, u: Array, d: Array) -> Array:
    q, v, w, rpm = x[3:7], x[7:10], x[10:13], x[13:17]
    lift = np.outer(THRUST * rpm**2, [0.0, 0.0, 1.0])
    torque = (np.cross(ROTORS, lift) + YAW[:, None] * lift).sum(axis=0) + d[3:]
    conjugate = q * [1.0, -1.0, -1.0, -1.0]
    force = product(product(q, np.concatenate([[0.0], lift.sum(axis=0)])), conjugate)[1:] + d[:3]
    spin = product(q, np.concatenate([[0.0], w])) / 2
    turn = np.linalg.solve(INERTIA, torque - np.cross(w, INERTIA @ w))
    return np.concatenate([v, spin, force / MASS - [0, 0, GRAVITY], turn, ((u + 1) / 2 * RPM_MAX - rpm) / LAG])


def rk4(x: Array, u: Array, d: Array, h: float) -> Array:
    a = derivative(x, u, d)
    b = derivative(x + h / 2 * a, u, d)
    c = derivative(x + h / 2 * b, u, d)
    x = x + h / 6 * (a + 2 * b + 2 * c + derivative(x + h * c, u, d))
    x[3:7] /= np.linalg.norm(x[3:7])
    x[13:17] = np.clip(x[13:17], 0, RPM_MAX)
    return x


def test_flight_is_that_of_the_published_equations() -> None:
    plant = load_plant("quadrotor")
    task, rng = plant.task("hover"), np.random.default_rng(0)
    kernel = compile_plant(plant, task)
    p = np.array([*plant.nominal("learning_to_fly").values()], np.float32)
    x = task.initial(rng, 20, plant.nominal())
    d = task.disturb(rng, 20, plant.nominal())
    expected = x.astype(np.float64)
    for _ in range(30):
        u = rng.uniform(-1, 1, (20, 4)).astype(np.float32)
        x = kernel.step(x, u, p, d, 0.01)
        expected = np.stack([rk4(*row, 0.01) for row in zip(expected, u.astype(float), d.astype(float), strict=True)])
    scale = np.array([1, 1, 1, 1, 1, 1, 1, 10, 10, 10, 100, 100, 100, 2e4, 2e4, 2e4, 2e4])
    np.testing.assert_allclose(x / scale, expected / scale, atol=2e-4)


@pytest.fixture(scope="module")
def flown() -> dict[float, Flights]:
    """The same episodes of one policy, by the delay in ms."""
    plant: Plant = load_plant("quadrotor")
    policy = train(plant, config=Config(iterations=60, plants=64, hidden=(16, 16), validation_episodes=20)).policy
    controller = GraphController(Graph(policy.contract, policy.nodes))
    return {
        ms: fly(plant, plant.task(), controller, episodes=50, seed=1, delay_s=ms / 1000, keep=50) for ms in (0, 0.1, 8)
    }


def test_eight_milliseconds_change_the_flight_and_a_tenth_barely(flown: dict[float, Flights]) -> None:
    steps = 50  # half a second: later, episodes that were lost stand still
    moved = {ms: np.abs(flown[ms].states[:steps, :, :3] - flown[0].states[:steps, :, :3]).max() for ms in (0.1, 8)}
    assert 0 < moved[0.1] < 0.005
    assert moved[8] > 0.05
    assert moved[8] > 20 * moved[0.1]


def test_the_figure_eight_is_the_published_one() -> None:
    plant = load_plant("quadrotor")
    x = plant.task("figure_eight_4s5").initial(np.random.default_rng(0), 1, plant.nominal())
    x[:, 0:3] = 0
    task = replace(plant.task("figure_eight_4s5"), initial=lambda *_: x, margin=lambda x: x[20])
    nailed = replace(plant, derivative=lambda x, u, p, d: 0 * x)
    flown = fly(nailed, task, Still(), episodes=1, keep=1)
    t = flown.times
    s = np.where(t < 2, t**2 / 4, t - 1) / 4.5  # laps: the pace grows for two seconds
    a = 2 * np.pi * s + np.pi / 2
    np.testing.assert_allclose(flown.states[:, 0, 17:19], np.stack([np.cos(a), np.sin(a)], axis=1), atol=1e-4)
    seen = compile_plant(plant, task).observe(flown.states[::50, 0])
    along = np.stack([np.cos(a), np.sin(2 * a) / 2], axis=1)
    np.testing.assert_allclose(-seen[:, 0:2], along[::50], atol=2e-4)  # errors: the quadrotor stands at the origin
    speed = np.gradient(along, t, axis=0)[50:-50:50]
    np.testing.assert_allclose(-seen[1:-1, 12:14], speed, atol=5e-3)
    ahead = (
        compile_plant(plant, plant.task("figure_eight_preview")).observe(flown.states[300:301, 0])[0, 18:].reshape(5, 2)
    )
    np.testing.assert_allclose(ahead, along[310:360:10] - along[300], atol=1e-3)


def test_a_gust_swells_and_fades() -> None:
    plant = load_plant("quadrotor")
    task, rng = plant.task("gusts"), np.random.default_rng(0)
    p = np.array([*plant.nominal().values()], np.float32)
    x, d = np.tile(task.initial(rng, 1, plant.nominal()), (5, 1)), task.disturb(rng, 1, plant.nominal())
    x[:, 17] = (-0.1, 0.25, 0.5, 0.75, 1.1)
    blown, calm = (compile_plant(plant, task).step(x, np.zeros((5, 4)), p, force, 1e-3) for force in (d, 0 * d))
    np.testing.assert_allclose(
        (blown - calm)[:, 7:10] * MASS / 1e-3, np.outer((0, 0.5, 1, 0.5, 0), d[0, :3]), rtol=0.01, atol=1e-4
    )


class Still:
    """Does nothing."""

    def reset(self, n: int) -> None:
        self.n = n

    def step(self, observations: Array) -> Array:
        return np.zeros((self.n, 4), np.float32)
