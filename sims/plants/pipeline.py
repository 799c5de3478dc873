"""A pipe of 100 m with a gate at its inlet and a meter at its outlet: what the gate does is seen 20 s later.

The pure delay, the gate's speed, the flows and the set-points are those of NeoRL-2's Pipeline (5 m a step; a step is a
second here), with a leak added. Euler's step of one second moves every cell's content into the next one exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Loop, Parameter, Plant, Score, Task, Variable

PERIOD_S = 1.0
CELLS = 20  # of the pipe, one period long each
MOST = 200.0  # flow
LEVELS = (50.0, 80.0, 110.0, 140.0)
SWITCHING = 0.003  # the probability that the set-point changes in a period
OUTLET = CELLS  # the state that the meter sees; state 0 is the flow at the gate
MIDDLE = 95.0  # of the set-points
Start: TypeAlias = Callable[[np.random.Generator, int, Mapping[str, float]], Array]
Drift: TypeAlias = Callable[[SX, Mapping[str, SX]], SX]
CONTRACT = Contract(
    inputs=(
        Input("error", "m^3/h", "flow over the set-point", -MOST, MOST),
        Input("set_point", "m^3/h", f"over {MIDDLE} m^3/h", -MOST, MOST),
        Input("gate", "m^3/h", f"over {MIDDLE} m^3/h", -MOST, MOST),
        Input("speed", "1", "of the gate", -1.0, 1.0, source="applied_action"),
    ),
    outputs=(Output("speed", "1", "of the gate", -1.0, 1.0),),
    rate_hz=1 / PERIOD_S,
)


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """`u` in [-1, 1] of the gate's speed, `d` the flow that leaks away behind it."""
    before = casadi.vertcat(x[0] - d[0], x[1:CELLS])
    return casadi.vertcat(p["speed"] * u[0], (before - x[1:]) / PERIOD_S)


def project(x: SX, p: Mapping[str, SX]) -> SX:
    """The gate is between shut and open, and no flow is negative."""
    return casadi.vertcat(casadi.fmin(MOST, casadi.fmax(0, x[0])), casadi.fmax(0, x[1:]))  # a NaN stays one


def switched(x: SX) -> SX:
    """The set-point now: the third, second or first level as the clock has passed their times."""
    first, second, third, to_second, to_third, clock = (x[CELLS + 1 + i] for i in range(6))
    return casadi.if_else(clock >= to_third, third, casadi.if_else(clock >= to_second, second, first))


def held(x: SX) -> SX:
    """The set-point that stays."""
    return x[CELLS + 1]


def filled(rng: np.random.Generator, n: int) -> Array:
    """(n, states): any flow between the lowest and the highest level, the same in the whole pipe."""
    return np.tile(rng.uniform(LEVELS[0], LEVELS[-1], (n, 1)), (1, CELLS + 1))


def start_switching(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A filled pipe, three of the levels, and when the second and the third come: geometric times. (The benchmark may
    change a fourth time; in one episode of five it would.)"""
    times = rng.geometric(SWITCHING, (n, 2)).cumsum(axis=1) * PERIOD_S
    x = np.column_stack([filled(rng, n), rng.choice(LEVELS, (n, 3)), times, np.zeros(n)])
    return x.astype(np.float32)


def start_holding(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A filled pipe and any set-point between the levels."""
    return np.column_stack([filled(rng, n), rng.uniform(LEVELS[0], LEVELS[-1], n)]).astype(np.float32)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A leak of 0 to 10."""
    return rng.uniform(0.0, 10.0, (n, 1)).astype(np.float32)


def task(
    target: Callable[[SX], SX], start: Start, goals: tuple[Variable, ...], drift: Drift | None, steps: int
) -> Task:
    """The task of following the set-point `target`."""

    def cost(x: SX, u: SX, u_last: SX) -> SX:
        """The error at the outlet and that which is under way there, softened at zero; a calm gate."""
        error = (x[: CELLS + 1] - target(x)) / 10
        return (
            casadi.sqrt(error[OUTLET] ** 2 + 0.01)
            + 0.2 * casadi.sqrt(error[0] ** 2 + 0.01)
            + 0.05 * casadi.sumsqr(u)
            + 0.05 * casadi.sumsqr(u - u_last)
        )

    return Task(
        contract=CONTRACT,
        observe=lambda x: casadi.vertcat(x[OUTLET] - target(x), target(x) - MIDDLE, x[0] - MIDDLE),
        noise=(0.5, 0.0, 0.1),
        initial=start,
        disturb=disturb,
        cost=cost,
        margin=lambda x: 2 * MOST - x[OUTLET],  # nothing is ever lost
        episode_steps=steps,
        scores=(
            Score("flow_error", "m^3/h", lambda x: casadi.fabs(x[OUTLET] - target(x)), last_s=steps * PERIOD_S),
            Score("final_error", "m^3/h", lambda x: casadi.fabs(x[OUTLET] - target(x)), last_s=20 * PERIOD_S),
        ),
        typical=(30.0, 30.0, 30.0),
        lag_s=CELLS * PERIOD_S,  # what the gate has done of late is what is under way
        integral_limits={"error": 300.0},
        goals=goals,
        drift=drift,
        loops=(Loop("speed", lambda x: target(x) - x[OUTLET], kp=0.018),),
        horizon=60,
    )


SET_POINTS = tuple(Variable(name, "m^3/h") for name in ("first", "second", "third"))
TIMES = tuple(Variable(name, "s") for name in ("to_second", "to_third", "clock"))
PLANT = Plant(
    name="pipeline",
    states=(Variable("gate", "m^3/h"), *(Variable(f"cell_{i}", "m^3/h") for i in range(1, CELLS + 1))),
    inputs=(Variable("speed", "1"),),
    parameters=(Parameter("speed", "m^3/h/s", 1.0, 0.8, 1.2),),
    disturbances=(Variable("leak", "m^3/h"),),
    derivative=derivative,
    project=project,
    tasks={
        "switching": task(
            switched, start_switching, SET_POINTS + TIMES, lambda x, p: casadi.SX([0, 0, 0, 0, 0, 1]), 500
        ),
        "set_point": task(held, start_holding, (Variable("set_point", "m^3/h"),), None, 250),
    },
    integrator="euler",
)
