"""A plant as compiled functions: batches of integration steps, observations, costs and their vector-Jacobian products.

CasADi's scalar expressions become C loops over structure-of-arrays blocks, compiled by the host's compiler and loaded
with ctypes. Strict IEEE float32: a lane's result depends neither on the batch size nor on its neighbours, and loading a
kernel leaves the processor's treatment of denormals alone (a library linked with -ffast-math would not).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import casadi
import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.sims.instructions import Argument, Block, block_of
from tinyctl.sims.plant import SX, Array, Plant, Task
from tinyctl.templates import template
from tinyctl.toolchains import SHARED, cache_folder, host_cc, run, version

LANES = 32  # a block's arrays stay in the first-level cache; four AVX2 vectors
# By name, the reach and weight of each stage of an explicit Runge-Kutta method, as C text.
INTEGRATORS: dict[str, dict[str, tuple[str, ...]]] = {
    "rk4": {"reach": ("0.0f", "0.5f", "0.5f", "1.0f"), "weight": ("1.0f / 6", "1.0f / 3", "1.0f / 3", "1.0f / 6")},
    "euler": {"reach": ("0.0f",), "weight": ("1.0f",)},
}
# gcc 12 fuses in its SLP vectoriser whatever -ffp-contract says.
FLAGS = (
    "-std=gnu99",
    "-O3",
    "-fopenmp-simd",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-tree-slp-vectorize",
    *SHARED,
)


class _View(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("lane_stride", ctypes.c_long), ("row_stride", ctypes.c_long))


@dataclass(frozen=True, eq=False)
class Kernel:
    """The compiled functions of one plant and task; `nx` columns of `x` are the plant's states and the task's goals.

    Arrays are float32 of shape (n, columns) in any memory layout: a transposed view of a (columns, n) buffer is the
    fastest. One row, shape (columns,), stands for all lanes. `p` and `d` are the parameters and disturbances in the
    plant's order, `dt` a step length in s, one for all or (n, 1).
    """

    plant: Plant
    task: Task
    blocks: Mapping[str, Block]
    library: ctypes.CDLL

    def bind(self, name: str, n: int, inputs: Sequence[Array], outputs: Sequence[Array]) -> Callable[[], None]:
        """A call of function `name` on `n` lanes of these very buffers, which are read and written at each call."""
        block = self.blocks[name]
        if any(len(a) != n for a in outputs):
            raise TinyctlError(f"an output does not have {n} rows", where=f"kernel function {name}")
        views = (_View * (len(inputs) + len(outputs)))(
            *(_view(a, q, n, name) for q, a in zip(block.inputs + block.outputs, (*inputs, *outputs), strict=True))
        )
        function, count = self.library[f"tinyctl_{name}"], ctypes.c_long(n)
        function.restype = None
        keep = (*inputs, *outputs)  # the views point into them

        def call(keep: Any = keep) -> None:
            function(count, views)

        return call

    def call(self, name: str, *inputs: Array) -> tuple[Array, ...]:
        """Function `name` of `inputs`, into new arrays (n, columns)."""
        arrays = [np.asarray(a, np.float32) for a in inputs]
        n = max((len(a) for a in arrays if a.ndim == 2), default=1)
        outputs = tuple(np.empty((n, q.rows), np.float32) for q in self.blocks[name].outputs)
        if n:
            self.bind(name, n, arrays, outputs)()
        return outputs

    def step(self, x: Array, u: Array, p: Array, d: Array, dt: float | Array) -> Array:
        """The states (n, nx) after one step of `dt` seconds by the plant's integrator, projected."""
        return self.call("step", x, u, p, d, np.atleast_1d(np.asarray(dt, np.float32)))[0]

    def step_vjp(self, x: Array, u: Array, p: Array, d: Array, dt: float | Array, g: Array) -> tuple[Array, Array]:
        """From the gradient `g` (n, nx) at the result of `step` to those at `x` (n, nx) and `u` (n, nu)."""
        g_x, g_u = self.call("step_vjp", x, u, p, d, np.atleast_1d(np.asarray(dt, np.float32)), g)
        return g_x, g_u

    def observe(self, x: Array) -> Array:
        """The observation columns (n, n_obs), without noise."""
        return self.call("observe", x)[0]

    def observe_vjp(self, x: Array, g: Array) -> Array:
        """From the gradient `g` (n, n_obs) at the observations to that at the states (n, nx)."""
        return self.call("observe_vjp", x, g)[0]

    def cost(self, x: Array, u: Array, u_last: Array) -> Array:
        """The task's training cost (n,)."""
        return self.call("cost", x, u, u_last)[0][:, 0]

    def cost_vjp(self, x: Array, u: Array, u_last: Array, g: Array) -> tuple[Array, Array, Array]:
        """The gradients of `g * cost`, `g` (n, 1), at `x`, `u` and `u_last`."""
        g_x, g_u, g_last = self.call("cost_vjp", x, u, u_last, g)
        return g_x, g_u, g_last

    def margin(self, x: Array) -> Array:
        """(n,): positive until the episode is lost."""
        return self.call("margin", x)[0][:, 0]

    def score(self, x: Array) -> Array:
        """(n, scores): the expressions whose means over time are the task's scores."""
        return self.call("score", x)[0]


