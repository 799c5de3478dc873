"""Two masses between walls, joined to them and to each other by springs and dampers; a force on each.

The difference equation of NeoRL-2's DMSD, which is Euler's map of 0.2 s; the variant `heavy` is its test mode.
"""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Loop, Parameter, Plant, Score, Task, Variable

PERIOD_S = 0.2
REACH_M = 4.0  # set-points lie in [-REACH_M, REACH_M]


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """`u` in [-1, 1] of the greatest force, `d` a force on each mass in N; at position zero the springs rest."""
    k, c, m = p["spring"], p["damper"], p["mass"]
    stretch, slip = x[1] - x[0], x[3] - x[2]
    force = p["force"] * u + d
    return casadi.vertcat(
        x[2],
        x[3],
        (force[0] + k * (stretch - x[0]) + c * (slip - x[2])) / m,
        (force[1] - k * (stretch + x[1]) - c * (slip + x[3])) / m,
    )


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """Within 1 m of the middle, up to 0.5 m/s; set-points anywhere."""
    reach = np.array((1.0, 1.0, 0.5, 0.5, REACH_M, REACH_M))
    return rng.uniform(-reach, reach, (n, 6)).astype(np.float32)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """Constant forces, unknown to the controller: about 3 % of the greatest."""
    return (rng.standard_normal((n, 2)) * 0.03 * p["force"]).astype(np.float32)


def cost(x: SX, u: SX, u_last: SX) -> SX:
    """Distance of each mass to its set-point, softened at zero; damping; smooth forces."""
    error = x[0:2] - x[4:6]
    return (
        casadi.sum1(casadi.sqrt(error**2 + 0.01))
        + 0.1 * casadi.sumsqr(x[2:4])
        + 0.01 * casadi.sumsqr(u)
        + 0.02 * casadi.sumsqr(u - u_last)
    )


def margin(x: SX) -> SX:
    """Room, m, before a mass is at a wall."""
    return 10.0 - casadi.fmax(casadi.fabs(x[0]), casadi.fabs(x[1]))


def loop(force: str, mass: int) -> Loop:
    """The baseline of one mass, tuned for closed-loop poles near 0.8 rad/s on that mass alone."""
    return Loop(force, lambda x: x[4 + mass] - x[mass], kp=0.5, ki=0.12, kd=0.8)


SET_POINT = Task(
    contract=Contract(
        inputs=(
            *(Input(f"error_{i}", "m", "over the set-point", -20.0, 20.0) for i in (1, 2)),
            *(Input(f"velocity_{i}", "m/s", "", -10.0, 10.0) for i in (1, 2)),
            *(Input(f"set_point_{i}", "m", "", -REACH_M, REACH_M) for i in (1, 2)),
            *(Input(f"force_{i}", "1", "of the greatest", -1.0, 1.0, source="applied_action") for i in (1, 2)),
        ),
        outputs=tuple(Output(f"force_{i}", "1", "of the greatest", -1.0, 1.0) for i in (1, 2)),
        rate_hz=1 / PERIOD_S,
    ),
    observe=lambda x: casadi.vertcat(x[0:2] - x[4:6], x[2:4], x[4:6]),
    noise=(0.01, 0.01, 0.01, 0.01, 0.0, 0.0),
    initial=initial,
    disturb=disturb,
    cost=cost,
    margin=margin,
    episode_steps=100,
    scores=(Score("set_point_error", "m", lambda x: casadi.sum1(casadi.fabs(x[0:2] - x[4:6])) / 2, last_s=5.0),),
    typical=(2.0, 2.0, 1.0, 1.0, 2.0, 2.0),
    integral_limits={"error_1": 10.0, "error_2": 10.0},
    goals=(Variable("set_point_1", "m"), Variable("set_point_2", "m")),
    loops=(loop("force_1", 0), loop("force_2", 1)),
    horizon=30,
)

PLANT = Plant(
    name="mass_spring",
    states=(
        *(Variable(f"position_{i}", "m") for i in (1, 2)),
        *(Variable(f"velocity_{i}", "m/s") for i in (1, 2)),
    ),
    inputs=(Variable("force_1", "1"), Variable("force_2", "1")),
    parameters=(
        Parameter("spring", "N/m", 2.0, 1.6, 2.4),
        Parameter("damper", "N s/m", 4.0, 3.0, 5.0),
        Parameter("mass", "kg", 20.0, 16.0, 32.0),
        Parameter("force", "N", 30.0, 27.0, 33.0),
    ),
    disturbances=(Variable("force_1", "N"), Variable("force_2", "N")),
    derivative=derivative,
    tasks={"set_point": SET_POINT},
    variants={"heavy": {"mass": 30.0}},
    integrator="euler",
)
