"""A plant in a file of its own: an inverted pendulum whose motor follows its command with a lag."""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Parameter, Plant, Score, Task, Variable

CONTRACT = Contract(
    inputs=(
        Input("angle", "rad", "world", -1.0, 1.0),
        Input("speed", "rad/s", "world", -8.0, 8.0),
        Input("torque", "1", "", -1.0, 1.0, 0.0, "applied_action"),
    ),
    outputs=(Output("torque", "1", "", -1.0, 1.0),),
    rate_hz=50.0,
)


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    angle, speed, torque = x[0], x[1], x[2]
    return casadi.vertcat(speed, 2 * casadi.sin(angle) + 8 * torque, (u - torque) / p["lag"])


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    return np.stack([rng.uniform(-0.3, 0.3, n), rng.uniform(-0.5, 0.5, n), np.zeros(n)], axis=1).astype(np.float32)


def calm(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    return np.zeros((n, 0), np.float32)


PLANT = Plant(
    name="toy",
    states=(Variable("angle", "rad"), Variable("speed", "rad/s"), Variable("torque", "1")),
    inputs=(Variable("torque", "1"),),
    parameters=(Parameter("lag", "s", 0.03, 0.02, 0.05),),
    disturbances=(),
    derivative=derivative,
    tasks={
        "balance": Task(
            contract=CONTRACT,
            observe=lambda x: x[0:2],
            noise=(0.001, 0.002),
            initial=initial,
            disturb=calm,
            cost=lambda x, u, u_last: x[0] ** 2 + 0.1 * x[1] ** 2,
            margin=lambda x: 0.8 - casadi.fabs(x[0]),
            episode_steps=100,
            scores=(Score("angle_error", "rad", lambda x: casadi.fabs(x[0]), last_s=1.0),),
            typical=(0.3, 1.0),
        )
    },
)