def compile_plant(plant: Plant, task: Task, extra: Sequence[Any] = ()) -> Kernel:
    """Emit, compile (or find in the cache) and load the kernels of a plant's task, and any further `extra`
    casadi.Functions of SX columns, whose names join the others'. Raises `TinyctlError` when an expression does not fit.
    """
    blocks = [block_of(f) for f in (*_functions(plant, task), *extra)]
    x, u, p, d = (Argument(name, rows) for name, rows in _sizes(plant, task))
    h, g = Argument("h", 1), Argument("g", x.rows)
    step = Block("step", (x, u, p, d, h), (Argument("next", x.rows),), None)
    step_vjp = Block("step_vjp", (x, u, p, d, h, g), (Argument("g_x", x.rows), Argument("g_u", u.rows)), None)
    source = template("plant.c.j2").render(
        plant=plant.name,
        lanes=LANES,
        nx=x.rows,
        nu=u.rows,
        blocks=blocks,
        exports=[*blocks, step, step_vjp],
        **INTEGRATORS[plant.integrator],
    )
    library = _library(source, plant.name)
    return Kernel(plant, task, {b.name: b for b in (*blocks, step, step_vjp)}, library)


def vjp(f: Any, wrt: Sequence[int]) -> Any:
    """NAME_vjp: the inputs of the one-output SX function `f`, and `g`, to gradients `g_INPUT` of the inputs `wrt`."""
    inputs = [casadi.SX.sym(f.name_in(i), f.numel_in(i)) for i in range(f.n_in())]
    y = f(*inputs)
    g = casadi.SX.sym("g", y.numel())
    at = casadi.vertcat(*(inputs[i] for i in wrt))
    gradient = casadi.densify(casadi.jtimes(y, at, g, True))
    ends = np.cumsum([0, *(f.numel_in(i) for i in wrt)])
    outputs = [gradient[int(a) : int(b)] for a, b in pairwise(ends)]
    names = [f.name_in(i) for i in range(f.n_in())]
    return casadi.Function(f"{f.name()}_vjp", [*inputs, g], outputs, [*names, "g"], [f"g_{names[i]}" for i in wrt])


def _sizes(plant: Plant, task: Task) -> tuple[tuple[str, int], ...]:
    # A plant without disturbances or parameters still passes one unused column of each: C has no empty arrays.
    rows = {"x": plant.state_columns(task), "u": plant.inputs, "p": plant.parameters, "d": plant.disturbances}
    return tuple((name, max(len(variables), 1)) for name, variables in rows.items())


def _functions(plant: Plant, task: Task) -> list[Any]:
    """The SX functions of a plant and task, with their VJPs."""
    x, u, p, d = (casadi.SX.sym(name, rows) for name, rows in _sizes(plant, task))
    u_last = casadi.SX.sym("u_last", len(plant.inputs))
    named = {q.name: p[i] for i, q in enumerate(plant.parameters)}

    def function(name: str, inputs: dict[str, SX], make: Callable[[], SX], rows: int) -> Any:
        try:
            y = casadi.densify(casadi.vertcat(make()))
        except Exception as error:
            raise TinyctlError(f"{name}: {type(error).__name__}: {error}", where=f"plant {plant.name}") from error
        if y.shape != (rows, 1):
            raise TinyctlError(f"{name} has shape {y.shape}, not ({rows}, 1)", where=f"plant {plant.name}")
        return casadi.Function(name, list(inputs.values()), [y], list(inputs), ["y"])

    own, goals = x[: len(plant.states)], x[len(plant.states) :]  # the task's goals move by themselves
    drift = (lambda: task.drift(x, named)) if task.drift is not None else (lambda: casadi.SX.zeros(goals.numel()))
    derivative = function("derivative", {"x": x, "u": u, "p": p, "d": d},
                          lambda: casadi.vertcat(plant.derivative(own, u, named, d), drift()), x.numel())  # fmt: skip
    project = function("project", {"x": x, "p": p}, lambda: casadi.vertcat(plant.project(own, named), goals), x.numel())
    observe = function("observe", {"x": x}, lambda: task.observe(x), task.contract.n_obs)
    cost = function("cost", {"x": x, "u": u, "u_last": u_last}, lambda: task.cost(x, u, u_last), 1)
    margin = function("margin", {"x": x}, lambda: task.margin(x), 1)
    scores = len(task.scores)
    score = function("score", {"x": x}, lambda: casadi.vertcat(*(s.expression(x) for s in task.scores)), scores)
    return [derivative, vjp(derivative, (0, 1)), project, vjp(project, (0,)), observe, vjp(observe, (0,)), cost,
            vjp(cost, (0, 1, 2)), margin, *([score] if scores else [])]  # fmt: skip


def _view(array: Array, argument: Argument, n: int, name: str) -> _View:
    if array.dtype != np.float32 or array.shape[-1:] != (argument.rows,) or array.shape not in (
        (argument.rows,), (1, argument.rows), (n, argument.rows)
    ):  # fmt: skip
        raise TinyctlError(f"{argument.name} is {array.dtype}{array.shape}, not float32({n}, {argument.rows})",
                           where=f"kernel function {name}")  # fmt: skip
    lane = array.strides[0] // 4 if array.shape[0] == n and array.ndim == 2 else 0
    return _View(array.ctypes.data, lane, array.strides[-1] // 4)


def _library(source: str, name: str) -> ctypes.CDLL:
    """The shared library of a C source, from the cache or freshly compiled into it."""
    compiler = host_cc()
    command = (*compiler, *FLAGS, "-mcpu=native" if len(compiler) > 1 else "-march=native")  # zig cc has its own name
    key = "\0".join((source, *command, version(compiler), _cpu()))
    folder = cache_folder() / "kernels"
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            (Path(work) / "kernel.c").write_text(source)
            run([*command, "-o", "kernel.so", "kernel.c"], what=f"kernel of {name}", cwd=Path(work))
            os.replace(Path(work) / "kernel.so", path)
    return ctypes.CDLL(str(path))


@cache
def _cpu() -> str:
    """What -march=native looks at, so that a cache shared by machines never serves foreign instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return "\n".join(sorted(kept))
