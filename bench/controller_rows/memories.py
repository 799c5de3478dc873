"""Every memory as a policy for the CSTR, trained alike and briefly, in int16: closed-loop cost, cycles, flash and RAM
of each, beside the policy without memory of `tinyctl train cstr`.

`python bench/controller_rows/memories.py PLOT.png` draws them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

import tinyctl  # noqa: E402
from controller_rows import Figure, kept_policy, timed  # noqa: E402
from tinyctl.flight import GraphController  # noqa: E402
from tinyctl.policy import Policy  # noqa: E402
from tinyctl.sims.loop import fly  # noqa: E402
from tinyctl.trainers import apg, recurrent  # noqa: E402
from tinyctl.trainers.memories import CELLS  # noqa: E402
from tinyctl.trainers.recurrent import Config  # noqa: E402

PLANT, EPISODES, SURVIVED = tinyctl.plant("cstr"), 200, 0.99
SETTINGS = Config(calm=5.0, window=1, actions=True, louder=(0.5, 10.0), episodes=32, rounds=3, steps=150, batch=16,
                  validation_episodes=10)  # fmt: skip
TRAINERS = [f"tinyctl/trainers/{n}.py" for n in ("recurrent", "memories", "s5", "shplrnn", "convex", "reservoir")]
SOURCES = (*TRAINERS, "sims/plants/cstr.py")


@dataclass(frozen=True)
class Measured:
    """A controller in int16: mean cost of a control period in closed loop, and what it takes on the board."""

    name: str
    survived: float
    cost: float
    cycles: int
    flash: int
    ram: int


def figures() -> Iterator[Figure]:
    for found in measured():
        told = f"{found.cycles:,} cycles worst, {found.flash:,} bytes of flash, {found.ram:,} of RAM"
        yield Figure(f"{found.name}, w16a16: closed-loop cost, a step", f"{found.cost:.3f}; {told}",
                     f"{SURVIVED:.0%} survive", found.survived >= SURVIVED)  # fmt: skip


def measured() -> Iterator[Measured]:
    """Each memory, and none."""
    makers = {cell: partial(_trained, replace(SETTINGS, cell=cell)) for cell in CELLS}
    makers["none"] = lambda: apg.train(PLANT).policy
    for name, make in makers.items():
        policy = kept_policy(f"memory-{name}", make, SETTINGS, SOURCES)
        graph, _ = tinyctl.quantize(policy, "w16a16", plant_name=PLANT)
        flown = fly(PLANT, PLANT.task(), GraphController(graph), episodes=EPISODES, seed=9, keep=0)
        report = timed(graph)
        yield Measured(name, flown.survival().value, float(flown.cost.mean()), report.cycles_worst, report.flash_bytes,
                       report.ram_bytes)  # fmt: skip


def _trained(config: Config) -> Policy:
    return recurrent.train(PLANT, config=config).policy


def plot(path: Path) -> None:
    """Closed-loop cost over cycles, as large as the flash."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for found in measured():
        axes.scatter(found.cycles, found.cost, s=found.flash / 100, alpha=0.6)
        axes.annotate(f"{found.name}, {found.flash / 1000:.0f} kB", (found.cycles, found.cost), xytext=(8, 4),
                      textcoords="offset points")  # fmt: skip
    axes.set(xlabel="worst cycles of a step on the Crazyflie", ylabel="closed-loop cost on the CSTR", xscale="log")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    plot(Path(sys.argv[1]))
