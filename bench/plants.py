"""Every plant's experts and its policy by analytic policy gradient on the same episodes. Run by `make bench-plants`;
exits 1 when a policy misses its bar.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.sims.experts import EXPERTS, expert
from tinyctl.sims.loop import Flights, fly

EPISODES, MPC_EPISODES = 500, 10  # one problem of predictive control takes 3 to 30 ms
# Of the policy: the surviving fraction, and its first score in the unit of that score.
BARS = {
    "pendulum": (0.99, 0.02),
    "cartpole": (0.99, 0.02),
    "cstr": (0.99, 0.01),
    "mass_spring": (0.99, 0.05),
    "pipeline": (0.99, 9.0),
}


def main() -> None:
    """Print one row a plant and controller."""
    shown = Table("plant", "controller", "episodes", "survived, %", "scores", "cost", title="First task of each plant")
    missed = False
    for name, (survived, error) in BARS.items():
        plant = tinyctl.plant(name)
        task = plant.task()
        for kind in EXPERTS:
            try:
                made = expert(kind, plant, task)
            except TinyctlError:  # it says that the task has no such expert
                continue
            episodes = MPC_EPISODES if kind == "mpc" else EPISODES
            shown.add_row(name, kind, *_row(fly(plant, task, made, episodes=episodes, seed=7)))
        policy = tinyctl.train(plant).policy
        flown = fly(plant, task, GraphController(Graph(policy.contract, policy.nodes)), episodes=EPISODES, seed=7)
        first = flown.score(task.scores[0].name)
        good = flown.survival().value >= survived and first is not None and first.value <= error
        missed |= not good
        shown.add_row(name, "policy" if good else "policy (missed)", *_row(flown))
    Console().print(shown)
    sys.exit(missed)


def _row(flown: Flights) -> tuple[str, ...]:
    scores = ((name, flown.score(name)) for name in flown.scores)
    text = ", ".join(f"{name} {s.value:.3g}" for name, s in scores if s is not None)
    return str(len(flown.survived)), f"{100 * flown.survival().value:.1f}", text, f"{flown.cost.mean():.3f}"


if __name__ == "__main__":
    main()
