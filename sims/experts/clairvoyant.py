"""The regulator that is told each episode's disturbance: where to rest under it, and the gain back there. Nobody else
knows that much, so it teaches a policy with memory what its measurements only show after a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import casadi
import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.sims.experts.lqr import gain_at
from tinyctl.sims.experts.model import Model, find_rest, model_of
from tinyctl.sims.functions import step_function
from tinyctl.sims.plant import Array, Plant, Task

STRICT = 10.0  # the cost of a loop's squared error at rest, in its own unit


class Clairvoyant:
    """An expert for the episodes that drew the start `x` (n, nx + goals) and the disturbances `d` (n, nd), float32.

    It rests where the errors of the task's loops vanish, if it has loops and can, else where the cost is least. `calm`
    is a further cost of the square of each change of its action from the one at rest. Raises `TinyctlError` for goals
    that drift, and where one of the episodes has no rest that can be held.
    """

    def __init__(
        self, plant: Plant, task: Task, x: Array, d: Array, variant: str | None = None, *, calm: float = 0.0
    ) -> None:
        if task.drift is not None:
            raise TinyctlError("its goals drift, so it has no rest", where=f"plant {plant.name}", fix="use mpc")
        resting, self.model = (_with_disturbance(plant, task, variant, c, w) for c, w in ((0.0, STRICT), (calm, 0.0)))
        goals = np.column_stack([x[:, self.model.nx :], d]).astype(np.float64)
        # Each searched from many starts: from a rest nearby, one ends now and then in a worse one.
        gains = [gain_at(self.model, find_rest(resting, each)) for each in goals]
        self._x = np.stack([g.rest.x[: self.model.nx] for g in gains])
        self._u, self._k = np.stack([g.rest.u for g in gains]), np.stack([g.k for g in gains])

    def reset(self, n: int) -> None:
        """Nothing is remembered."""
        if n != len(self._u):
            raise TinyctlError(f"{n} episodes, but the disturbances of {len(self._u)} are known")

    def act(self, x: Array) -> Array:
        """(n, nu) from the true states (n, nx + goals): the linear law, clipped to the contract's ranges."""
        off = np.asarray(x, np.float64)[:, : self.model.nx] - self._x
        return np.clip(self._u - np.einsum("nij,nj->ni", self._k, off), *self.model.box()).astype(F32)


def _with_disturbance(plant: Plant, task: Task, variant: str | None, calm: float, strict: float) -> Model:
    """The model of a plant's task whose goals are followed by the disturbances, which stay as they are; with weights on
    changes of the action and on the errors of loops."""

    def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        return np.column_stack([task.initial(rng, n, p), task.disturb(rng, n, p)])

    plain, columns = model_of(plant, task, variant), len(plant.state_columns(task))
    wider = replace(task, goals=task.goals + tuple(replace(v, name=f"{v.name}_offset") for v in plant.disturbances),
                    initial=initial)  # fmt: skip
    x, u = casadi.SX.sym("x", columns + len(plant.disturbances)), casadi.SX.sym("u", len(plant.inputs))
    last, p = casadi.SX.sym("last", len(plant.inputs)), [*plant.nominal(variant).values()]
    own, d = x[:columns], x[columns:]
    errors = casadi.vertcat(0, *(loop.error(own) for loop in task.loops))
    dearer = plain.cost(own, u, last) + calm * casadi.sumsqr(u - last) + strict * casadi.sumsqr(errors)
    after = casadi.vertcat(step_function(plant, task)(own, u, casadi.DM(p), d, task.period_s), d)
    return Model(
        plant,
        wider,
        casadi.Function("step", [x, u], [after]),
        casadi.Function("cost", [x, u, last], [dearer]),
        casadi.Function("observe", [x], [plain.observe(own)]),
        casadi.Function("margin", [x], [plain.margin(own)]),
    )
