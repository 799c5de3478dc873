"""Recurrent cells: PyTorch's results, sequences equal to steps, memory across rejections and resets."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pytest
import torch

from tinyctl import archive
from tinyctl.cells import gru, lstm
from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.screen import Screen
from tinyctl.layers.unit_delay import UnitDelay
from tinyctl.network import Network, Node
from tinyctl.policy import Policy
from tinyctl.simplify import simplify

N_IN, N = 4, 6


def policy_of(cell: tuple[Node, ...]) -> Policy:
    contract = Contract(
        tuple(Input(f"x_{i}", "1", "", -4.0, 4.0) for i in range(N_IN)),
        tuple(Output(f"h_{i}", "1", "", -2.0, 2.0) for i in range(N)),
        100.0,
    )
    return Policy(
        contract, (Node("screen", Screen.of(contract), ()), *cell, Node("clip", Clip.of(contract), (cell[-1].name,)))
    )


def flown(network: Network, x: Array) -> Array:
    """(steps, batch, n_in) to (steps, batch, n_act)."""
    state, seen = network.init(x.shape[1]), []
    for obs in x:
        act, state = network.run(obs, state)
        seen.append(act)
    return np.stack(seen)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_cell_computes_what_pytorch_does(kind: str) -> None:
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(N_IN, N)
    w_x, w_h, b_x, b_h = (p.detach().numpy() for p in module.parameters())
    cell = gru("cell", "screen", w_x, w_h, b_x, b_h) if kind == "GRU" else lstm("cell", "screen", w_x, w_h, b_x + b_h)
    x = torch.randn(50, 7, N_IN).clamp(-4, 4)
    expected = module(x)[0].detach().numpy()
    np.testing.assert_allclose(flown(policy_of(cell), x.numpy()), expected, atol=3e-6)


def test_a_rejected_step_and_a_reset(tmp_path: Path) -> None:
    policy = networks.recurrent()
    x = np.random.default_rng(0).standard_normal((6, 2, policy.contract.n_obs)).astype(F32)
    state = policy.init(2)
    for obs in x:
        before = state
        _, state = policy.run(obs, state)
    bad = x[0].copy()
    bad[0, 0] = np.nan
    _, after = policy.run(bad, state)
    assert all(np.array_equal(after.memory[n][0][0], state.memory[n][0][0]) for n in policy.stateful)
    assert any((after.memory[n][0][1] != state.memory[n][0][1]).any() for n in policy.stateful)
    fresh = policy.reset(before, np.array([True, False]))
    assert np.array_equal(fresh.words()[0], policy.init(1).words()[0])
    assert np.array_equal(fresh.words()[1], before.words()[1])
    archive.save(policy, tmp_path / "cell.tctl")
    assert archive.load(tmp_path / "cell.tctl").hash == policy.hash
    assert [n.name for n in simplify(policy).nodes] == [n.name for n in policy.nodes]


def test_a_delay_returns_what_a_later_node_had(tmp_path: Path) -> None:
    contract = Contract((Input("x", "1", "", -1.0, 1.0),), (Output("y", "1", "", -3.0, 3.0),), 10.0)
    one = np.ones((1, 1), F32)
    nodes = (
        Node("screen", Screen.of(contract), ()),
        Node("before", UnitDelay(np.full(1, 0.5, F32), np.full(1, 2, F32)), ("clip",)),
        Node("sum", Dense(one, np.zeros(1, F32)), ("before",)),
        Node("clip", Clip.of(contract), ("sum",)),
    )
    assert flown(Graph(contract, nodes), np.zeros((3, 1, 1), F32)).ravel().tolist() == [0.5, 0.5, 0.5]
    with pytest.raises(TinyctlError, match="reads 'none', which no earlier node computes"):
        Policy(contract, (*nodes[:1], Node("before", nodes[1].layer, ("none",)), *nodes[2:]))
    with pytest.raises(TinyctlError, match="beyond its limit"):
        UnitDelay(np.full(1, 3, F32), np.full(1, 2, F32))
    with pytest.raises(TinyctlError, match="not those of 3 gates"):
        gru("cell", "screen", *(np.zeros(s, F32) for s in ((9, 2), (9, 3), (9,), (8,))))
