"""Recurrent cells: PyTorch's results, sequences equal to steps, memory across rejections and resets."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pytest
import torch

from tinyctl import archive
from tinyctl.cells import gru, lstm, restart
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
from tinyctl.trainers.s5 import S5, scan

N_IN, N = 4, 6


def policy_of(cell: tuple[Node, ...], n: int = N, wide: float = 2.0) -> Policy:
    contract = Contract(
        tuple(Input(f"x_{i}", "1", "", -4.0, 4.0) for i in range(N_IN)),
        tuple(Output(f"h_{i}", "1", "", -wide, wide) for i in range(n)),
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


def test_s5_in_chunks_with_resets_is_s5_step_by_step() -> None:
    torch.manual_seed(0)
    layer, u = S5(N_IN, 3), torch.randn(2, 300, N_IN).clamp(-4, 4)
    begins = torch.rand(2, 300) < 0.02
    with torch.no_grad():
        expected = layer(u, begins)
    policy = policy_of(layer.nodes("s5", "screen"), N_IN, wide=50.0)
    state, seen = policy.init(2), []
    for k in range(300):
        state = policy.reset(state, begins[:, k].numpy())
        act, state = policy.run(u[:, k].numpy(), state)
        seen.append(act)
    np.testing.assert_allclose(np.stack(seen, axis=1), expected.numpy(), atol=1e-5)


def test_the_gradient_through_the_chunks_is_that_of_the_steps() -> None:
    torch.manual_seed(0)
    factor = (0.9 * torch.exp(1j * torch.rand(3, dtype=torch.float64))).requires_grad_()
    driven = torch.randn(2, 11, 3, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, b: scan(f, b, torch.rand(2, 11) < 0), (factor, driven))
    begins = torch.zeros(2, 11, dtype=torch.bool)
    begins[0, [0, 4]] = begins[1, 10] = True
    assert torch.autograd.gradcheck(lambda f, b: scan(f, b, begins), (factor, driven))


def test_a_memory_starts_anew_when_its_column_changes() -> None:
    torch.manual_seed(0)
    module = torch.nn.LSTM(N_IN, N)
    w_x, w_h, b_x, b_h = (p.detach().numpy() for p in module.parameters())
    again = restart("restart", "screen", N_IN, 1, 0.5, N)
    policy = policy_of((*again, *lstm("cell", "screen", w_x, w_h, b_x + b_h, kept=again[-1].name)))
    x = torch.randn(20, 3, N_IN).clamp(-4, 4)
    x[:, :, 1] = 1.0
    x[8:, :, 1] = 1.5
    expected = torch.cat([module(part)[0] for part in (x[:8], x[8:])]).detach().numpy()
    np.testing.assert_allclose(flown(policy, x.numpy()), expected, atol=3e-6)
