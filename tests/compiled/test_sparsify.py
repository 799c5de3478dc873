"""`sparsify` in closed loop: the budget, what it costs, the same seed, and that its C gives the bits of `Graph.run`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from replay import GraphCopies, HostCopies, play

import tinyctl
from tinyctl.boards import load_board
from tinyctl.cli import app
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.gates import SparsifyReport, relus
from tinyctl.graph import Graph
from tinyctl.hostlib import HostController
from tinyctl.layers.base import F32
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.storage import cycles_of
from tinyctl.trainers.distill import DistillConfig
from tinyctl.trainers.sparsify import Config, sparsify

PLANT = Path(__file__).parent.parent / "toy_plant.py"
SHORT = Config(rounds=2, episodes=16, steps=150, batch=256, tuning=DistillConfig(2, 16, 150, 256))


@pytest.fixture(scope="module")
def policy() -> Policy:
    """u = -3 angle - speed, put together by least squares from 24 random neurons."""
    contract = tinyctl.plant(PLANT).task().contract
    rng = np.random.default_rng(0)
    weight, bias = (rng.standard_normal((24, 3)) * [1.0, 0.3, 0.0]).astype(F32), rng.uniform(-0.3, 0.3, 24).astype(F32)
    x = rng.uniform(-1, 1, (2000, 3)) * [0.8, 2.0, 1.0]
    out, *_ = np.linalg.lstsq(np.maximum(x @ weight.T + bias, 0), -3 * x[:, 0] - x[:, 1], rcond=1e-3)
    hidden, relu = ("hidden", Dense(weight, bias)), ("relu", Relu(24))
    ends = [("out", Dense(out[None].astype(F32), np.zeros(1, F32))), ("clip", Clip.of(contract))]
    return Policy(contract, chain([("screen", Screen.of(contract)), hidden, relu, *ends]))


@pytest.fixture(scope="module")
def sparse(policy: Policy) -> tuple[Policy, SparsifyReport]:
    return tinyctl.sparsify(policy, keep=0.25, plant_name=PLANT, config=SHORT)


def test_a_line_needs_few_relus(policy: Policy, sparse: tuple[Policy, SparsifyReport]) -> None:
    made, report = sparse
    assert (report.relus_before, report.relus_after) == (24, 6) == (relus(policy), relus(made))
    assert report.relus_after + report.lines + report.off == 24
    assert report.cost_after < 1.1 * report.cost_before
    again, _ = tinyctl.sparsify(policy, keep=0.25, plant_name=PLANT, config=SHORT)
    other, _ = tinyctl.sparsify(policy, keep=0.25, plant_name=PLANT, config=SHORT, seed=1)
    assert made.hash == again.hash != other.hash


def test_cycles_are_a_budget(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0.6 * cycles_of(Graph(policy.contract, policy.nodes), load_board("crazyflie21"), "zig")
    made, report = tinyctl.sparsify(policy, cycles=int(most), toolchain="zig", plant_name=PLANT, config=SHORT)
    assert report.cycles_after is not None
    assert 0.4 * most < report.cycles_after <= most
    assert relus(made) > 6
    monkeypatch.setattr("tinyctl.storage.cycles_of", lambda *_: 100)
    with pytest.raises(TinyctlError, match=r"within 100 cycles the closed-loop cost is .* more than 0\.5"):
        tinyctl.sparsify(policy, cycles=100, most_cost=0.5, plant_name=PLANT, config=SHORT)
    plant = tinyctl.plant(PLANT)
    with pytest.raises(TinyctlError, match="too slow without any ReLU"):
        sparsify(policy, plant, plant.task(), keep=1.0, fits=lambda made: False, config=SHORT)


def test_its_c_gives_the_graphs_bits(sparse: tuple[Policy, SparsifyReport], tmp_path: Path) -> None:
    graph = Graph(sparse[0].contract, sparse[0].nodes)
    emit(graph, tmp_path, "sparse")
    expected = play(GraphCopies(graph), graph.contract, 100, 8, 3)
    found = play(HostCopies(HostController(tmp_path)), graph.contract, 100, 8, 3)
    assert not found.differences(expected)


def test_command(policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("tinyctl.trainers.sparsify.Config", lambda: SHORT)
    tinyctl.save(policy, tmp_path / "policy.tctl")
    words = [str(tmp_path / "policy.tctl"), "--plant", str(PLANT), "--out", str(tmp_path / "sparse.tctl")]
    app(["sparsify", *words, "--keep", "0.5", "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert record["relus_after"] == 12
    made = tinyctl.load(tmp_path / "sparse.tctl")
    assert made.hash == record["graph_hash"]
    with pytest.raises(TinyctlError, match=r"keep 1\.5 is not a fraction"):
        tinyctl.sparsify(policy, keep=1.5, plant_name=PLANT)
