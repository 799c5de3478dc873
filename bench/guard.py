"""What a guard is worth on the quadrotor: crashes of feasible cases under faults and on heavier plants, with and
without it; false interventions; cycles; retraining on mined failures; a fuzzer with sanitizers.

    python bench/guard.py [--flights N] [--sequences N]

Exit status 1 when a bar is missed: 30 % fewer crashes in each class (a class in which nothing crashes
without the guard has none with it), under 2 % false interventions, under 800 cycles on the Crazyflie, 30 % fewer
feasible crashes at 1.3 times the trained range after retraining, and a million sequences without undefined behaviour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz_guard import fuzz  # noqa: E402

import tinyctl  # noqa: E402
from tinyctl.emitter import emit  # noqa: E402
from tinyctl.flight import GraphController  # noqa: E402
from tinyctl.graph import Graph  # noqa: E402
from tinyctl.hostlib import HostController  # noqa: E402
from tinyctl.layers.base import Array  # noqa: E402
from tinyctl.policy import Policy  # noqa: E402
from tinyctl.safety.faults import KINDS, Faulty  # noqa: E402
from tinyctl.safety.feasible import feasible  # noqa: E402
from tinyctl.safety.guard import Guarded  # noqa: E402
from tinyctl.safety.mining import Parameters, crash_kernel, heavier, mine, starts  # noqa: E402
from tinyctl.sims.loop import Draws, close_loop  # noqa: E402

BOARD = "crazyflie21"
REDUCTION, FALSE, CYCLES = 0.3, 0.02, 800
DELAY_S = 0.0002  # what the whole step takes on the board
BATCH = 500


@dataclass(frozen=True)
class Row:
    """One line of the table: figures as text, and whether the bar is held."""

    what: str
    without: str
    with_: str
    bar: str
    held: bool


class Bench:
    """The plant, a policy and its guard, both compiled for the host."""

    def __init__(self, flights: int, scratch: Path) -> None:
        self.plant = tinyctl.plant("quadrotor")
        self.task, self.flights, self.scratch = self.plant.task("hover"), flights, scratch
        self.kernel = crash_kernel(self.plant, self.task)
        self.graph = self.quantized(tinyctl.train(self.plant).policy)
        self.guarded, _ = tinyctl.guard(self.graph, self.plant)
        self.bare, self.behind = self.compiled(self.graph, "bare"), self.compiled(self.guarded, "behind")

    def quantized(self, policy: Policy) -> Graph:
        return tinyctl.quantize(policy, "w16a16", plant_name=self.plant)[0]

    def compiled(self, graph: Graph, name: str) -> HostController:
        emit(graph, self.scratch / name, name)
        return HostController(self.scratch / name)

    def drawn(self, seed: int, scale: float = 1.0, parameters: Parameters | None = None) -> Iterator[Draws]:
        """`flights` starts in batches, of seeds that neither training nor the guard has seen."""
        for first in range(0, self.flights, BATCH):
            n = min(BATCH, self.flights - first)
            yield starts(self.kernel, n, 10_000 + 100 * seed + first // BATCH, scale=scale, parameters=parameters)

    def crashes(self, controller: Any, drawn: Draws) -> Array:
        return ~close_loop(self.kernel, drawn, controller, delay_s=DELAY_S, keep=0).survived

    def possible(self, drawn: Draws, crashed: list[Array]) -> Array:
        """(n,) the feasible cases. Who survives shows that it can be done; of the others the search decides."""
        doubt: Array = np.logical_and.reduce(crashed)
        good = ~doubt
        if doubt.any():
            p = drawn.p[doubt] if drawn.p.ndim == 2 else drawn.p
            rest = replace(drawn, x=drawn.x[doubt], d=drawn.d[doubt], p=p, noise=drawn.noise[:, doubt])
            good[doubt] = feasible(self.kernel, rest, [GraphController(self.graph)])
        return good


def compare(bench: Bench, what: str, batches: list[Draws], fault: Any = None) -> Row:
    """Crashes of the feasible cases of a class."""
    without = with_ = possible = 0
    for drawn in batches:
        pair = [bench.bare, bench.behind]
        controllers = pair if fault is None else [Faulty(c, bench.task, fault, seed=possible) for c in pair]
        crashed = [bench.crashes(c, drawn) for c in controllers]
        good = bench.possible(drawn, crashed)
        possible += int(good.sum())
        without, with_ = without + int((crashed[0] & good).sum()), with_ + int((crashed[1] & good).sum())
    held = with_ <= (1 - REDUCTION) * without
    change = f"{with_ / without - 1:+.0%}" if without else "nothing to lose"
    return Row(f"{what} ({possible} feasible)", str(without), f"{with_}, {change}", "-30 %", held)


def outcomes(bench: Bench) -> Iterator[Row]:
    """Sensor faults, heavier plants, and what it does where nothing is wrong."""
    inside = list(bench.drawn(0))
    for kind in KINDS:
        yield compare(bench, f"sensor fault: {kind}", inside, kind)
    yield compare(bench, "weights and inertias", list(bench.drawn(1, parameters=heavier(bench.plant))))
    touched = 0
    for drawn in bench.drawn(2):
        seen = _Seen(bench.behind)
        bench.crashes(seen, drawn)
        touched += int(seen.touched.sum())
    share = touched / bench.flights
    yield Row("false interventions", "", f"{share:.2%} of {bench.flights}", "< 2 %", share < FALSE)


def cycles(bench: Bench) -> Iterator[Row]:
    """What `check` predicts with the guard and without, on observations of flights and on its own, which are faults of
    every sensor at every step: the commonest path, and of flights the slowest, in which every sensor is in doubt."""
    flown = mine(bench.graph, bench.kernel, next(bench.drawn(3)), DELAY_S).observations[:100, :2]
    images = {name: tinyctl.build(bench.scratch / name, BOARD, out=bench.scratch / f"{name}.elf").path
              for name in ("bare", "behind")}  # fmt: skip
    for what, rows in (("in flight", flown), ("every sensor faulty", None)):
        bare, behind = (tinyctl.check(image, BOARD, observations=rows) for image in images.values())
        for figure in ("typical", "slowest"):
            before, after = (getattr(report, f"cycles_{figure}") for report in (bare, behind))
            held = after - before < CYCLES
            yield Row(f"cycles, {what}, {figure}", f"{before:,}", f"{after:,}, {after - before:+,}", "< +800", held)


def retraining(bench: Bench) -> Iterator[Row]:
    """Crashes at 1.3 times the trained range, of the policy and of one retrained on failures mined further out."""
    found = bench.scratch / "failures.npz"
    tinyctl.mine(bench.graph, bench.plant, scale=1.6, out=found)
    config = tinyctl.trainers.configured("apg", {"retrain": str(found)})
    again = bench.compiled(bench.quantized(tinyctl.train(bench.plant, config=config).policy), "again")
    before = after = 0
    for drawn in [d for seed in range(4, 8) for d in bench.drawn(seed, scale=1.3)]:
        crashed = [bench.crashes(c, drawn) for c in (bench.bare, again)]
        good = bench.possible(drawn, crashed)
        before, after = before + int((crashed[0] & good).sum()), after + int((crashed[1] & good).sum())
    held, change = before > 0 and after <= (1 - REDUCTION) * before, after / max(before, 1) - 1
    what = f"retrained, 1.3 x the trained range, {4 * bench.flights} flights"
    yield Row(what, str(before), f"{after}, {change:+.0%}", "-30 %", held)


def fuzzed(bench: Bench, sequences: int) -> Iterator[Row]:
    """Undefined behaviour, actions out of their box and faults without a reason raise."""
    tried = sum(fuzz(bench.guarded, bench.scratch / "fuzz", sequences, seed=1).values())
    yield Row("fuzzed sequences", "", f"{tried:,}, each fault with its reason", "all", tried == sequences)


class _Seen:
    """A guarded controller, and in which flights its guard did anything."""

    def __init__(self, controller: HostController) -> None:
        self.controller = controller

    def reset(self, n: int) -> None:
        self.controller.reset(n)
        self.touched = np.zeros(n, bool)

    def step(self, observations: Array) -> Array:
        action = self.controller.step(observations)
        self.touched |= self.controller.status > 0
        return action


def main() -> None:
    """One row a bar."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--flights", type=int, default=1000)
    parser.add_argument("--sequences", type=int, default=1_000_000)
    asked = parser.parse_args()
    table, missed = Table("", "without", "with", "bar", "", title="guard"), False
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        bench = Bench(asked.flights, Path(scratch))
        assert isinstance(bench.guarded, Guarded)
        rows = chain(outcomes(bench), cycles(bench), retraining(bench), fuzzed(bench, asked.sequences))
        for row in rows:
            print(row, file=sys.stderr, flush=True)
            missed |= not row.held
            table.add_row(row.what, row.without, row.with_, row.bar, "held" if row.held else "[red]missed[/]")
    Console().print(table)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
