"""What pushes are worth: policies imitated from nonlinear MPC on the pendulum, from as many episodes without pushes and
with a fifth of them pushed, flown under larger disturbances than the teacher's. Run by `make bench-imitate`; exits 1
when the pushed data are worse.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tinyctl
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.policy import Policy
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import fly, mean_estimate
from tinyctl.sims.plant import Array, Task
from tinyctl.trainers.imitate import Config, Fit, certified, first_pupil, lessons, teacher_of

PLANT = tinyctl.plant("pendulum")
TASK = PLANT.task()
SHARES = (0.0, 0.2)
LARGER = (1.0, 3.0, 6.0)  # times the task's disturbance
EPISODES = 1000


def main() -> int:
    """Print one row a share and disturbance, and say whether the pushes were worth it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of collection and training")
    parser.add_argument("--episodes", type=int, default=16, help="of the teacher")
    asked = parser.parse_args()
    runs = [(seed, share) for seed in asked.seeds for share in SHARES]
    policies = {
        run: imitated(Config("mpc", asked.episodes, perturbed=run[1]), run[0])
        for run in track(runs, "Imitating", console=Console(stderr=True))
    }
    shown = Table("disturbance", "pushed", "angle error, rad", "95 % interval", "by seed")
    worse = False
    for times in LARGER:
        means = []
        for share in SHARES:
            errors = [angle_errors(policies[seed, share], times) for seed in asked.seeds]
            estimate = mean_estimate(np.concatenate(errors))
            means.append(estimate.value)
            shown.add_row(
                f"x{times:g}",
                f"{share:.0%}",
                f"{estimate.value:.4f}",
                f"{estimate.low:.4f} to {estimate.high:.4f}",
                ", ".join(f"{e.mean():.4f}" for e in errors),
            )
        worse |= times > 1 and means[1] > means[0]
    Console().print(shown)
    return int(worse)


def imitated(config: Config, seed: int) -> Policy:
    """A policy fitted to the answers of a teacher's flights."""
    kernel, pupil = compile_plant(PLANT, TASK), first_pupil(TASK, config, seed)
    fit = Fit(pupil, config, np.random.default_rng([seed, 2]), lambda made: certified(made, PLANT, None))
    fit.run(lessons(kernel, teacher_of(PLANT, TASK, config), pupil, config, (seed, 0)))
    return fit.policy()


def angle_errors(policy: Policy, times: float) -> Array:
    """Of each episode under a disturbance of so many times the task's; a lost one counts as hanging down."""
    task: Task = replace(TASK, disturb=lambda rng, n, p: TASK.disturb(rng, n, p) * np.float32(times))
    flown = fly(replace(PLANT, tasks={"pushed": task}), task, GraphController(Graph(policy.contract, policy.nodes)),
                episodes=EPISODES, seed=77, keep=0)  # fmt: skip
    return np.where(flown.survived, flown.scores["angle_error"], np.pi)


if __name__ == "__main__":
    sys.exit(main())
