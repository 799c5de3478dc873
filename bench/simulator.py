"""Steps a second of the quadrotor's kernel: one RK4 step of 10 ms with motor lag and disturbances, and its gradient.

    python bench/simulator.py [--seconds S]

On one core and on two, with plants in numbers that stay in the second-level cache. A machine that does other things as
well only makes it slower, so the fastest of many short runs counts. Exit status 1 below a bar.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.sims.kernel import compile_plant

PLANTS = {1: 1024, 2: 32768}  # by threads: waking a thread must cost little against its work
BARS = {("step", 1): 35e6, ("step", 2): 65e6}
RUN_S = 2e-3  # less than the scheduler's time slice


@dataclass(frozen=True)
class Row:
    """One figure: `rate` and its `bar` (None: none is set) in steps/s."""

    what: str
    threads: int
    rate: float
    bar: float | None

    @property
    def met(self) -> bool:
        return self.bar is None or self.rate >= self.bar


def simulator_rows(seconds: float = 3.0) -> list[Row]:
    """Step and gradient on one core and on two; each is measured for `seconds`."""
    plant = tinyctl.plant("quadrotor")
    task, p = plant.task("hover"), plant.nominal()
    kernel = compile_plant(plant, task)
    rows = []
    for threads, n in PLANTS.items():
        rng = np.random.default_rng(0)
        x, d = _columns(task.initial(rng, n, p)), _columns(task.disturb(rng, n, p))
        u, g = _columns(rng.uniform(-0.3, 0.9, (n, 4))), _columns(rng.standard_normal(x.shape))
        after, g_x, g_u = np.empty_like(x), np.empty_like(x), np.empty_like(u)
        inputs = [x, u, np.array([*p.values()], np.float32), d, np.array([task.period_s], np.float32)]
        calls = {"step": kernel.bind("step", n, inputs, [after], threads=threads),
                 "step_vjp": kernel.bind("step_vjp", n, [*inputs, g], [g_x, g_u], threads=threads)}  # fmt: skip
        rows += [
            Row(what, threads, n * _rate(call, seconds), BARS.get((what, threads))) for what, call in calls.items()
        ]
    return rows


def _columns(array: np.ndarray) -> np.ndarray:
    """The same values (n, columns) with the lanes side by side in memory."""
    return np.ascontiguousarray(array.T, np.float32).T


def _rate(call: Callable[[], None], seconds: float) -> float:
    """Calls a second in the fastest run of `RUN_S`."""
    began = time.perf_counter()
    call()
    count = max(1, round(RUN_S / (time.perf_counter() - began)))
    fastest = np.inf
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        for _ in range(count):
            call()
        fastest = min(fastest, (time.perf_counter() - start) / count)
    return float(1 / fastest)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    rows = simulator_rows(parser.parse_args().seconds)
    table = Table("function", "cores", title="Quadrotor, strict IEEE float32", title_justify="left")
    for heading in ("million a second", "ns", "bar", ""):
        table.add_column(heading, justify="right")
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar / 1e6:.0f}"
        verdict = "" if row.bar is None else "met" if row.met else "missed"
        table.add_row(row.what, str(row.threads), f"{row.rate / 1e6:.1f}", f"{1e9 / row.rate:.1f}", bar, verdict)
    Console().print(table)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
