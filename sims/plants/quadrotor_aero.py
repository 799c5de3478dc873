"""The quadrotor as gym-pybullet-drones flies it: no motor lag to speak of, drag, the ground, another drone above.

Coefficients and forms: that project's CF2X and its `BaseAviary`. Drag acts along the body's axes here, along the
world's there; the two differ by the tilt. A plant of its own: what is zero in the plain one would cost time there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import casadi
import numpy as np

from tinyctl.sims.plant import SX, Array, Parameter, Variable
from tinyctl.sims.plants._quadrotor_tasks import rotation
from tinyctl.sims.plants.quadrotor import GYM_PYBULLET_DRONES, PARAMETERS, ROTORS, motion
from tinyctl.sims.plants.quadrotor import PLANT as PLAIN

BLIND_M = 1e-4  # the width of a downwash is never taken as less: it passes zero 0.6875 m below the drone
EXTRAS = (
    Parameter("rotor_radius", "m", 0.0231348, 0.0231348, 0.0231348),
    Parameter("ground_effect", "1", 11.36859, 9.0, 13.0),
    Parameter("floor", "m", -0.3, -0.6, -0.1),  # height of the ground
    Parameter("wash", "N", 2267.18, 1800.0, 2700.0),  # at a distance of a quarter of the rotor's radius
    Parameter("wash_spread", "1", 0.16, 0.16, 0.16),  # growth of the width with the distance
    Parameter("wash_width", "m", -0.11, -0.11, -0.11),
)
NOMINAL = {**GYM_PYBULLET_DRONES, "motor_lag": 0.01}  # that simulator has none; shorter is not integrated at 100 Hz


def ground_gain(height: SX, p: Mapping[str, SX]) -> SX:
    """By what share the ground increases the lift of a rotor `height` m above it: c (r / 4h)^2, the height clipped
    where four such rotors at full speed would lift 1.0667 times what they do (0.03776 m)."""
    least = 0.25 * p["rotor_radius"] * casadi.sqrt(15 / 4 * p["ground_effect"])
    return p["ground_effect"] * (p["rotor_radius"] / (4 * casadi.fmax(height, least))) ** 2


def downwash(offset: SX, p: Mapping[str, SX]) -> SX:
    """The force, N, with which a drone at `offset` (3,) m from this one presses it down; none from below or beyond 10 m
    aside.

    The published width passes zero at a distance of 0.6875 m, where the published form is 0/0 on the axis: it is kept
    from zero. Nor is a drone nearer than a rotor's radius, where the published force grows beyond all bounds.
    """
    below = casadi.fmax(offset[2], p["rotor_radius"])
    aside = casadi.sumsqr(offset[0:2])
    width = casadi.fmax((p["wash_spread"] * below + p["wash_width"]) ** 2, BLIND_M**2)
    force = p["wash"] * (p["rotor_radius"] / (4 * below)) ** 2 * casadi.exp(-0.5 * aside / width)
    return casadi.if_else(casadi.logic_and(offset[2] > 0, aside < 100), force, 0)


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """As the plain quadrotor; `d` also has the place of another drone, m, in the world: a height of 0 is none."""
    r, thrust = rotation(x), p["thrust"] * x[13:17] * x[13:17]
    arms = [casadi.vertcat(p["arm"] * a, p["arm"] * b, 0) for a, b, _ in ROTORS]
    heights = casadi.vertcat(*(x[2] + casadi.mtimes(r[2, :], arm) - p["floor"] for arm in arms))
    upright = r[2, 2] > 0
    lift = thrust * (1 + casadi.if_else(upright, ground_gain(heights, p), 0))
    wash = casadi.if_else(d[8] > 0, downwash(d[6:9] - x[0:3], p), 0)
    push = casadi.vertcat(0, 0, casadi.sum1(lift) - wash)
    return motion(x, u, p, d, thrust, lift, push)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """As the plain quadrotor's hover; half of the time another drone hovers 0.3 to 1 m above, up to 0.2 m aside."""
    place = rng.uniform((-0.2, -0.2, 0.3), (0.2, 0.2, 1.0), (n, 3))
    place[rng.uniform(size=n) < 0.5] = 0
    return np.hstack([PLAIN.task("hover").disturb(rng, n, p), place]).astype(np.float32)


PLANT = replace(
    PLAIN,
    name="quadrotor_aero",
    parameters=(*(replace(q, nominal=v, low=min(q.low, v), high=max(q.high, v)) for q, v in (
        (q, NOMINAL.get(q.name, q.nominal)) for q in PARAMETERS)), *EXTRAS),
    disturbances=(*PLAIN.disturbances, *(Variable(f"other_{a}", "m") for a in "xyz")),
    derivative=derivative,
    tasks={"hover": replace(PLAIN.task("hover"), disturb=disturb)},
    variants={},
)  # fmt: skip
