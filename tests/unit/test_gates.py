"""Gates set in a policy: folded or beside, the outputs stay; the budget holds exactly."""

from __future__ import annotations

import networks
import numpy as np
import pytest

from tinyctl.contract import Contract, Input, Output
from tinyctl.gates import LINE, OFF, RELU, chosen, gated, relu_layers, relus
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.simplify import products, weights


def relu_policy(*widths: int, n_in: int = 4, n_out: int = 2) -> Policy:
    """Random ReLU layers of these widths behind inputs within -1 and 1."""
    rng = np.random.default_rng(5)
    contract = Contract(
        tuple(Input(f"x{i}", "1", "", -1.0, 1.0) for i in range(n_in)),
        tuple(Output(f"y{i}", "1", "", -50.0, 50.0) for i in range(n_out)),
        100.0,
    )
    layers, before = [], n_in
    for i, width in enumerate(widths):
        layers += [(f"hidden{i}", networks.dense(rng, before, width)), (f"relu{i}", Relu(width))]
        before = width
    ends = [("out", networks.dense(rng, before, n_out)), ("clip", Clip.of(contract))]
    return Policy(contract, chain([("screen", Screen.of(contract)), *layers, *ends]))


def by_hand(policy: Policy, gates: dict[str, Array], x: Array) -> Array:
    """The gates' definition, in float64."""
    x = x.astype(np.float64)
    for name, gate in gates.items():
        layer = weights(next(n for n in policy.nodes if n.name == name))
        x = x @ layer.weight.T.astype(np.float64) + layer.bias
        x = np.select([gate == RELU, gate == LINE], [np.maximum(x, 0), x], 0.0)
    out = weights(next(n for n in policy.nodes if n.name == "out"))
    return x @ out.weight.T.astype(np.float64) + out.bias


@pytest.mark.parametrize(
    ("widths", "shares", "kinds"),
    [
        ((24, 24), (0.2, 0.6, 0.2), ["concat", "concat"]),  # folded: many lines
        ((24, 24), (0.8, 0.1, 0.1), ["concat", "concat"]),  # beside: few of them
        ((24, 24), (0.0, 0.8, 0.2), []),
        ((2, 24), (0.5, 0.5, 0.0), ["concat", "concat"]),
    ],
)
def test_outputs_stay(widths: tuple[int, ...], shares: tuple[float, ...], kinds: list[str]) -> None:
    policy, rng = relu_policy(*widths), np.random.default_rng(7)
    gates = {}
    for hidden in relu_layers(policy):
        n = hidden.dense.layer.n_out
        relu, line = round(shares[0] * n), round(shares[1] * n)
        gates[hidden.dense.name] = rng.permutation([RELU] * relu + [LINE] * line + [OFF] * (n - relu - line))
    made = gated(policy, gates)
    assert [n.layer.kind for n in made.nodes if n.layer.kind == "concat"] == kinds
    assert relus(made) == sum(int((gate == RELU).sum()) for gate in gates.values())
    assert products(made) <= products(policy)
    obs = rng.uniform(-1, 1, (500, 4)).astype(F32)
    found, _ = made.run(obs, made.init(500))
    np.testing.assert_allclose(found, by_hand(policy, gates, obs), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("keep", [0, 1, 7, 15, 16])
def test_the_budget_is_kept_exactly(keep: int) -> None:
    rng = np.random.default_rng(keep)
    logits = {"hidden0": rng.standard_normal((10, 3)), "hidden1": rng.standard_normal((6, 3)) - [0, 9, 0]}
    gates = chosen(logits, keep)
    assert sum(int((gate == RELU).sum()) for gate in gates.values()) == keep
    assert not any((gate == OFF).all() for gate in gates.values())
    assert relus(gated(relu_policy(10, 6), gates)) == keep
    margins = np.concatenate([a[:, RELU] - a[:, 1:].max(axis=1) for a in logits.values()])
    kept = np.concatenate([*gates.values()]) == RELU
    assert keep in (0, 16) or margins[kept].min() >= margins[~kept].max()
