"""Experts fly in the ordinary loop, do what their theory promises, and become policies where they can."""

from __future__ import annotations

from dataclasses import replace

import casadi
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.sims.experts import expert
from tinyctl.sims.experts.lqr import Regulator
from tinyctl.sims.loop import fly
from tinyctl.sims.plant import Plant, Task, Variable
from tinyctl.sims.plants import load_plant
from tinyctl.sims.plants.quadrotor import ROTORS

H = 0.1
CART = Plant(
    name="double_integrator",
    states=(Variable("position", "m"), Variable("speed", "m/s")),
    inputs=(Variable("force", "N"),),
    parameters=(),
    disturbances=(),
    derivative=lambda x, u, p, d: casadi.vertcat(x[1], u[0]),
    tasks={
        "centre": Task(
            contract=Contract(
                inputs=(Input("position", "m", "", -9.0, 9.0), Input("speed", "m/s", "", -9.0, 9.0)),
                outputs=(Output("force", "N", "", -50.0, 50.0),),
                rate_hz=1 / H,
            ),
            observe=lambda x: x[0:2],
            noise=(0.0, 0.0),
            initial=lambda rng, n, p: rng.uniform(-1, 1, (n, 2)).astype(np.float32),
            disturb=lambda rng, n, p: np.zeros((n, 0), np.float32),
            cost=lambda x, u, u_last: 3 * x[0] ** 2 + x[1] ** 2 + 0.5 * u[0] ** 2,
            margin=lambda x: 100 - casadi.sumsqr(x),
            episode_steps=100,
            scores=(),
            typical=(1.0, 1.0),
        )
    },
)


def test_the_regulator_of_a_linear_plant_is_the_textbook_one() -> None:
    a, b = np.array([[1, H], [0, 1]]), np.array([[H * H / 2], [H]])
    q, r = np.diag([6.0, 2.0]), np.array([[1.0]])
    p = solve_discrete_are(a, b, q, r)
    k = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
    made = expert("lqr", CART)
    assert isinstance(made, Regulator)
    np.testing.assert_allclose(made.gain.k, k, rtol=1e-3)  # the least weight on what a cost leaves free
    x = np.array([[0.5, -0.2], [-1.0, 0.3]], np.float32)
    np.testing.assert_allclose(made.act(x), -x @ k.T, rtol=1e-3)
    assert made.act(np.array([[100.0, 0.0]], np.float32)) == -50


def test_set_points_move_the_rest_and_the_policy_knows() -> None:
    task = CART.task()
    contract = replace(task.contract, inputs=(*task.contract.inputs, Input("wanted", "m", "", -9.0, 9.0)))
    goal = replace(
        task, contract=contract, goals=(Variable("wanted", "m"),), observe=lambda x: x, noise=(0.0,) * 3,
        typical=(1.0,) * 3, cost=lambda x, u, u_last: (x[0] - x[2]) ** 2 + 0.1 * x[1] ** 2 + 0.1 * u[0] ** 2,
        initial=lambda rng, n, p: rng.uniform(-1, 1, (n, 3)).astype(np.float32),
    )  # fmt: skip
    plant = replace(CART, tasks={"goal": goal})
    made = Regulator(plant, goal)
    policy = made.policy()
    for controller in (made, GraphController(Graph(policy.contract, policy.nodes))):
        flown = fly(plant, goal, controller, episodes=6, keep=6)
        np.testing.assert_allclose(flown.states[-1, :, 0], flown.states[0, :, 2], atol=2e-3)


@pytest.fixture(scope="module")
def quadrotor() -> Regulator:
    plant = load_plant("quadrotor")
    return Regulator(plant, plant.task("hover"))


def test_the_regulator_hovers_and_its_policy_flies_the_same(quadrotor: Regulator) -> None:
    plant, policy = quadrotor.model.plant, quadrotor.policy()
    flown = {
        name: fly(plant, plant.task("hover"), c, episodes=60, seed=3, keep=60)
        for name, c in (("expert", quadrotor), ("policy", GraphController(Graph(policy.contract, policy.nodes))))
    }
    for flights in flown.values():
        assert flights.survival().value > 0.4  # half of the starts lean beyond what a linear law can catch
        error = flights.score("position_error")
        assert error is not None
        assert error.value < 0.05
    # Noise is all that differs, until it decides about a loss.
    first = np.abs(flown["expert"].actions[:20] - flown["policy"].actions[:20]).max()
    assert first < 0.25


def test_an_unknown_expert_is_told() -> None:
    with pytest.raises(TinyctlError, match="no expert 'pilot'; one of lqr"):
        expert("pilot", CART)


def test_prediction_swings_up_and_leaves_no_offset() -> None:
    plant = load_plant("pendulum")
    flown = fly(plant, plant.task(), expert("mpc", plant, steps=30), episodes=1, seed=2)
    assert flown.scores["angle_error"][0] < 0.02
    cart = replace(
        CART,
        disturbances=(Variable("wind", "N"),),
        derivative=lambda x, u, p, d: casadi.vertcat(x[1], u[0] + d[0]),
        tasks={"centre": replace(CART.task(), disturb=lambda rng, n, p: np.full((n, 1), 0.5, np.float32))},
    )
    end = fly(cart, cart.task(), expert("mpc", cart, steps=20), episodes=2).states[-1, :, 0]
    assert np.abs(end).max() < 0.04  # a law that knew nothing of the wind would rest at 0.2


def test_the_cascade_holds_its_own_drone_and_follows_no_turn_of_the_axes() -> None:
    plant = load_plant("quadrotor_aero")
    task, level = plant.task(), np.zeros((1, 17), np.float32)
    level[0, 3], level[0, 13:] = 1, 14468.4
    pilot = expert("pid", plant)
    pilot.reset(1)
    assert np.ptp(pilot.act(level)) < 1e-6
    for axis, sign in ((0, 1), (1, 1)):  # off along an axis: the motors of that side push it back
        pilot.reset(1)
        moved = level.copy()
        moved[0, axis] = 0.1
        u = pilot.act(moved)[0]
        side = [n for n, rotor in enumerate(ROTORS) if rotor[axis] == sign]
        assert min(u[side]) > max(np.delete(u, side))
    flown = fly(plant, replace(task, initial=lambda rng, n, p: np.repeat(level, n, axis=0)), pilot, episodes=20)
    assert flown.survival().value == 1


@pytest.mark.parametrize("name", ["cstr", "mass_spring", "pipeline"])
def test_declared_loops_reach_the_set_point(name: str) -> None:
    plant = load_plant(name)
    task = plant.task("set_point")
    flown = fly(plant, task, expert("pid", plant, task), episodes=20, seed=4)
    assert flown.survival().value == 1
    error = flown.score(task.scores[-1].name)
    assert error is not None
    assert error.value < 0.02


def test_a_task_without_loops_has_no_pid() -> None:
    with pytest.raises(TinyctlError, match="no PID loops are declared"):
        expert("pid", load_plant("cartpole"))
