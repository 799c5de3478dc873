"""Recurrent imitation with tiny settings: the clairvoyant rests, the graph is the trained network, the seed decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.sims.experts.clairvoyant import Clairvoyant
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import close_loop, draw
from tinyctl.trainers.recurrent import Config, Pupil, lessons, train

PLANT = tinyctl.plant("cstr")
TINY = Config(width=4, window=2, length=30, episodes=4, rounds=2, steps=20, batch=4, validation_episodes=2)


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


@pytest.mark.parametrize("cell", ["lstm", "gru", "s5"])
def test_the_graph_does_what_was_trained(cell: str) -> None:
    task = replace(PLANT.task(), episode_steps=30, scores=())
    kernel, config = compile_plant(PLANT, task), replace(TINY, cell=cell, reset=None if cell == "s5" else "set_point")
    pupil = Pupil(task, config, 0)
    pupil.fit(lessons(kernel, pupil.policy(), config, (0, 0)))
    flown = lessons(kernel, pupil.policy(), config, (0, 1), pupil_flies=True)
    with torch.no_grad():
        said = torch.clamp(pupil.forward(torch.from_numpy(flown.inputs)), pupil.low, pupil.high).numpy()
    applied = np.roll(flown.inputs[:, :, 3:5], -1, axis=1)[:, :-1]  # what the next step sees as the last action
    np.testing.assert_allclose(said[:, :-1], applied, atol=1e-5)


def test_the_seed_decides_and_the_loss_falls() -> None:
    results = [train(PLANT, config=TINY, seed=seed) for seed in (1, 1, 2)]
    assert results[0].policy.hash == results[1].policy.hash != results[2].policy.hash
    graph, _ = tinyctl.quantize(results[0].policy, "w16a16", plant_name=PLANT)
    assert graph.contract == results[0].policy.contract
    with pytest.raises(TinyctlError, match="no teacher 'nobody'"):
        train(PLANT, config=replace(TINY, teacher="nobody"))
    with pytest.raises(TinyctlError, match="'level' is not an observation"):
        train(PLANT, config=replace(TINY, reset="level"))
    with pytest.raises(TinyctlError, match="an S5 starts anew with its controller only"):
        train(PLANT, config=replace(TINY, cell="s5", reset="set_point"))
