"""The plants' equations and constants against their sources, written out once more in plain NumPy, to 1e-12."""

from __future__ import annotations

import math

import casadi
import numpy as np
import pytest

from tinyctl.sims.functions import step_function
from tinyctl.sims.plant import Array, Plant
from tinyctl.sims.plants import cartpole, cstr, load_plant, mass_spring, pipeline, quadrotor, quadrotor_aero

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def slope(plant: Plant, x: Array, u: Array, d: Array, variant: str | None = None) -> Array:
    """dx/dt in float64."""
    p = plant.nominal(variant)
    return np.array(casadi.DM(plant.derivative(casadi.DM(x), casadi.DM(u), p, casadi.DM(d))))[:, 0]


def step(plant: Plant, x: Array, u: Array, d: Array, variant: str | None = None) -> Array:
    """One control period in float64."""
    f = step_function(plant, plant.task())
    return np.array(f(x, u, list(plant.nominal(variant).values()), d, plant.task().period_s))[:, 0]


def test_cart_and_pole_move_as_in_gymnasium() -> None:
    x, v, a, w, u = 0.3, -0.7, 2.1, 1.9, 0.4
    force = 10.0 * u
    temp = (force + 0.05 * w**2 * math.sin(a)) / 1.1
    turn = (9.8 * math.sin(a) - math.cos(a) * temp) / (0.5 * (4.0 / 3.0 - 0.1 * math.cos(a) ** 2 / 1.1))
    push = temp - 0.05 * turn * math.cos(a) / 1.1
    got = slope(cartpole.PLANT, np.array([x, a, v, w]), np.array([u]), np.zeros(1))
    np.testing.assert_allclose(got, [v, w, push, turn], **EXACT)


def test_the_tank_reacts_as_published_and_rests_where_it_should() -> None:
    c, t, u = 2.3, 391.0, np.array([0.2, -0.1])
    rate = 8.46e6 * math.exp(-5e4 / (8.314 * t)) * c**2
    c_rate = 5.0 / 1.0 * (4.0 + 3.5 * u[0] - c) - rate
    t_rate = 5.0 / 1.0 * (300.0 - t) + 1.15e4 / (1000.0 * 0.231) * rate + 5e5 * u[1] / (1000.0 * 0.231 * 1.0)
    got = slope(cstr.PLANT, np.array([c, t]), u, np.zeros(2)) * 3600
    np.testing.assert_allclose(got, [c_rate, t_rate], **EXACT)
    rest = slope(cstr.PLANT, np.array([1.9537, 401.8727]), np.zeros(2), np.zeros(2)) * 3600
    assert abs(rest[0]) < 1e-3  # its digits are what was published
    assert abs(rest[1]) < 0.05
    assert abs(float(cstr.rest_temperature(casadi.DM(1.9537))) - 401.8727) < 1e-3
    away = cstr.initial(np.random.default_rng(0), 2000, {})[:, :2].astype(float) - [1.9537, 401.8727]
    level = np.einsum("ni,ij,nj->n", away, [[1060.0, 22.0], [22.0, 0.52]], away)
    assert 365 < level.max() < 372.1


@pytest.mark.parametrize(("variant", "m"), [(None, 20.0), ("heavy", 30.0)])
def test_the_masses_follow_the_published_difference_equation(variant: str | None, m: float) -> None:
    dt, d, k = 0.2, 4.0, 2.0
    a = np.array([
        [1, 0, dt, 0], [0, 1, 0, dt],
        [-dt * 2 * k / m, dt * k / m, 1 - dt * 2 * d / m, dt * d / m],
        [dt * k / m, -dt * 2 * k / m, dt * d / m, 1 - dt * 2 * d / m],
    ])  # fmt: skip
    x, u = np.array([0.4, -1.1, 0.3, 0.8]), np.array([0.7, -0.2])
    got = step(mass_spring.PLANT, np.array([*x, 0, 0]), u, np.zeros(2), variant)
    np.testing.assert_allclose(got[:4], a @ x + dt * np.array([0, 0, *(30 * u / m)]), **EXACT)


