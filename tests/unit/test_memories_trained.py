"""Memories in torch are what their nodes compute; what bounds them holds; a convex network's integers stay convex."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinyctl.cells import shplrnn
from tinyctl.contract import Contract, Input, Output
from tinyctl.curvature import require_convex
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.screen import Screen
from tinyctl.network import Network, Node
from tinyctl.policy import Policy
from tinyctl.quantizer import quantize
from tinyctl.simplify import edit
from tinyctl.trainers.convex import Config, ConvexRnn, fit
from tinyctl.trainers.reservoir import Config as Sparse
from tinyctl.trainers.reservoir import adapted, make, ridge
from tinyctl.trainers.shplrnn import Config as Shallow
from tinyctl.trainers.shplrnn import ShallowPlrnn
from tinyctl.trainers.shplrnn import fit as fit_series

N_IN = 3


def around(cell: tuple[Node, ...], n: int) -> Policy:
    contract = Contract(
        tuple(Input(f"x_{i}", "1", "", -1.0, 1.0) for i in range(N_IN)),
        tuple(Output(f"y_{i}", "1", "", -100.0, 100.0) for i in range(n)),
        100.0,
    )
    ends = Node("screen", Screen.of(contract), ()), Node("clip", Clip.of(contract), (cell[-1].name,))
    return Policy(contract, (ends[0], *cell, ends[1]))


def flown(network: Network, x: Array) -> Array:
    """(batch, steps, n_in) to (batch, steps, n_act)."""
    state, seen = network.init(len(x)), []
    for k in range(x.shape[1]):
        act, state = network.run(x[:, k], state)
        seen.append(act)
    return np.stack(seen, axis=1)


def test_a_shallow_plrnn_is_its_nodes_and_bounded() -> None:
    torch.manual_seed(0)
    net, x = ShallowPlrnn(2, 7, N_IN), torch.rand(4, 60, N_IN) * 2 - 1
    with torch.no_grad():
        net.h1 += 0.3
        expected = net(x).numpy()
    policy = around(net.nodes("net", "screen", np.ones(N_IN)), 2)
    np.testing.assert_allclose(flown(policy, x.numpy()), expected, atol=1e-5)
    most = policy.bounds()["net_z"][1]
    assert (np.abs(flown(policy, np.sign(x.numpy()).repeat(20, axis=1))) < most).all()
    parts = [p.detach().numpy() for p in (net.w1, net.w2, net.h1, net.h2, net.w_in)]
    with pytest.raises(TinyctlError, match=r"\|a\| is not below 1"):
        shplrnn("net", "screen", np.ones(2), *parts, reach=np.ones(N_IN))


def test_teacher_forcing_bounds_the_product_of_jacobians_and_learns() -> None:
    k = np.arange(600)
    x = np.column_stack([np.sin(0.2 * k), np.cos(0.2 * k)]).astype(F32)
    settings = Shallow(hidden=10, length=15, batch=8, steps=150, learning_rate=(2e-2, 1e-3))
    net, alpha, losses = fit_series(x, np.zeros((600, 1), F32), settings)
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:10])
    assert 0 <= net.alpha(torch.from_numpy(x[None])) <= alpha <= 1
    with torch.no_grad():
        net.w1 *= 5  # its Jacobians grow now
    states = torch.from_numpy(x[None])
    share, products = net.alpha(states), []
    for forced in (0.0, share):
        at, total = states[:, 0], torch.eye(2)
        for step in range(50):
            whole = torch.autograd.functional.jacobian(lambda z: net.step(z, torch.zeros(1, 1)), at)
            total = (1 - forced) * whole[0, :, 0] @ total
            at = states[:, step + 1]
        products.append(float(torch.linalg.matrix_norm(total, 2)))
    assert products[0] > 1e3
    assert products[1] <= 1.5


def test_a_convex_network_is_projected_and_its_integers_are_convex() -> None:
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 1, (256, N_IN)).astype(F32)
    x = np.repeat(start[:, None], 5, axis=1)
    y = (0.2 + (start[:, None, :1] - 0.5) ** 2 * np.ones((1, 5, 1))).astype(F32)
    net = fit(x, y, Config(width=8, steps=150, batch=64))
    for name, p in net.named_parameters():
        if "weight" in name:
            assert p.min() >= 0
            assert np.linalg.norm(p.detach().numpy(), 2) <= 1 + 1e-3
    policy = around(net.nodes("screen"), 1)
    with torch.no_grad():
        np.testing.assert_allclose(flown(policy, x), net(torch.from_numpy(x)).numpy(), atol=1e-5)
    for network in (policy, *(quantize(policy, name, np.swapaxes(x, 0, 1)) for name in ("w16a16", "w8a16"))):
        require_convex(network)
    weight, bias = (p.detach().numpy().copy() for p in net.head.parameters())
    spoilt = edit(policy, {"head": Dense(-weight, bias)})
    with pytest.raises(TinyctlError, match="node head: it is not convex in the observations"):
        require_convex(spoilt)


def test_inhibition_adapts_until_rates_are_on_target() -> None:
    config = Sparse(units=40, density=0.5, blocks=80)
    u = np.random.default_rng(0).uniform(-1, 1, (2000, N_IN))
    first = make(config, N_IN, 3)
    then = adapted(first, u, config)
    off = [np.abs(made.run(u).mean(axis=0) - made.targets).mean() for made in (first, then)]
    assert off[1] < 0.5 * off[0]
    assert (then.inhibition >= 0).all()
    weight, bias = ridge(then.run(u), u, 1e-6)
    node = Node("read", Dense(weight.astype(F32), bias.astype(F32)), ("reservoir_out",))
    policy = around((*then.nodes("reservoir", "screen"), node), N_IN)
    assert next(n.layer.storage for n in policy.nodes if n.name == "reservoir_sum") == "csr"  # type: ignore[attr-defined]
    said = flown(policy, u[None, :300].astype(F32))[0]
    expected = then.run(u[:300], np.zeros(40)) @ weight.T + bias
    np.testing.assert_allclose(said, expected, atol=1e-3)


def test_projection_of_a_new_network() -> None:
    assert ConvexRnn(4, 64, 2).count() == 13_058
