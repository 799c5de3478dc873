"""A stirred tank with an exothermic second-order reaction, held where it would run away: set-points of concentration.

Equations, constants and the region of starts: the benchmark of the input-convex networks of Wang and Wu
(killingbear999/ICLRNN). Time is in hours there and in seconds here: a control period is the 0.0005 h of its samples.
"""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Loop, Parameter, Plant, Score, Task, Variable

HOUR = 3600.0
PERIOD_S = 0.0005 * HOUR
RATED_C, RATED_T = 1.9537, 401.8727  # kmol/m^3 and K: the unstable rest without heat, at the nominal feed
LOWEST, HIGHEST = 1.6, 2.4  # set-points, kmol/m^3
REGION = np.array([[1060.0, 22.0], [22.0, 0.52]])  # starts x with (x - rated)' REGION (x - rated) < LEVEL
LEVEL = 372.0
PARAMETERS = (
    Parameter("flow", "m^3/h", 5.0, 4.8, 5.2),
    Parameter("volume", "m^3", 1.0, 0.97, 1.03),
    Parameter("frequency", "m^3/(kmol h)", 8.46e6, 8.0e6, 8.9e6),
    Parameter("activation", "kJ/kmol", 5e4, 5e4, 5e4),
    Parameter("gas", "kJ/(kmol K)", 8.314, 8.314, 8.314),
    Parameter("enthalpy", "kJ/kmol", -1.15e4, -1.18e4, -1.12e4),
    Parameter("density", "kg/m^3", 1000.0, 990.0, 1010.0),
    Parameter("heat_capacity", "kJ/(kg K)", 0.231, 0.225, 0.237),
    Parameter("feed_temperature", "K", 300.0, 297.0, 303.0),
    Parameter("feed", "kmol/m^3", 4.0, 3.9, 4.1),
    Parameter("feed_range", "kmol/m^3", 3.5, 3.5, 3.5),
    Parameter("heat_range", "kJ/h", 5e5, 5e5, 5e5),
)
NOMINAL = {q.name: q.nominal for q in PARAMETERS}


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """`u` in [-1, 1]: feed concentration around its nominal one, heat; `d` what the feed has too much of both."""
    c, t = x[0], x[1]
    reaction = p["frequency"] * casadi.exp(-p["activation"] / (p["gas"] * t)) * c**2  # kmol/(m^3 h)
    capacity, exchange = p["density"] * p["heat_capacity"], p["flow"] / p["volume"]
    feed = p["feed"] + p["feed_range"] * u[0] + d[0]
    c_rate = exchange * (feed - c) - reaction
    heat = p["heat_range"] * u[1] / (capacity * p["volume"])
    t_rate = exchange * (p["feed_temperature"] + d[1] - t) - p["enthalpy"] / capacity * reaction + heat
    return casadi.vertcat(c_rate, t_rate) / HOUR


def rest_temperature(c: SX) -> SX:
    """The temperature, K, at which the nominal feed rests at concentration `c`: reaction and exchange balance."""
    speed = NOMINAL["flow"] / NOMINAL["volume"] * (NOMINAL["feed"] - c) / c**2
    return NOMINAL["activation"] / NOMINAL["gas"] / casadi.log(NOMINAL["frequency"] / speed)


def observe(x: SX) -> SX:
    """Concentration over its set-point, temperature and set-point over the rated ones."""
    return casadi.vertcat(x[0] - x[2], x[1] - RATED_T, x[2] - RATED_C)


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """Anywhere, uniformly, in the ellipse around the rated rest; a set-point of the range."""
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.uniform(0, LEVEL, n))
    circle = radius * np.array([np.cos(angle), np.sin(angle)])
    start = np.linalg.solve(np.linalg.cholesky(REGION).T, circle).T + np.array([RATED_C, RATED_T])
    return np.column_stack([start, rng.uniform(LOWEST, HIGHEST, n)]).astype(np.float32)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A constant error of the feed: about 0.1 kmol/m^3 and 2 K."""
    return (rng.standard_normal((n, 2)) * (0.1, 2.0)).astype(np.float32)


def cost(x: SX, u: SX, u_last: SX) -> SX:
    """Distance to the set-point, softened at zero, and to the temperature that goes with it; smooth actions."""
    c_error, t_error = x[0] - x[2], (x[1] - rest_temperature(x[2])) / 20
    return (
        10 * (casadi.sqrt(c_error**2 + 0.0025) - 0.05)
        + 0.3 * t_error**2
        + 0.02 * casadi.sumsqr(u)
        + 0.1 * casadi.sumsqr(u - u_last)
    )


def margin(x: SX) -> SX:
    """Temperature left, K, until the tank runs away or goes out."""
    return 90.0 - casadi.fabs(x[1] - RATED_T)


SET_POINT = Task(
    contract=Contract(
        inputs=(
            Input("concentration_error", "kmol/m^3", "over the set-point", -3.0, 3.0),
            Input("temperature", "K", f"over {RATED_T} K", -100.0, 100.0),
            Input("set_point", "kmol/m^3", f"over {RATED_C} kmol/m^3", -1.0, 1.0),
            Input("feed", "1", "of its range", -1.0, 1.0, source="applied_action"),
            Input("heat", "1", "of its range", -1.0, 1.0, source="applied_action"),
        ),
        outputs=(Output("feed", "1", "of its range", -1.0, 1.0), Output("heat", "1", "of its range", -1.0, 1.0)),
        rate_hz=1 / PERIOD_S,
    ),
    observe=observe,
    noise=(0.01, 0.3, 0.0),
    initial=initial,
    disturb=disturb,
    cost=cost,
    margin=margin,
    episode_steps=400,
    scores=(Score("set_point_error", "1", lambda x: casadi.fabs(x[0] - x[2]) / x[2], last_s=100 * PERIOD_S),),
    typical=(0.3, 15.0, 0.3),
    integral_limits={"concentration_error": 10.0},
    goals=(Variable("set_point", "kmol/m^3"),),
    loops=(
        Loop("feed", lambda x: x[2] - x[0], kp=4.0, ki=0.02),
        Loop("heat", lambda x: rest_temperature(x[2]) - x[1], kp=0.3, ki=0.003),
    ),
    horizon=40,
)

PLANT = Plant(
    name="cstr",
    states=(Variable("concentration", "kmol/m^3"), Variable("temperature", "K")),
    inputs=(Variable("feed", "1"), Variable("heat", "1")),
    parameters=PARAMETERS,
    disturbances=(Variable("feed", "kmol/m^3"), Variable("feed_temperature", "K")),
    derivative=derivative,
    tasks={"set_point": SET_POINT},
)
