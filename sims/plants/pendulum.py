"""A rod on a hinge with a weak motor: it must be pumped up before it can be balanced.

Equations and parameters: the Pendulum environment of Gymnasium (a uniform rod, angle zero upright), with damping added.
"""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Parameter, Plant, Score, Task, Variable

SPEED_LIMIT = 20.0  # rad/s; the motor alone never gets there


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """`u` in [-1, 1] of the motor's torque, `d` a torque in N m; positive angles fall in the positive direction."""
    angle, rate = x[0], x[1]
    inertia = p["mass"] * p["length"] ** 2 / 3
    fall = p["mass"] * p["gravity"] * p["length"] / 2 * casadi.sin(angle)
    return casadi.vertcat(rate, (fall + p["torque"] * u[0] + d[0] - p["damping"] * rate) / inertia)


def observe(x: SX) -> SX:
    """Cosine and sine of the angle, angular velocity."""
    return casadi.vertcat(casadi.cos(x[0]), casadi.sin(x[0]), x[1])


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """Any angle, up to 1 rad/s."""
    return rng.uniform((-np.pi, -1.0), (np.pi, 1.0), (n, 2)).astype(np.float32)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A constant torque, unknown to the controller: about 2 % of the motor's."""
    return (rng.standard_normal((n, 1)) * 0.02 * p["torque"]).astype(np.float32)


def cost(x: SX, u: SX, u_last: SX) -> SX:
    """Upright, at rest, with little torque. The energy of the upright rest shows the way up: a rod of this length
    (nominal) has energy per inertia w^2 / 2 + 3 g / (2 l) (cos a - 1), zero there."""
    energy = 0.5 * x[1] ** 2 + 14.715 * (casadi.cos(x[0]) - 1)
    return (1 - casadi.cos(x[0])) + 0.004 * energy**2 + 0.01 * x[1] ** 2 + 0.01 * u[0] ** 2


def margin(x: SX) -> SX:
    """Angular velocity in reserve, rad/s."""
    return SPEED_LIMIT - casadi.fabs(x[1])


def off_upright(x: SX) -> SX:
    """The angle from upright, rad, without its turns."""
    return casadi.acos(casadi.fmin(casadi.fmax(casadi.cos(x[0]), -1), 1))


SWING_UP = Task(
    contract=Contract(
        inputs=(
            Input("cos_angle", "1", "0 upright", -1.05, 1.05, on_nan=1.0),
            Input("sin_angle", "1", "0 upright", -1.05, 1.05),
            Input("rate", "rad/s", "hinge", -25.0, 25.0),
        ),
        outputs=(Output("torque", "1", "of the motor", -1.0, 1.0),),
        rate_hz=50.0,
    ),
    observe=observe,
    noise=(0.001, 0.001, 0.01),
    initial=initial,
    disturb=disturb,
    cost=cost,
    margin=margin,
    episode_steps=400,
    scores=(Score("angle_error", "rad", off_upright, last_s=2.0),),
    typical=(1.0, 1.0, 5.0),
)

PLANT = Plant(
    name="pendulum",
    states=(Variable("angle", "rad"), Variable("rate", "rad/s")),
    inputs=(Variable("torque", "1"),),
    parameters=(
        Parameter("mass", "kg", 1.0, 0.8, 1.2),
        Parameter("length", "m", 1.0, 0.9, 1.1),
        Parameter("gravity", "m/s^2", 9.81, 9.78, 9.83),
        Parameter("torque", "N m", 2.0, 1.8, 2.2),
        Parameter("damping", "N m s", 0.0, 0.0, 0.05),
    ),
    disturbances=(Variable("torque", "N m"),),
    derivative=derivative,
    tasks={"swing_up": SWING_UP},
)
