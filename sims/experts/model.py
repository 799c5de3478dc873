"""What experts compute with: a plant and task in float64 as CasADi functions, and the rest that costs least."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import casadi
import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.sims.functions import step_function
from tinyctl.sims.plant import Array, Plant, Task

QUIET: dict[str, Any] = {"ipopt.print_level": 0, "ipopt.sb": "yes", "print_time": False, "show_eval_warnings": False}
STARTS = 8  # of the search for a rest: the best of the searches from this many draws


@dataclass(frozen=True, eq=False)
class Model:
    """One control period of an undisturbed plant with nominal parameters, as casadi.Functions of SX columns.

    `step(x, u)` is the next `x` (plant states, then goals) by the loop's own step; `cost(x, u, u_last)` and
    `observe(x)` are the task's, `margin(x)` too.
    """

    plant: Plant
    task: Task
    step: Any
    cost: Any
    observe: Any
    margin: Any

    @property
    def nx(self) -> int:
        """The plant's own states; goals stand behind them."""
        return len(self.plant.states)

    @property
    def nu(self) -> int:
        return len(self.plant.inputs)

    def box(self) -> tuple[Array, Array]:
        """(nu,) each: the contract's ranges of the actions."""
        low, high = (np.array([getattr(s, side) for s in self.task.contract.outputs]) for side in ("low", "high"))
        return low, high


def model_of(plant: Plant, task: Task, variant: str | None = None) -> Model:
    """The model of a plant's task, with the parameters of a variant."""
    nu, columns = len(plant.inputs), len(plant.state_columns(task))
    x, u, last = casadi.SX.sym("x", columns), casadi.SX.sym("u", nu), casadi.SX.sym("last", nu)
    p, calm = [*plant.nominal(variant).values()] or [0.0], casadi.DM.zeros(max(len(plant.disturbances), 1))
    after = step_function(plant, task)(x, u, casadi.DM(p), calm, task.period_s)
    return Model(
        plant,
        task,
        casadi.Function("step", [x, u], [after]),
        casadi.Function("cost", [x, u, last], [casadi.densify(task.cost(x, u, last))]),
        casadi.Function("observe", [x], [casadi.densify(task.observe(x))]),
        casadi.Function("margin", [x], [casadi.densify(task.margin(x))]),
    )


@dataclass(frozen=True)
class Rest:
    """States `x` (nx + goals,) that the input `u` (nu,) keeps where they are, the goals held."""

    x: Array
    u: Array


def find_rest(model: Model, goals: Array | None = None, near: Rest | None = None) -> Rest:
    """The rest with the least cost for `goals` (those of the first draw by default), inside the box of actions.

    The best of several searches by IPOPT from draws of the task's starts; with `near`, the first that succeeds, from
    there. A rest is a fixed point of the plant's own step, which holds what its projection keeps (a quaternion's
    length) too.
    """
    nx, (low, high) = model.nx, model.box()
    draws = model.task.initial(np.random.default_rng(0), STARTS, model.plant.nominal()).astype(np.float64)
    goals = draws[0, nx:] if goals is None else np.asarray(goals, np.float64)
    action = np.clip(model.task.contract.initial_applied(), low, high)
    guesses = (
        [(start, action) for start in draws] if near is None else [(near.x, near.u), *((x, action) for x in draws)]
    )
    search, scale = _search(model), magnitudes(model)[:nx]
    best, least, free = None, np.inf, np.full(nx, np.inf)
    for x, u in guesses:
        guess = np.concatenate([x[:nx] / scale, u])
        found = search(x0=guess, p=goals, lbx=[*-free, *low], ubx=[*free, *high], lbg=0, ubg=0)
        if search.stats()["success"] and float(found["f"]) < least - 1e-9:
            best, least = np.array(found["x"])[:, 0], float(found["f"])
            if near is not None:
                break
    if best is None:
        raise TinyctlError("no state was found at which the plant can rest", where=f"plant {model.plant.name}")
    return Rest(np.concatenate([best[:nx] * scale, goals]), best[nx:])


@cache
def _search(model: Model) -> Any:
    scale = magnitudes(model)[: model.nx]
    z, u, goals = (casadi.SX.sym(k, r) for k, r in (("z", model.nx), ("u", model.nu), ("g", len(model.task.goals))))
    x = casadi.vertcat(z * scale, goals)
    moved = (model.step(x, u)[: model.nx] - x[: model.nx]) / scale
    problem = {"x": casadi.vertcat(z, u), "p": goals, "f": model.cost(x, u, u), "g": moved}
    return casadi.nlpsol("rest", "ipopt", problem, {**QUIET, "ipopt.max_iter": 200})


@cache
def magnitudes(model: Model) -> Array:
    """(nx + goals,): how large the columns of `x` are at the task's starts, at least 1."""
    drawn = model.task.initial(np.random.default_rng(0), 256, model.plant.nominal())
    return np.maximum(np.abs(drawn.astype(np.float64)).max(axis=0), 1.0)
