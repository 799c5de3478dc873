"""`--format auto`: the fastest mix inside the budget, the same every time, and what it says about the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import networks
import numpy as np
import pytest

import tinyctl
from tinyctl.boards import Board
from tinyctl.cli import app
from tinyctl.cli.base import results
from tinyctl.cli.quantize import mixes
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.dense import Dense
from tinyctl.mixer import Mix, choose_formats
from tinyctl.policy import Policy
from tinyctl.quantizer import random_sequences
from tinyctl.simplify import edit

pytestmark = pytest.mark.xdist_group("mixer")  # what its fixtures make is made once


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Its first layer has one column of large weights, which eight bits cannot hold beside the others."""
    made = networks.tiny()
    layer = made.nodes[4].layer
    assert isinstance(layer, Dense)
    weight = layer.weight.copy()
    weight[:, 0] *= F32(30)
    return edit(made, {"hidden": replace(layer, weight=weight)})


@pytest.fixture(scope="module")
def calibration(policy: Policy) -> Array:
    return random_sequences(policy.contract, -1.0, 1.0)[:16, :16]


def found(mixes: tuple[Mix, ...], verdict: str) -> list[Mix]:
    return [mix for mix in mixes if mix.verdict == verdict]


@pytest.fixture(scope="module")
def tight(policy: Policy, calibration: Array, board: Board) -> tuple[dict[str, str], tuple[Mix, ...]]:
    return choose_formats(policy, board, calibration, budget=1e-3, toolchain="zig")


def test_the_fastest_inside_the_budget(tight: tuple[dict[str, str], tuple[Mix, ...]]) -> None:
    formats, seen = tight
    timed = [mix.cycles for mix in seen if mix.cycles is not None]
    assert timed == sorted(timed)
    (chosen,) = found(seen, "chosen")
    assert chosen.formats == formats
    assert chosen.output_error is not None
    assert chosen.output_error <= 1e-3
    over = found(seen, "over the budget")
    assert over
    assert all(mix.output_error is not None and mix.output_error > 1e-3 for mix in over)
    assert all(mix.cycles is not None for mix in seen)


def test_what_cannot_be(policy: Policy, calibration: Array, board: Board) -> None:
    with pytest.raises(TinyctlError, match=r"no format is inside the budget of 1\.02; give a larger --budget"):
        choose_formats(policy, board, calibration, cost=lambda graph: 2.0, toolchain="zig")
    with pytest.raises(TinyctlError, match="a budget of nan is not positive"):
        choose_formats(policy, board, calibration, budget=float("nan"))
    with pytest.raises(TinyctlError, match="format auto needs a board"):
        tinyctl.quantize(policy, "auto")


def test_the_cost_decides_where_it_is_known(policy: Policy, calibration: Array, board: Board) -> None:
    """A cost that forbids integers in the first layer."""

    def cost(graph: Graph) -> float:
        return 1.0 if next(n.format for n in graph.nodes if n.name == "hidden") == "f32" else 2.0

    formats, seen = choose_formats(policy, board, calibration, cost=cost, toolchain="zig")
    assert formats["hidden"] == "f32"
    assert {mix.cost_ratio for mix in found(seen, "over the budget")} == {2.0}


def test_command(
    policy: Policy,
    calibration: Array,
    tight: tuple[dict[str, str], tuple[Mix, ...]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same search gives the same answer."""
    tinyctl.save(policy, tmp_path / "policy.tctl")
    np.save(tmp_path / "seen.npy", calibration)
    words = [
        "quantize",
        str(tmp_path / "policy.tctl"),
        "--format",
        "auto",
        "--board",
        "crazyflie21",
        "--budget",
        "1e-3",
    ]
    words += ["--calibration", str(tmp_path / "seen.npy"), "--toolchain", "zig", "--out", str(tmp_path / "graph.tctl")]
    app([*words, "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    graph = tinyctl.load(tmp_path / "graph.tctl")
    formats, tried = tight
    assert record["graph_hash"] == graph.hash
    assert record["mixes"] == [asdict(mix) for mix in tried]
    assert {node.name: node.format for node in graph.nodes if node.name in formats} == formats
    results.print(mixes(tried))
    assert capsys.readouterr().out.count("chosen") == 1
    with pytest.raises(TinyctlError, match="--budget is for --format auto"):
        app(["quantize", str(tmp_path / "policy.tctl"), "--budget", "2"], standalone_mode=False)
