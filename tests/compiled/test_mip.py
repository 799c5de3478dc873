"""Learned ReLU dynamics, with gates and without, and the mixed-integer expert that plans with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinyctl
from tinyctl.cli import app
from tinyctl.errors import TinyctlError
from tinyctl.gates import relus
from tinyctl.policy import Policy
from tinyctl.sims.experts import expert
from tinyctl.sims.experts.mip_mpc import MixedInteger
from tinyctl.sims.loop import fly
from tinyctl.sims.plants import load_plant
from tinyctl.trainers.dynamics import Config, rmse, train
from tinyctl.trainers.sparse_dynamics import Config as Sparse
from tinyctl.trainers.sparse_dynamics import sparsify

PLANT = load_plant("pendulum")
TASK = replace(
    PLANT.task(), episode_steps=30, scores=(replace(PLANT.task().scores[0], last_s=0.3),),
    initial=lambda rng, n, p: rng.uniform((-0.15, -0.2), (0.15, 0.2), (n, 2)).astype(np.float32),
)  # fmt: skip
SHORT = Config(steps=400, episodes=1000, hidden=(8,))
GATES = Sparse(200, 100, 200, fall=0.5, fit=SHORT)


@pytest.fixture(scope="module")
def model() -> Policy:
    return train(PLANT, TASK, config=SHORT)


def test_learned_dynamics_hold_the_pendulum_upright(model: Policy) -> None:
    sparse = sparsify(model, PLANT, TASK, keep=0.5, config=GATES)
    assert (relus(model), relus(sparse.policy)) == (8, 4)
    assert rmse(sparse.policy, PLANT, TASK) < 0.04
    made = expert("mip", PLANT, TASK, dynamics=sparse.policy, steps=4, time_limit_s=20.0)
    assert isinstance(made, MixedInteger)
    flown = fly(PLANT, TASK, made, episodes=1)
    assert flown.scores["angle_error"].max() < 0.1
    assert len(made.solved) == 6
    assert all(0 < s.binaries <= s.relus == 16 for s in made.solved)


def test_the_error_is_a_budget_too(model: Policy) -> None:
    most = 2 * rmse(model, PLANT, TASK)
    sparse = sparsify(model, PLANT, TASK, most=most, config=GATES)
    assert rmse(sparse.policy, PLANT, TASK) <= most
    assert relus(sparse.policy) < 4
    once, again = (sparsify(model, PLANT, TASK, config=Sparse(20, 10, 20, fit=SHORT)) for _ in range(2))
    assert once.policy.hash == again.policy.hash
    with pytest.raises(TinyctlError, match="the model's own error is"):
        sparsify(model, PLANT, TASK, most=0.5 * rmse(model, PLANT, TASK), config=GATES)


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dense, sparse = tmp_path / "model.tctl", tmp_path / "sparse.tctl"
    few = [word for text in ("steps=60", "episodes=200", "hidden=8") for word in ("--set", text)]
    app(["train", "pendulum", "--algo", "dynamics", *few, "--out", str(dense), "--json"], standalone_mode=False)
    learned = json.loads(capsys.readouterr().out)
    app(["sparsify", str(dense), "--plant", "pendulum", "--keep", "0.25", "--out", str(sparse), "--json"],
        standalone_mode=False)  # fmt: skip
    record = json.loads(capsys.readouterr().out)
    assert (learned["relus"], record["relus_before"], record["relus_after"]) == (8, 8, 2)
    assert record["rmse_before"] == learned["rmse"]
    assert record["cost_before"] is None
    assert (tmp_path / "sparse.tctl.run.json").is_file()
    made = expert("mip", PLANT, dynamics=tinyctl.load(sparse))
    assert isinstance(made, MixedInteger)
    with pytest.raises(TinyctlError, match="a model runs on no board"):
        tinyctl.sparsify(made.dynamics, cycles=1000, plant_name=PLANT)
    with pytest.raises(TinyctlError, match="no model of the task's dynamics"):
        expert("mip", load_plant("cartpole"), dynamics=made.dynamics)
