"""`prune` with a plant: the closed-loop cost before, after, and after fine-tuning, through the command line too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinyctl
from tinyctl.cli import app
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.lag import Lag
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.pruner import prune
from tinyctl.quantizer import random_sequences
from tinyctl.simplify import edit, products
from tinyctl.trainers.distill import DistillConfig, distill

PLANT = Path(__file__).parent.parent / "toy_plant.py"
SHORT = DistillConfig(rounds=2, episodes=16, steps=150, batch=256)


@pytest.fixture(scope="module")
def policy() -> Policy:
    """u = -3 angle - speed, put together by least squares from 24 random neurons."""
    contract = tinyctl.plant(PLANT).task().contract
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((24, 3)) * [1.0, 0.3, 0.0]).astype(F32)
    x = rng.uniform(-1, 1, (2000, 3)) * [0.8, 2.0, 1.0]
    out, *_ = np.linalg.lstsq(np.tanh(x @ weight.T), -3 * x[:, 0] - x[:, 1], rcond=1e-3)
    return Policy(
        contract,
        chain(
            [
                ("screen", Screen.of(contract)),
                ("hidden", Dense(weight, np.zeros(24, F32))),
                ("tanh", Tanh(24)),
                ("out", Dense(out[None].astype(F32), np.zeros(1, F32))),
                ("clip", Clip.of(contract)),
            ]
        ),
    )


def test_fine_tuning_repairs_what_pruning_broke(policy: Policy) -> None:
    pruned, report = tinyctl.prune(policy, keep=0.4, plant_name=PLANT)
    assert report.cost_before is not None
    assert report.cost_pruned is not None
    assert report.cost_tuned is not None
    assert report.cost_pruned > 1.5 * report.cost_before
    assert report.cost_tuned < 1.1 * report.cost_before
    assert report.products_after == products(pruned) <= 0.4 * products(policy)
    assert report.neurons_before == 24
    assert (report.contract_hash, report.graph_hash) == (policy.contract.hash, pruned.hash)


def test_zeros_stay_zero_and_the_seed_decides(policy: Policy) -> None:
    plant = tinyctl.plant(PLANT)
    calibration = random_sequences(policy.contract, -1.0, 1.0)
    pupil = prune(policy, calibration, keep=0.3)
    tuned = [distill(policy, pupil, plant, plant.task(), config=SHORT, seed=seed) for seed in (1, 1, 2)]
    assert tuned[0].hash == tuned[1].hash != tuned[2].hash
    for before, after in zip(pupil.nodes, tuned[0].nodes, strict=True):
        if isinstance(before.layer, Dense):
            assert isinstance(after.layer, Dense)
            np.testing.assert_array_equal(before.layer.weight == 0, after.layer.weight == 0)


def test_memory_behind_a_dense_layer_cannot_be_tuned(policy: Policy) -> None:
    plant = tinyctl.plant(PLANT)
    (*front, clip) = policy.nodes
    lag = ("lag", Lag(1, (0,), 0.1, np.zeros(1, F32)))
    late = ("late", Dense(np.ones((1, 2), F32), np.zeros(1, F32)))
    made = Policy(policy.contract, chain([*((n.name, n.layer) for n in front), lag, late, (clip.name, clip.layer)]))
    with pytest.raises(TinyctlError, match="node lag: a lag behind a dense layer cannot be fine-tuned"):
        distill(made, made, plant, plant.task(), config=SHORT)


def test_command(policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = np.concatenate([policy.nodes[1].layer.weight[:-1], np.zeros((1, 3), F32)])  # type: ignore[attr-defined]
    spoiled = edit(policy, {"hidden": Dense(dead, np.zeros(24, F32))})
    tinyctl.save(spoiled, tmp_path / "policy.tctl")
    words = [str(tmp_path / "policy.tctl"), "--out", str(tmp_path / "small.tctl")]
    app(["prune", *words, "--plant", str(PLANT), "--no-tune", "--board", "crazyflie21", "--toolchain", "zig", "--json"],
        standalone_mode=False)  # fmt: skip
    record = json.loads(capsys.readouterr().out)
    assert (record["neurons_before"], record["neurons_after"], record["cost_tuned"]) == (24, 23, None)
    assert record["cost_pruned"] == pytest.approx(record["cost_before"], rel=1e-3)
    assert tinyctl.load(tmp_path / "small.tctl").hash == record["graph_hash"]
    assert {row["storage"] for row in record["storage"] if row["node"] == "hidden"} == {"dense", "csr", "straight"}
    app(["prune", *words, "--keep", "0.5"], standalone_mode=False)
    told = capsys.readouterr()
    assert "unknown without a plant" in told.out
    assert "not fine-tuned" in told.err


def test_fine_tuning_repairs_what_rounding_broke(
    policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plain w8a8 costs more than 1.02 of the policy's, so that its weights are fitted to the format by themselves."""
    tinyctl.save(policy, tmp_path / "policy.tctl")
    words = ["quantize", str(tmp_path / "policy.tctl"), "--format", "w8a8", "--out", str(tmp_path / "graph.tctl"),
             "--json"]  # fmt: skip
    app([*words, "--plant", str(PLANT)], standalone_mode=False)
    tuned = json.loads(capsys.readouterr().out)
    assert tuned["closed_loop_cost_ratio"] < 1.02 < tuned["closed_loop_cost_ratio_untuned"]
    assert tinyctl.load(tmp_path / "graph.tctl").hash == tuned["graph_hash"]
    app([*words, "--plant", str(PLANT), "--no-tune"], standalone_mode=False)
    plain = json.loads(capsys.readouterr().out)
    assert plain["closed_loop_cost_ratio"] == tuned["closed_loop_cost_ratio_untuned"]
    assert plain["closed_loop_cost_ratio_untuned"] is None
    with pytest.raises(TinyctlError, match="fine-tuning needs a plant to fly"):
        tinyctl.quantize(policy, "w8a8", tune=True)
