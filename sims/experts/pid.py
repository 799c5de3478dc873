"""PID baselines: the loops that a task declares, or the cascade of gym-pybullet-drones where the plant is its drone."""

from __future__ import annotations

import casadi
import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.sims.experts.dsl_pid import DslPid
from tinyctl.sims.loop import Expert
from tinyctl.sims.plant import Array, Plant, Task
from tinyctl.sims.plants.quadrotor import STATES as DRONE


def make(plant: Plant, task: Task, *, variant: str | None = None) -> Expert:
    """The PID of a plant's task. Raises `TinyctlError` where nobody declared one."""
    if task.loops:
        return Loops(plant, task)
    if plant.states[: len(DRONE)] == DRONE:
        return DslPid(plant, task, variant)
    raise TinyctlError("no PID loops are declared for this task", where=f"plant {plant.name}", fix="use lqr or mpc")


class Loops:
    """An expert: each loop on its own. An integral waits while its output is at the limit that it pushes against."""

    def __init__(self, plant: Plant, task: Task) -> None:
        x = casadi.SX.sym("x", len(plant.state_columns(task)))
        self._errors = casadi.Function("errors", [x], [casadi.vertcat(*(loop.error(x) for loop in task.loops))])
        outputs, row = task.contract.outputs, {s.name: i for i, s in enumerate(task.contract.outputs)}
        self._period = task.period_s
        self._kp, self._ki, self._kd = np.array([(loop.kp, loop.ki, loop.kd) for loop in task.loops]).T
        self._share = np.zeros((len(task.loops), len(outputs)))
        for i, loop in enumerate(task.loops):
            self._share[i, row[loop.output]] = 1
        self._start = np.array(task.contract.initial_applied())
        self._low, self._high = np.array([(s.low, s.high) for s in outputs]).T

    def reset(self, n: int) -> None:
        """Empty integrals; no error before the first."""
        self._sum = np.zeros((n, len(self._kp)))
        self._before: Array | None = None

    def act(self, x: Array) -> Array:
        """(n, nu) from the true states (n, nx + goals)."""
        error = np.array(self._errors(np.asarray(x, np.float64).T)).T
        slope = np.zeros_like(error) if self._before is None else (error - self._before) / self._period
        grown = self._sum + error * self._period
        u = self._start + (self._kp * error + self._ki * grown + self._kd * slope) @ self._share
        over = (u > self._high) * 1.0 - (u < self._low)
        self._sum = np.where(over @ self._share.T * error * self._ki > 0, self._sum, grown)
        self._before = error
        return np.clip(u, self._low, self._high).astype(F32)
