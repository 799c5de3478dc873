"""Stable-Baselines3's own Pendulum policy against the int16 C made of it: the returns of the same episodes.

Run by `make bench-rl`; exits 1 when the C is worse or better than the model by more than 1 %.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl import api, closed_loop
from tinyctl.sims import environments
from tinyctl.sims.loop import mean_estimate
from tinyctl.trainers import rl

NAME, EPISODES, SEED = "Pendulum-v1", 1000, 7
MOST = 0.01  # difference of the mean returns


class Model:
    """Stable-Baselines3's deterministic policy as a controller."""

    def __init__(self, learned: rl.Learned) -> None:
        self.learned = learned

    def reset(self, n: int) -> None:
        pass

    def step(self, observations: np.ndarray) -> np.ndarray:
        return self.learned.predict(observations)


def main() -> None:
    """One row for the model, one for each format as C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithm", choices=["SAC", "TD3"], default="SAC")
    parser.add_argument("--steps", type=int, default=rl.Config().total_steps)
    asked = parser.parse_args()
    env = environments.environment(NAME)
    config = rl.Config(algorithm=asked.algorithm, total_steps=asked.steps)
    learned = rl.learn(env, config=config, seed=0)
    own = environments.fly(env, Model(learned), episodes=EPISODES, seed=SEED).returns
    shown = Table("controller", "return", "95 % interval", "difference", title=f"{NAME}, {EPISODES} episodes")
    rows, worst = [("Stable-Baselines3", own)], 0.0
    calibration = closed_loop.environment_observations(learned.policy, env)
    for name in ("f32", "w16a16"):
        graph, _ = tinyctl.quantize(learned.policy, name, calibration=calibration)
        flown = api.fly_environment(graph, NAME, on="c", episodes=EPISODES, seed=SEED)
        rows.append((f"C, {name}", np.array(flown.returns)))
    for name, returns in rows:
        mean, difference = mean_estimate(returns), returns.mean() / own.mean() - 1
        worst = max(worst, abs(difference))
        shown.add_row(name, f"{mean.value:.2f}", f"{mean.low:.2f} to {mean.high:.2f}", f"{difference:+.3%}")
    Console().print(shown)
    print(f"trained in {learned.cpu_seconds:.0f} s of CPU; the largest difference is {worst:.3%}, allowed {MOST:.0%}")
    sys.exit(0 if worst <= MOST else 1)


if __name__ == "__main__":
    main()
