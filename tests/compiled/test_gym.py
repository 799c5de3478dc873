"""Every plant as a Gymnasium environment, by Gymnasium's own rules."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tinyctl.sims.gym import make_env
from tinyctl.sims.plants import load_plant, plant_names


@pytest.mark.parametrize("name", plant_names())
def test_gymnasium_accepts_it(name: str) -> None:
    check_env(make_env(load_plant(name)), skip_render_check=True)


def test_same_seed_same_episode_and_rewards_are_costs() -> None:
    env = make_env(load_plant("quadrotor"))
    runs = []
    for _ in range(2):
        seen, _ = env.reset(seed=3)
        rows = [np.append(seen, 0.0)]
        for _ in range(30):
            seen, reward, lost, late, _ = env.step(np.full(4, 0.2, np.float32))
            assert reward < 0
            assert not late
            rows.append(np.append(seen, reward))
            if lost:
                break
        runs.append(np.array(rows))
    assert np.array_equal(*runs)


def test_an_episode_ends_when_lost_or_late() -> None:
    env = make_env(load_plant("quadrotor"))
    env.reset(seed=0)
    steps = 1
    while not env.step(-np.ones(4, np.float32))[2]:
        steps += 1
    assert steps < 100  # falls out of the box
    env = make_env(load_plant("pendulum"))
    env.reset(seed=0)
    assert [env.step(np.zeros(1, np.float32))[3] for _ in range(400)] == 399 * [False] + [True]
