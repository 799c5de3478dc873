"""Mixed-integer control over learned ReLU dynamics beside nonlinear MPC, on the pendulum from near upright.

Run by `make bench-mip`; exits 1 when the mixed-integer expert loses an episode or ends more than 0.1 rad off.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyctl.sims.experts import expert
from tinyctl.sims.experts.mip_mpc import MixedInteger
from tinyctl.sims.loop import fly
from tinyctl.sims.plants import load_plant

MOST = 0.1  # rad, the mean of the last half second


def main() -> int:
    """A row for each expert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--swing-up", action="store_true", help="from any angle, where nothing is promised")
    asked = parser.parse_args()
    plant = load_plant("pendulum")
    task = plant.task()
    if not asked.swing_up:
        task = replace(
            task, episode_steps=75, scores=(replace(task.scores[0], last_s=0.5),),
            initial=lambda rng, n, p: rng.uniform((-0.2, -0.3), (0.2, 0.3), (n, 2)).astype(np.float32),
        )  # fmt: skip
    table = Table("expert", "survived", "angle error, rad", "ReLUs", "binaries", "median solve, s", "proved")
    met = True
    for name in ("mip", "mpc"):
        made = expert(name, plant, task)
        flown = fly(plant, task, made, episodes=asked.episodes)
        error = float(flown.scores["angle_error"].mean())
        row = [name, f"{flown.survived.mean():.0%}", f"{error:.3f}"]
        if isinstance(made, MixedInteger):
            met = bool(flown.survived.all()) and error < MOST
            columns = np.array([(s.relus, s.binaries, s.seconds, s.proved) for s in made.solved])
            relus, binaries, seconds = np.median(columns[:, :3], axis=0)
            row += [f"{relus:.0f}", f"{binaries:.0f}", f"{seconds:.2f}", f"{columns[:, 3].mean():.0%}"]
        table.add_row(*row)
    Console().print(table)
    return 0 if met or asked.swing_up else 1


if __name__ == "__main__":
    sys.exit(main())
