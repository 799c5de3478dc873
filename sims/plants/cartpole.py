"""A pole on a cart: swing it up from hanging, and balance it, before the rail ends.

Equations: Barto, Sutton and Anderson 1983 in the frictionless form of Florian, *Correct equations for the dynamics of
the cart-pole system*, 2007, with a viscous friction of the cart added. Constants, rate and rail: Gymnasium's CartPole.
"""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Parameter, Plant, Score, Task, Variable

RAIL_M = 2.4  # from the middle to either end
GRAVITY, HALF_LENGTH = 9.8, 0.5


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """`u` in [-1, 1] of the motor's force, `d` a force on the cart in N; the angle is zero upright."""
    angle, speed, rate = x[1], x[2], x[3]
    sine, cosine = casadi.sin(angle), casadi.cos(angle)
    total, arm = p["cart"] + p["pole"], p["pole"] * p["half_length"]
    push = (p["force"] * u[0] + d[0] - p["friction"] * speed + arm * rate**2 * sine) / total
    turn = (p["gravity"] * sine - cosine * push) / (p["half_length"] * (4 / 3 - p["pole"] * cosine**2 / total))
    return casadi.vertcat(speed, rate, push - arm * turn * cosine / total, turn)


def observe(x: SX) -> SX:
    """Position, cosine and sine of the angle, velocity, angular velocity."""
    return casadi.vertcat(x[0], casadi.cos(x[1]), casadi.sin(x[1]), x[2], x[3])


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """Hanging within 0.5 rad, up to 0.5 m from the middle, nearly at rest."""
    middle, reach = np.array((0, np.pi, 0, 0)), np.array((0.5, 0.5, 0.2, 0.2))
    return rng.uniform(middle - reach, middle + reach, (n, 4)).astype(np.float32)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A constant force, unknown to the controller: about 2 % of the motor's."""
    return (rng.standard_normal((n, 1)) * 0.02 * p["force"]).astype(np.float32)


def cost(x: SX, u: SX, u_last: SX) -> SX:
    """Upright in the middle, at rest; the pole's energy shows the way up (zero at the upright rest, in units of the
    square of its angular velocity); a wall rises before the rail ends."""
    energy = 0.5 * x[3] ** 2 + 0.75 * GRAVITY / HALF_LENGTH * (casadi.cos(x[1]) - 1)
    wall = casadi.fmax(casadi.fabs(x[0]) - 0.7 * RAIL_M, 0)
    return (
        (1 - casadi.cos(x[1]))
        + 0.002 * energy**2
        + 0.1 * x[0] ** 2
        + 20 * wall**2
        + 0.02 * x[2] ** 2
        + 0.01 * x[3] ** 2
        + 0.01 * u[0] ** 2
    )


def margin(x: SX) -> SX:
    """Rail left, m."""
    return RAIL_M - casadi.fabs(x[0])


def off_upright(x: SX) -> SX:
    """The angle from upright, rad, without its turns."""
    return casadi.acos(casadi.fmin(casadi.fmax(casadi.cos(x[1]), -1), 1))


SWING_UP = Task(
    contract=Contract(
        inputs=(
            Input("position", "m", "rail", -3.0, 3.0),
            Input("cos_angle", "1", "0 upright", -1.05, 1.05, on_nan=1.0),
            Input("sin_angle", "1", "0 upright", -1.05, 1.05),
            Input("velocity", "m/s", "rail", -10.0, 10.0),
            Input("rate", "rad/s", "pole", -25.0, 25.0),
        ),
        outputs=(Output("force", "1", "of the motor", -1.0, 1.0),),
        rate_hz=50.0,
    ),
    observe=observe,
    noise=(0.001, 0.001, 0.001, 0.005, 0.01),
    initial=initial,
    disturb=disturb,
    cost=cost,
    margin=margin,
    episode_steps=400,
    scores=(
        Score("angle_error", "rad", off_upright, last_s=2.0),
        Score("position_error", "m", lambda x: casadi.fabs(x[0]), last_s=2.0),
    ),
    typical=(1.0, 1.0, 1.0, 2.0, 5.0),
    horizon=60,
)

PLANT = Plant(
    name="cartpole",
    states=(
        Variable("position", "m"),
        Variable("angle", "rad"),
        Variable("velocity", "m/s"),
        Variable("rate", "rad/s"),
    ),
    inputs=(Variable("force", "1"),),
    parameters=(
        Parameter("cart", "kg", 1.0, 0.8, 1.2),
        Parameter("pole", "kg", 0.1, 0.08, 0.12),
        Parameter("half_length", "m", HALF_LENGTH, 0.45, 0.55),
        Parameter("gravity", "m/s^2", GRAVITY, 9.78, 9.83),
        Parameter("force", "N", 10.0, 9.0, 11.0),
        Parameter("friction", "N s/m", 0.0, 0.0, 0.1),
    ),
    disturbances=(Variable("force", "N"),),
    derivative=derivative,
    tasks={"swing_up": SWING_UP},
)