def test_the_pipe_is_a_pure_delay_of_twenty_steps() -> None:
    plant, rng = pipeline.PLANT, np.random.default_rng(0)
    x = plant.task().initial(rng, 1, {})[0].astype(float)
    gates, outlets = [x[0]], []
    for _ in range(60):
        x = step(plant, x, rng.uniform(-1, 1, 1), np.zeros(1))
        gates.append(x[0])
        outlets.append(x[pipeline.OUTLET])
    np.testing.assert_allclose(outlets[19:], gates[:41], **EXACT)
    assert np.abs(np.diff(gates)).max() <= 1
    x[0] = 200.0
    assert step(plant, x, np.ones(1), np.zeros(1))[0] == 200


def test_the_drone_has_the_golden_constants_of_gym_pybullet_drones() -> None:
    p = load_plant("quadrotor").nominal("gym_pybullet_drones")
    hover = math.sqrt(p["mass"] * p["gravity"] / (4 * p["thrust"]))
    assert round(hover, 3) == 14468.429
    most = p["rpm_max"]
    assert round(math.sqrt(2.25) * hover, 3) == most == 21702.644
    assert math.isclose(2 * p["arm"] * p["thrust"] * most**2, 8.35637e-3, rel_tol=1e-6)
    assert math.isclose(2 * p["thrust"] * p["yaw_arm"] * most**2, 7.47956e-3, rel_tol=1e-6)
    rotors = 4 * hover * 2 * math.pi / 60
    assert math.isclose(rotors * p["drag_xy"], 5.56e-3, rel_tol=1e-3)
    assert math.isclose(rotors * p["drag_z"], 6.25e-3, rel_tol=1e-3)


@pytest.mark.parametrize(("height", "gain"), [(0.05, 0.152), (0.1, 0.0380), (0.2, 0.0095)])
def test_the_ground_lifts_as_published(height: float, gain: float) -> None:
    p = quadrotor_aero.PLANT.nominal()
    assert abs(float(quadrotor_aero.ground_gain(casadi.DM(height), p)) - gain) < 5e-4
    clipped = 11.36859 * (0.0231348 / (4 * 0.03776)) ** 2
    assert math.isclose(float(quadrotor_aero.ground_gain(casadi.DM(0.001), p)), clipped, rel_tol=1e-3)


def test_the_downwash_is_the_published_one_and_finite_where_that_is_not() -> None:
    p = quadrotor_aero.PLANT.nominal()
    offset = casadi.SX.sym("offset", 3)
    force = quadrotor_aero.downwash(offset, p)
    f = casadi.Function("f", [offset], [force, casadi.gradient(force, offset)])
    assert abs(float(f([0, 0, 0.5])[0]) - 0.303) < 5e-4
    assert math.isclose(float(f([0.03, 0, 0.5])[0]), float(f([0, 0, 0.5])[0]) * math.exp(-0.5), rel_tol=1e-9)
    for place in ([0, 0, 0.6875], [0.1, 0, 0.6875], [0, 0, 0], [0, 0, 0.001], [0, 0, -1]):
        assert np.isfinite([float(f(place)[0]), *np.array(f(place)[1]).ravel()]).all()
    assert float(f([0, 0, -0.5])[0]) == 0
    assert float(f([0.1, 0, 0.6875])[0]) == 0


def test_far_from_ground_and_others_the_aerodynamic_drone_is_the_plain_one() -> None:
    aero, x = quadrotor_aero.PLANT, quadrotor.PLANT.task("hover").initial(np.random.default_rng(0), 1, aero_p())[0]
    p = {**aero.nominal(), "floor": -1e6}
    u, d = casadi.DM([0.1, 0.2, 0.3, 0.4]), casadi.DM.zeros(9)
    ours = aero.derivative(casadi.DM(x.astype(float)), u, p, d)
    np.testing.assert_allclose(ours, quadrotor.derivative(casadi.DM(x.astype(float)), u, p, d[:6]), **EXACT)


def aero_p() -> dict[str, float]:
    return quadrotor_aero.PLANT.nominal()
