"""Training against its bars, in the setting of *Learning to Fly in Seconds*.

For each training seed: a policy, its CPU seconds after imports (kernels compiled afresh, child processes counted), and
5 x 1000 episodes of its emitted C from draws that no training sees. Run by `make bench-training`, which takes about
half an hour; `--seeds 0 --rows hover` is quick. Exits 1 when the median over the seeds misses a bar.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rl_tools import show_beside
from simulator import simulator_rows

import tinyctl
from tinyctl.hostlib import HostController
from tinyctl.layers.dense import Dense
from tinyctl.policy import Policy
from tinyctl.sims.loop import Flights, fly
from tinyctl.trainers.apg import Config

FLIGHT_SEEDS = range(101, 106)
EPISODES = 1000
DELAY_S = 150e-6  # about the predicted inference time; a tenth of it would change nothing
OUT = Path("build/bench-training")
NEVER = "rl-tools: never in 45 s"
SIMULATOR = "rl-tools: 2.4, rigid body alone 5.4"
TD3, SHIPPED = "rl-tools TD3, 45 s", "policy rl-tools ships"

Figures = dict[str, float]


@dataclass(frozen=True)
class Bar:
    """What the median of a figure must reach, and the best public one."""

    figure: str
    limit: float
    at_least: bool = False
    public: str = ""

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Row:
    """One training of the task called `task`, the tasks its policy flies, and bars for what comes of it."""

    title: str
    task: str
    config: Config
    flies: tuple[str, ...]
    bars: tuple[Bar, ...]
    flight_seeds: tuple[int, ...] = tuple(FLIGHT_SEEDS)
    plant: str = "quadrotor"


SHORT = Config(iterations=400, window=8)  # 0.16 s: a swing takes ten times as long
SIZE = Bar("parameters", 7000, public="rl-tools: 13,828")
ROWS = {
    "hover": Row(
        "the first policy to survive 95 % within 0.10 m", "hover",
        Config(iterations=200, stop_survived=0.95, stop_score=0.1), ("hover",),
        (Bar("cpu_s", 5.0, public=NEVER), Bar("hover survived", 0.95, True), Bar("hover error, m", 0.10), SIZE),
    ),
    "follow20": Row(
        "one policy, 20 CPU s", "follow", Config(iterations=800), ("hover", "figure_eight"),
        (Bar("cpu_s", 20.0),
         Bar("hover survived", 0.96, True, f"0.90 ({TD3}), 0.73 ({SHIPPED})"),
         Bar("hover error, m", 0.03, public=f"0.23 ({TD3}), 0.105 ({SHIPPED})"),
         Bar("figure_eight survived", 0.96, True),
         Bar("figure_eight error, m", 0.08, public=f"0.35 ({TD3}), 0.19 ({SHIPPED})"), SIZE),
    ),
    "follow60": Row(
        "one policy, 60 CPU s", "follow", Config(iterations=2400), ("hover", "figure_eight"),
        (Bar("cpu_s", 60.0), Bar("hover survived", 0.975, True), Bar("hover error, m", 0.015),
         Bar("figure_eight survived", 0.975, True), Bar("figure_eight error, m", 0.06), SIZE),
    ),
    "preview": Row(
        "figure-eight of 3.5 s with preview, 20 CPU s", "follow_preview", Config(iterations=800),
        ("figure_eight_preview",),
        (Bar("cpu_s", 20.0), Bar("figure_eight_preview survived", 0.96, True),
         Bar("figure_eight_preview error, m", 0.20), SIZE),
    ),
    "randomised": Row(
        "domain randomisation, 4000 draws, 60 CPU s", "hover", Config(iterations=1800, randomise=True), ("hover",),
        (Bar("cpu_s", 60.0), Bar("hover survived", 0.90, True), Bar("hover error, m", 0.08), SIZE),
        flight_seeds=tuple(FLIGHT_SEEDS)[:4],
    ),
    "throw": Row(
        "recovery from any attitude", "throw", Config(), ("throw",),
        (Bar("throw survived", 0.98, True), Bar("throw error, m", 0.10), SIZE),
    ),
    **{
        plant: Row(f"{plant}, as `tinyctl train {plant}` does it", task, Config(), (task,),
                   (Bar(f"{task} survived", 0.99, True), Bar(f"{task} error, {unit}", error)), plant=plant)
        for plant, task, unit, error in (("pendulum", "swing_up", "rad", 0.02), ("cartpole", "swing_up", "rad", 0.02),
                                         ("cstr", "set_point", "1", 0.01))
    },
    "critic": Row(
        "pendulum, windows of 8 periods and a critic", "swing_up", replace(SHORT, critic=(64, 64)), ("swing_up",),
        (Bar("swing_up survived", 0.98, True), Bar("swing_up error, rad", 0.25)), plant="pendulum",
    ),
    "no_critic": Row(  # the row above shows something only if this one does worse than its bar
        "the same without a critic", "swing_up", SHORT, ("swing_up",),
        (Bar("swing_up error, rad", 0.25, True),), plant="pendulum",
    ),
}  # fmt: skip


def simulator() -> list[tuple[str, Bar, float]]:
    """What `bench/simulator.py` has bars for."""
    found = []
    for row in simulator_rows():
        if row.bar is not None:
            title = f"simulator on {row.threads} core{'s' if row.threads > 1 else ''}"
            found.append((title, Bar("million steps/s", row.bar / 1e6, True, SIMULATOR), row.rate / 1e6))
    return found


def rl_tools() -> list[tuple[str, Bar, float]]:
    """rl-tools measured on this machine: a table of its own, without bars."""
    show_beside()
    return []


EXTRA = {"simulator": simulator, "rl_tools": rl_tools}  # measurements without a training: (title, bar, value)


def main() -> int:
    """Train, fly, print, and say whether all bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="training seeds")
    parser.add_argument(
        "--rows", nargs="+", choices=[*ROWS, *EXTRA], default=[*ROWS, *EXTRA], help="which measurements"
    )
    asked = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, Bar, list[float]]] = []
    for name in asked.rows:
        if name in EXTRA:
            found += [(title, bar, [value]) for title, bar, value in EXTRA[name]()]
            continue
        row = ROWS[name]
        runs = [measured(row, seed) for seed in asked.seeds]
        found += [(row.title, bar, [figures[bar.figure] for _, figures in runs]) for bar in row.bars]
        if name == "follow20":
            save_median([policy for policy, _ in runs], found[-2][2])
    show(found)
    return 0 if all(bar.met(statistics.median(values)) for _, bar, values in found) else 1


