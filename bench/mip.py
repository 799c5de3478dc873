"""Mixed-integer control over learned ReLU dynamics, dense and sparse, beside LQR and nonlinear MPC: the pendulum from
near upright, and how far up it gets from hanging.

Run by `make bench-mip`; exits 1 when the expert with the sparse model loses an episode near upright or ends more than
0.1 rad off, or when its programs take longer than those with the dense one. From hanging nothing is promised.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyctl.policy import Policy
from tinyctl.sims.experts import expert
from tinyctl.sims.experts.mip_mpc import MixedInteger
from tinyctl.sims.loop import Flights, fly
from tinyctl.sims.plant import Task
from tinyctl.sims.plants import load_plant
from tinyctl.trainers import dynamics, sparse_dynamics

MOST = 0.1  # rad, the mean of the last half second
LIMIT_S = 1.0  # of a search, by the clock
PLANT = load_plant("pendulum")
TASK = PLANT.task()
NEAR = replace(
    TASK, episode_steps=75, scores=(replace(TASK.scores[0], last_s=0.5),),
    initial=lambda rng, n, p: rng.uniform((-0.2, -0.3), (0.2, 0.3), (n, 2)).astype(np.float32),
)  # fmt: skip
HANGING = replace(
    TASK, episode_steps=300, scores=(replace(TASK.scores[0], last_s=1.0),),
    initial=lambda rng, n, p: (np.array([np.pi, 0.0]) + rng.uniform(-0.1, 0.1, (n, 2))).astype(np.float32),
)  # fmt: skip


def main() -> int:
    """A row for each expert near upright, then one for each that begins at hanging."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=16, help="ReLUs of the dense model")
    parser.add_argument("--keep", type=float, default=0.25, help="share of them in the sparse one")
    asked = parser.parse_args()
    dense = dynamics.train(PLANT, TASK, config=dynamics.Config(hidden=(asked.hidden,)))
    sparse = sparse_dynamics.sparsify(dense, PLANT, TASK, keep=asked.keep).policy
    console = Console(width=120)
    shown = Table("expert", "model's RMSE", "survived", "angle error, rad", "cost", "ReLUs", "binaries",
                  "median solve, s", "proved", "improved", title="From near upright")  # fmt: skip
    ended: dict[str, tuple[bool, float]] = {}
    for name, model in (("lqr", None), ("mpc", None), ("mip, dense", dense), ("mip, sparse", sparse)):
        flown, made = flight(name, model, NEAR, asked.episodes)
        error = float(flown.scores["angle_error"].mean())
        row = [name, "" if model is None else f"{dynamics.rmse(model, PLANT, TASK):.3f}",
               f"{flown.survived.mean():.0%}", f"{error:.3f}", f"{flown.cost.mean():.5f}"]  # fmt: skip
        if isinstance(made, MixedInteger):
            ended[name] = bool(flown.survived.all()) and error < MOST, seconds(made)
            row += solved(made)
        shown.add_row(*row)
    console.print(shown)
    console.print(swing_up())
    (_, slow), (met, fast) = ended["mip, dense"], ended["mip, sparse"]
    told = "within" if met else "not within"
    print(f"sparse: {told} {MOST:g} rad, median solve {fast / slow:.2f} of the dense model's")
    return 0 if met and fast < slow else 1


def swing_up() -> Table:
    """One episode from hanging for each expert. The model's data hold the speeds of a swing, and height weighs most."""
    wide = replace(TASK, initial=lambda rng, n, p: rng.uniform((-np.pi, -7.0), (np.pi, 7.0), (n, 2)).astype(np.float32))
    config = dynamics.Config(hidden=(32,), episodes=8000, steps=1500)
    dense = dynamics.train(PLANT, wide, config=config)
    sparse = sparse_dynamics.sparsify(dense, PLANT, wide, keep=0.25, config=sparse_dynamics.Config(fit=config)).policy
    shown = Table("expert", "closest to upright, rad", "last second, rad", "ReLUs", "binaries", "median solve, s",
                  "proved", "improved", title="From hanging, 6 s")  # fmt: skip
    for name, model in (("mpc", None), ("mip, dense", dense), ("mip, sparse", sparse)):
        flown, made = flight(name, model, HANGING, 1)
        away = np.arccos(np.cos(flown.states[:, 0, 0]))
        row = [name, f"{away.min():.2f}", f"{flown.scores['angle_error'].mean():.2f}"]
        shown.add_row(*row, *(solved(made) if isinstance(made, MixedInteger) else []))
    return shown


def flight(name: str, model: Policy | None, task: Task, episodes: int) -> tuple[Flights, object]:
    """The flights of an expert, and the expert."""
    options: dict[str, Any] = {} if model is None else {"dynamics": model, "time_limit_s": LIMIT_S}
    if model is not None and task is HANGING:
        options["weights"] = (1.0, 0.1, 0.02)
    made = expert(name.partition(",")[0], PLANT, task, **options)
    return fly(PLANT, task, made, episodes=episodes, keep=1), made


def seconds(made: MixedInteger) -> float:
    """The median time of a search."""
    return float(np.median([search.seconds for search in made.solved]))


def solved(made: MixedInteger) -> list[str]:
    """The columns about searches."""
    relus, binaries = (np.median([getattr(s, key) for s in made.solved]) for key in ("relus", "binaries"))
    proved, improved = (np.mean([getattr(s, key) for s in made.solved]) for key in ("proved", "improved"))
    return [f"{relus:.0f}", f"{binaries:.0f}", f"{seconds(made):.2f}", f"{proved:.0%}", f"{improved:.0%}"]


if __name__ == "__main__":
    sys.exit(main())
