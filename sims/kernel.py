"""A plant as compiled functions: batches of RK4 steps, observations, costs and their vector-Jacobian products.

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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.sims.functions import functions
from tinyctl.sims.instructions import Argument, Block, block_of
from tinyctl.sims.plant import Array, Plant, Task
from tinyctl.templates import template
from tinyctl.toolchains import SHARED, cache_folder, host_cc, run, version

LANES = 64  # a block's arrays fill half of the first-level cache
# gcc 12 fuses in its SLP vectoriser whatever -ffp-contract says.
FLAGS = (
    "-std=gnu99",
    "-O1",
    "-ftree-vectorize",
    "-fopenmp-simd",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-tree-slp-vectorize",
    *SHARED,
)


class _View(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("lane_stride", ctypes.c_long), ("row_stride", ctypes.c_long))

    def after(self, lanes: int) -> _View:
        """The same rows without the first `lanes`."""
        return _View(self.data + 4 * lanes * self.lane_stride, self.lane_stride, self.row_stride)


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

    def bind(
        self, name: str, n: int, inputs: Sequence[Array], outputs: Sequence[Array], *, threads: int = 1
    ) -> Callable[[], None]:
        """A call of function `name` on `n` lanes of these very buffers, which are read and written at each call.

        With `threads` the lanes are shared out. The results do not depend on it; it pays from about ten thousand lanes
        on, for it takes tens of microseconds to wake a thread and wait for it.
        """
        block = self.blocks[name]
        if any(len(a) != n for a in outputs):
            raise TinyctlError(f"an output does not have {n} rows", where=f"kernel function {name}")
        arrays = (*inputs, *outputs)
        views = [_view(a, q, n, name) for q, a in zip(block.inputs + block.outputs, arrays, strict=True)]
        function, blocks = self.library[f"tinyctl_{name}"], -(-n // LANES)
        function.restype = None
        ends = [min(blocks * k // threads * LANES, n) for k in range(threads + 1)]
        parts = [
            partial(function, ctypes.c_long(end - first), (_View * len(views))(*(v.after(first) for v in views)))
            for first, end in pairwise(ends)
        ]

        def call(keep: Any = arrays) -> None:  # the views point into the arrays
            others = [_pool(threads - 1).submit(part) for part in parts[1:]]
            parts[0]()
            for other in others:
                other.result()

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
        """The states (n, nx) after one RK4 step of `dt` seconds, projected."""
        return self.call("step", x, u, p, d, np.atleast_1d(np.asarray(dt, np.float32)))[0]

    def step_vjp(self, x: Array, u: Array, p: Array, d: Array, dt: float | Array, g: Array) -> tuple[Array, Array]:
        """From the gradient `g` (n, nx) at the result of `step` to those at `x` (n, nx) and `u` (n, nu)."""
        g_x, g_u = self.call("step_vjp", x, u, p, d, np.atleast_1d(np.asarray(dt, np.float32)), g)
        return g_x, g_u

    def step_vjp_full(
        self, x: Array, u: Array, p: Array, d: Array, dt: float | Array, g: Array
    ) -> tuple[Array, Array, Array, Array, Array]:
        """The same to `x`, `u`, `p` (n, np), `d` (n, nd) and `dt` (n, 1): for kernels compiled with `step_vjp_full`."""
        g_x, g_u, g_p, g_d, g_h = self.call("step_vjp_full", x, u, p, d, np.atleast_1d(np.asarray(dt, np.float32)), g)
        return g_x, g_u, g_p, g_d, g_h

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
    blocks = {f.name(): block_of(f) for f in (*functions(plant, task), *extra)}
    source = template("plant.c.j2").render(plant=plant.name, lanes=LANES, blocks=blocks.values())
    return Kernel(plant, task, blocks, _library(source, plant.name))


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
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kernel")


@cache
def _cpu() -> str:
    """What -march=native looks at, so that a cache shared by machines never serves foreign instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return "\n".join(sorted(kept))