def measured(row: Row, seed: int) -> tuple[Policy, Figures]:
    """Train once with an empty kernel cache, then fly the emitted C."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TINYCTL_CACHE"] = cache
        trained = tinyctl.train(row.plant, row.task, seed=seed, config=row.config)
        del os.environ["TINYCTL_CACHE"]
    figures = {"cpu_s": trained.cpu_seconds, "parameters": parameters(trained.policy)}
    plant = tinyctl.plant(row.plant)
    for task in row.flies:
        unit = plant.task(task).scores[0].unit
        flights = flown(trained.policy, task, row)
        survived = np.concatenate([f.survived for f in flights])
        errors = np.concatenate([next(iter(f.scores.values()))[f.survived] for f in flights])
        figures[f"{task} survived"] = float(survived.mean())
        figures[f"{task} error, {unit}"] = float(errors.mean()) if len(errors) else float("inf")
    print(row.title, "seed", seed, {k: round(v, 4) for k, v in figures.items()}, file=sys.stderr)
    return trained.policy, figures


def flown(policy: Policy, task: str, row: Row) -> list[Flights]:
    plant = tinyctl.plant(row.plant)
    graph, _ = tinyctl.quantize(policy, "f32", plant_name=plant, task=row.task)
    with tempfile.TemporaryDirectory() as folder:
        tinyctl.emit(graph, Path(folder), "policy")
        controller = HostController(Path(folder))
        return [
            fly(plant, plant.task(task), controller, episodes=EPISODES, seed=seed, delay_s=DELAY_S, keep=0,
                randomise=row.config.randomise)
            for seed in row.flight_seeds
        ]  # fmt: skip


def parameters(policy: Policy) -> int:
    """Weights and biases."""
    return sum(n.layer.weight.size + n.layer.bias.size for n in policy.nodes if isinstance(n.layer, Dense))


def save_median(policies: list[Policy], errors: list[float]) -> None:
    """The policy of the seed with the median figure-eight."""
    median = errors.index(statistics.median_low(errors))
    graph, _ = tinyctl.quantize(policies[median], "f32", plant_name="quadrotor", task="follow")
    tinyctl.save(graph, OUT / "graph-f32.tctl")


def show(found: list[tuple[str, Bar, list[float]]]) -> None:
    """The table, and the same as JSON."""
    shown = Table("training", "figure", "bar", "median", "range over seeds", "", "public")
    for title, bar, values in found:
        median = statistics.median(values)
        verdict = "met" if bar.met(median) else "[bold red]missed[/]"
        sign = "at least" if bar.at_least else "at most"
        shown.add_row(title, bar.figure, f"{sign} {bar.limit:g}", f"{median:.4g}",
                      f"{min(values):.4g} to {max(values):.4g}", verdict, bar.public)  # fmt: skip
    Console(width=180).print(shown)
    record = [{"training": t, "figure": b.figure, "limit": b.limit, "at_least": b.at_least, "values": v}
              for t, b, v in found]  # fmt: skip
    (OUT / "table.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
