"""A plant and its task as symbolic functions: one integration step, observation, cost, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import casadi
import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.sims.plant import SX, Plant, Task


def functions(plant: Plant, task: Task) -> list[Any]:
    """The casadi.Functions of a plant and task, with the vector-Jacobian products that training needs."""
    x, u, u_last = (casadi.SX.sym(name, rows) for name, rows in (
        ("x", len(plant.state_columns(task))), ("u", len(plant.inputs)), ("u_last", len(plant.inputs))))  # fmt: skip

    def function(name: str, inputs: dict[str, SX], make: Callable[[], SX], rows: int) -> Any:
        return casadi.Function(name, list(inputs.values()), [_column(plant, name, make, rows)], list(inputs), ["y"])

    step = step_function(plant, task)
    observe = function("observe", {"x": x}, lambda: task.observe(x), task.contract.n_obs)
    cost = function("cost", {"x": x, "u": u, "u_last": u_last}, lambda: task.cost(x, u, u_last), 1)
    margin = function("margin", {"x": x}, lambda: task.margin(x), 1)
    scores = len(task.scores)
    score = function("score", {"x": x}, lambda: casadi.vertcat(*(s.expression(x) for s in task.scores)), scores)
    return [step, vjp(step, ("x", "u")), observe, vjp(observe, ("x",)), cost, vjp(cost, ("x", "u", "u_last")), margin,
            *([score] if scores else [])]  # fmt: skip


def staged_cost(plant: Plant, task: Task) -> list[Any]:
    """`staged_cost(x, u, u_last, w)`, the cost with its curriculum's terms weighed by `w`, and its product: extra
    functions of `compile_plant`; none where no stage weighs anything."""
    terms = task.curriculum.terms if task.curriculum is not None else {}
    if not terms:
        return []
    rows = {"x": len(plant.state_columns(task)), "u": len(plant.inputs), "u_last": len(plant.inputs), "w": len(terms)}
    x, u, u_last, w = (casadi.SX.sym(name, n) for name, n in rows.items())

    def weighed() -> SX:
        return task.cost(x, u, u_last) + sum((w[i] - 1) * term(x, u, u_last) for i, term in enumerate(terms.values()))

    f = casadi.Function("staged_cost", [x, u, u_last, w], [_column(plant, "terms", weighed, 1)], [*rows], ["y"])
    return [f, vjp(f, ("x", "u", "u_last"))]


def step_function(plant: Plant, task: Task) -> Any:
    """`step(x, u, p, d, h)`: the states after one step of `h` seconds by the classical Runge-Kutta rule, or Euler's for
    a plant that asks for it, projected.

    All of it is one function, so that what the four stages share is computed once and values stay in registers.
    """
    # A plant without disturbances or parameters still passes one unused column of each: C has no empty arrays.
    rows = {"x": plant.state_columns(task), "u": plant.inputs, "p": plant.parameters, "d": plant.disturbances, "h": "h"}
    x, u, p, d, h = (casadi.SX.sym(name, max(len(variables), 1)) for name, variables in rows.items())
    named, n = {q.name: p[i] for i, q in enumerate(plant.parameters)}, len(plant.states)

    def slope(at: SX) -> SX:
        acting = d if task.gust is None else task.gust(at, d)
        own = _column(plant, "derivative", lambda: plant.derivative(at[:n], u, named, acting), n)
        drift = task.drift
        if drift is None:
            return casadi.vertcat(own, casadi.SX.zeros(len(task.goals)))
        return casadi.vertcat(own, _column(plant, "drift", lambda: drift(at, named), len(task.goals)))

    first = slope(x)
    if plant.integrator == "euler":
        return _stepped(plant, rows, (x, u, p, d, h), x + h * first, named)
    second = slope(x + h / 2 * first)
    third = slope(x + h / 2 * second)
    fourth = slope(x + h * third)
    return _stepped(plant, rows, (x, u, p, d, h), x + h / 6 * (first + 2 * (second + third) + fourth), named)


def _stepped(plant: Plant, rows: Iterable[str], inputs: tuple[SX, ...], end: SX, named: dict[str, SX]) -> Any:
    """The function `step` whose result is `end`, the plant's own states projected."""
    n = len(plant.states)
    projected = _column(plant, "project", lambda: plant.project(end[:n], named), n)
    return casadi.Function("step", [*inputs], [casadi.cse(casadi.vertcat(projected, end[n:]))], [*rows], ["y"])


def step_vjp_full(plant: Plant, task: Task) -> Any:
    """`step_vjp_full`, the product to every input of the step, parameters and step length too. It takes longer to
    compile and to run than what training needs, so it is an `extra` function of `compile_plant`."""
    return vjp(step_function(plant, task), ("x", "u", "p", "d", "h"), "step_vjp_full")


def vjp(f: Any, wrt: tuple[str, ...], name: str | None = None) -> Any:
    """`name` (NAME_vjp by default): the inputs of the one-output SX function `f`, and `g`, to gradients `g_INPUT` of
    its inputs `wrt`."""
    inputs = {f.name_in(i): casadi.SX.sym(f.name_in(i), f.numel_in(i)) for i in range(f.n_in())}
    y = f(*inputs.values())
    g = casadi.SX.sym("g", y.numel())
    at = [inputs[key] for key in wrt]
    gradient = casadi.cse(casadi.densify(casadi.jtimes(y, casadi.vertcat(*at), g, True)))
    ends = np.cumsum([0, *(a.numel() for a in at)])
    outputs = [gradient[int(a) : int(b)] for a, b in pairwise(ends)]
    return casadi.Function(name or f"{f.name()}_vjp", [*inputs.values(), g], outputs, [*inputs, "g"],
                           [f"g_{key}" for key in wrt])  # fmt: skip


def _column(plant: Plant, name: str, make: Callable[[], SX], rows: int) -> SX:
    """What `make` returns as a dense column; raises `TinyctlError` when that has not `rows` rows."""
    try:
        y = casadi.densify(casadi.vertcat(make()))
    except Exception as error:
        raise TinyctlError(f"{name}: {type(error).__name__}: {error}", where=f"plant {plant.name}") from error
    if y.shape != (rows, 1):
        raise TinyctlError(f"{name} has shape {y.shape}, not ({rows}, 1)", where=f"plant {plant.name}")
    return y
