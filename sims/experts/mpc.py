"""Nonlinear model predictive control: in every control period the task's own cost is minimised over its horizon, by
multiple shooting with CasADi and IPOPT, starting from the plan of the period before. A teacher, and a bar for what is
learned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi
import numpy as np

from tinyctl.layers.base import F32
from tinyctl.sims.experts.model import QUIET, Model, magnitudes, model_of
from tinyctl.sims.plant import Array, Plant, Task

LEARNING = 0.1  # of the last period's surprise, an exponential average
OPTIONS = {
    **QUIET, "ipopt.max_iter": 80, "ipopt.tol": 1e-5, "ipopt.acceptable_tol": 1e-3, "ipopt.acceptable_iter": 3,
    "ipopt.mu_strategy": "adaptive",
}  # fmt: skip


def make(
    plant: Plant, task: Task, *, variant: str | None = None, steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictive:  # fmt: skip
    """A predictive controller that looks `steps` control periods ahead (the task's horizon). One problem takes 3 to 30
    ms, so `progress` is told how many of a batch's episodes have been served in this period, and of how many."""
    return Predictive(model_of(plant, task, variant), steps or task.horizon, progress)


class Predictive:
    """An expert. It knows how goals will move, remembers each episode's plan, and learns what constantly disturbs the
    plant from what its model did not foresee."""

    def __init__(self, model: Model, steps: int, progress: Callable[[int, int], None] | None = None) -> None:
        self.model, self.steps, self._progress = model, steps, progress
        self._scale = np.concatenate([magnitudes(model)[: model.nx], np.ones(model.nu)])
        self._solve = _program(model, steps, self._scale)
        self._goals = _preview(model, steps)
        low, high = model.box()
        free = np.full(model.nx, np.inf)
        self._bounds = {
            "lbx": np.tile([*-free, *low], steps),
            "ubx": np.tile([*free, *high], steps),
            "lbg": 0,
            "ubg": 0,
        }
        self.reset(0)

    def reset(self, n: int) -> None:
        """Forget the plans of `n` episodes."""
        self._plans: list[Array | None] = [None] * n
        self._last = np.tile(np.array(self.model.task.contract.initial_applied()), (n, 1))
        self._surprise = np.zeros((n, self.model.nx))
        self._before: Array | None = None

    def act(self, x: Array) -> Array:
        """(n, nu) from the true states (n, nx + goals), one problem an episode."""
        x = np.asarray(x, np.float64)
        if self._before is not None:
            missed = (x - np.array(self.model.step(self._before.T, self._last.T)).T)[:, : self.model.nx]
            self._surprise += LEARNING * (missed - self._surprise)
        self._before = x
        for row, start in enumerate(x):
            self._last[row] = self._plan(row, start)
            if self._progress is not None:
                self._progress(row + 1, len(x))
        return self._last.astype(F32)

    def set_applied(self, action: Array) -> None:
        """Tell it that something other than its last answer was applied, (n, nu)."""
        self._last[:] = action

    def _plan(self, row: int, start: Array) -> Array:
        """The first input of the best plan; the rest of it is where the next search starts."""
        nx, last, old = self.model.nx, self._last[row], self._plans[row]
        stay = np.concatenate([start[:nx], last]) / self._scale
        guess = np.tile(stay, (self.steps, 1)) if old is None else np.vstack([old[1:], old[-1:]])
        given = np.concatenate([start[:nx], last, self._surprise[row], np.array(self._goals(start)).T.ravel()])
        plan = np.array(self._solve(x0=guess.ravel(), p=given, **self._bounds)["x"]).reshape(guess.shape)
        if not np.isfinite(plan).all():  # the search broke off: the old plan goes on
            plan = guess
        self._plans[row] = plan
        low, high = self.model.box()
        return np.clip(plan[0, nx:], low, high)


def _preview(model: Model, steps: int) -> Any:
    """x to the goals (goals, steps + 1) of this control period and the following ones."""
    x = casadi.SX.sym("x", model.nx + len(model.task.goals))
    u, columns = casadi.SX.zeros(model.nu), [x]
    for _ in range(steps):
        columns.append(casadi.vertcat(x[: model.nx], model.step(columns[-1], u)[model.nx :]))
    return casadi.Function("preview", [x], [casadi.densify(casadi.horzcat(*(c[model.nx :] for c in columns)))])


def _program(model: Model, steps: int, scale: Array) -> Any:
    """The nonlinear program. Its variables are rows of (state after the input, input), each over its `scale`; its
    parameters the state before, the action applied last, what every step adds to the model's, and the goals of
    `_preview`."""
    nx, nu, n_goals = model.nx, model.nu, len(model.task.goals)
    x, u, last, end = (casadi.SX.sym(k, r) for k, r in (("x", nx), ("u", nu), ("last", nu), ("end", nx)))
    extra = casadi.SX.sym("extra", nx)
    now, then = casadi.SX.sym("now", n_goals), casadi.SX.sym("then", n_goals)
    after = model.step(casadi.vertcat(x, now), u)[:nx] + extra
    gap, cost = (after - end) / scale[:nx], model.cost(casadi.vertcat(end, then), u, last)
    period = casadi.Function("period", [x, u, last, end, extra, now, then], [gap, cost])
    z, goals = casadi.MX.sym("z", nx + nu, steps), casadi.MX.sym("goals", n_goals, steps + 1)
    before, added = casadi.MX.sym("before", nx + nu), casadi.MX.sym("added", nx)
    rows = casadi.horzcat(before, z * scale)
    gaps, costs = period.map(steps)(
        rows[:nx, :-1],
        rows[nx:, 1:],
        rows[nx:, :-1],
        rows[:nx, 1:],
        casadi.repmat(added, 1, steps),
        goals[:, :-1],
        goals[:, 1:],
    )
    given = casadi.vertcat(before, added, casadi.vec(goals))
    problem = {"x": casadi.vec(z), "p": given, "f": casadi.sum2(costs) / steps, "g": casadi.vec(gaps)}
    return casadi.nlpsol("plan", "ipopt", problem, OPTIONS)
