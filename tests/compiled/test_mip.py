"""Learned ReLU dynamics, and the mixed-integer expert that plans with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyctl.sims.experts import expert
from tinyctl.sims.experts.mip_mpc import MixedInteger
from tinyctl.sims.loop import fly
from tinyctl.sims.plants import load_plant
from tinyctl.trainers.dynamics import Config, train, trajectories


def test_learned_dynamics_hold_the_pendulum_upright() -> None:
    plant = load_plant("pendulum")
    task = replace(
        plant.task(), episode_steps=30, scores=(replace(plant.task().scores[0], last_s=0.3),),
        initial=lambda rng, n, p: rng.uniform((-0.15, -0.2), (0.15, 0.2), (n, 2)).astype(np.float32),
    )  # fmt: skip
    dynamics = train(plant, task, config=Config(steps=400, episodes=1000))
    observed, inputs = trajectories(plant, task, Config(episodes=100), np.random.default_rng(9), None)
    x = np.concatenate([observed[:, 0], inputs[:, 0]], axis=1)
    change, _ = dynamics.run(x, dynamics.init(len(x)))
    true = observed[:, 1] - observed[:, 0]
    assert ((change - true) ** 2).mean() < 0.1 * (true**2).mean()
    made = expert("mip", plant, task, dynamics=dynamics, steps=4, time_limit_s=20.0)
    assert isinstance(made, MixedInteger)
    flown = fly(plant, task, made, episodes=1)
    assert flown.scores["angle_error"].max() < 0.1
    assert len(made.solved) == 6
    assert all(0 < s.binaries <= s.relus == 32 for s in made.solved)
