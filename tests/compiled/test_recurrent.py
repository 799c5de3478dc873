"""Recurrent imitation with tiny settings: the clairvoyant rests, the graph is the trained network, the seed decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.sims.experts.clairvoyant import Clairvoyant
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import close_loop, draw
from tinyctl.trainers.memories import CELLS
from tinyctl.trainers.recurrent import Config, Pupil, lessons, train

PLANT = tinyctl.plant("cstr")
TINY = Config(width=4, window=2, length=20, episodes=3, rounds=2, steps=5, batch=4, validation_episodes=2)


def test_the_clairvoyant_ends_at_the_set_point_under_a_known_disturbance() -> None:
    task = PLANT.task()
    drawn = draw(PLANT, task, range(5), 3)
    told = Clairvoyant(PLANT, task, drawn.x, drawn.d)
    assert close_loop(compile_plant(PLANT, task), drawn, told).scores["set_point_error"].max() < 1e-4
    with pytest.raises(TinyctlError, match="2 episodes, but the disturbances of 5 are known"):
        told.reset(2)
    pipe = tinyctl.plant("pipeline")
    with pytest.raises(TinyctlError, match="its goals drift"):
        Clairvoyant(pipe, pipe.task("switching"), drawn.x, drawn.d)


@pytest.mark.parametrize("cell", CELLS)
def test_the_graph_does_what_was_trained(cell: str) -> None:
    task = replace(PLANT.task(), episode_steps=20, scores=())
    kernel, config = compile_plant(PLANT, task), replace(TINY, cell=cell, reset=None if cell == "s5" else "set_point")
    pupil = Pupil(task, config, 0)
    pupil.fit(lessons(kernel, pupil.policy(), config, (0, 0)))
    policy, obs = pupil.policy(), np.random.default_rng(0).normal(0, 0.3, (20, 2, 3)).astype(F32)
    obs[:, :, 2] = 0.1
    obs[12:, :, 2] = 0.2  # the set-point
    state, traced = policy.init(2), []
    for now in obs:
        values, state = policy.trace(now, state)
        traced.append(values)
    inputs, acted = (np.stack([values[name] for values in traced], axis=1) for name in ("scale", "clip"))
    with torch.no_grad():
        said = torch.clamp(pupil.forward(torch.from_numpy(inputs)), pupil.low, pupil.high).numpy()
    np.testing.assert_allclose(said, acted, atol=1e-5)


def test_the_seed_decides_and_mistakes_are_told() -> None:
    first, again = (train(PLANT, config=TINY, seed=1).policy for _ in range(2))
    assert first.hash == again.hash
    assert Pupil(PLANT.task(), TINY, 1).policy().hash != Pupil(PLANT.task(), TINY, 2).policy().hash
    with pytest.raises(TinyctlError, match="no teacher 'nobody'"):
        train(PLANT, config=replace(TINY, teacher="nobody"))
    with pytest.raises(TinyctlError, match="'level' is not an observation"):
        train(PLANT, config=replace(TINY, reset="level"))
    with pytest.raises(TinyctlError, match="an S5 starts anew with its controller only"):
        train(PLANT, config=replace(TINY, cell="s5", reset="set_point"))
