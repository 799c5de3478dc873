"""Few-step flows: they hold the toy, remember the last guess or nothing, and are what the network says step by step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.trainers.flow import Config, Velocity

PLANT = Path(__file__).parent.parent / "toy_plant.py"
SHORT = Config(ahead=3, steps=2, whole=4, hidden=(16,), episodes=16, rounds=2, fits=300, validation_episodes=20)


def test_it_holds_the_toy_in_two_steps() -> None:
    result = tinyctl.train(PLANT, algo="flow", config=SHORT)
    assert result.survived.value == 1.0
    assert list(result.policy.stateful)[-1] == "last"
    assert result.policy.hash == tinyctl.train(PLANT, algo="flow", config=SHORT).policy.hash


def test_its_nodes_are_steps_of_the_flow() -> None:
    """Two periods in torch by hand: up by one, then from the middle of the flow to its end."""
    task = tinyctl.plant(PLANT).task()
    velocity = Velocity(task, SHORT, 3)
    policy = velocity.policy()
    state, guess = policy.init(1), torch.zeros(1, 3)
    for obs in np.array([[[0.1, -0.4]], [[0.2, 0.3]]], F32):
        values, following = policy.trace(obs, state)
        guess = torch.cat([guess[:, 1:], guess[:, -1:]], dim=1)
        for when in (0.5, 0.75):
            given = torch.from_numpy(values["scale"])
            guess = guess + velocity(given, guess, torch.full((1, 1), when)) / 4
        np.testing.assert_allclose(values["guess_2"], guess.detach().numpy(), atol=1e-6)
        np.testing.assert_allclose(following.applied, np.clip(guess.detach().numpy()[:, :1], -1, 1), atol=1e-6)
        state = following


def test_all_steps_remember_nothing() -> None:
    policy = Velocity(tinyctl.plant(PLANT).task(), replace(SHORT, steps=4), 0).policy()
    assert "last" not in policy.stateful
    with pytest.raises(TinyctlError, match="steps=5 of whole=4"):
        tinyctl.train(PLANT, algo="flow", config=replace(SHORT, steps=5))
