"""Pruning by shares: what goes, how much of it, and that small shares of small things are told."""

from __future__ import annotations

import networks
import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.policy import Policy
from tinyctl.pruner import prune
from tinyctl.quantizer import random_sequences
from tinyctl.simplify import hidden_layers, products, weights


@pytest.fixture(scope="module")
def policy() -> Policy:
    return networks.demo_size()


@pytest.fixture(scope="module")
def calibration(policy: Policy) -> Array:
    return random_sequences(policy.contract, -1.0, 1.0)[:8]


@pytest.mark.parametrize("threshold", ["layer", "global"])
@pytest.mark.parametrize("keep", [0.5, 0.2, 0.05])
def test_a_share_of_the_products_remains(policy: Policy, calibration: Array, keep: float, threshold: str) -> None:
    pruned = prune(policy, calibration, keep=keep, threshold=threshold)  # type: ignore[arg-type]
    assert 0.9 * keep * products(policy) <= products(pruned) <= keep * products(policy)
    assert pruned.hash == prune(policy, calibration, keep=keep, threshold=threshold).hash  # type: ignore[arg-type]
    for hidden in hidden_layers(pruned):  # every neuron is fed and read
        assert weights(hidden.dense).weight.any(axis=1).all()
        assert weights(hidden.readers[0]).weight.any(axis=0).all()


def test_a_share_of_the_neurons_remains(policy: Policy, calibration: Array) -> None:
    pruned = prune(policy, calibration, neurons=0.25)
    assert [hidden.dense.layer.n_out for hidden in hidden_layers(pruned)] == [16, 16]
    assert [node.name for node in pruned.nodes] == [node.name for node in policy.nodes]
    both = prune(policy, calibration, neurons=0.25, keep=0.1)
    assert products(both) < products(pruned)
    assert products(both) <= 0.1 * products(policy)


def test_the_important_neurons_stay(policy: Policy, calibration: Array) -> None:
    """Neurons that are copies of others by a thousandth weigh next to nothing."""
    hidden = hidden_layers(policy)[1]
    rng = np.random.default_rng(1)
    loud = rng.permutation(64) < 32
    layers = {node.name: node.layer for node in policy.nodes}
    reader = weights(hidden.readers[0])
    layers["out"] = type(reader)(np.where(loud, reader.weight, reader.weight * F32(0.001)), reader.bias)
    skewed = Policy(policy.contract, tuple(type(n)(n.name, layers[n.name], n.inputs) for n in policy.nodes))
    pruned = prune(skewed, calibration, neurons=0.5)
    np.testing.assert_array_equal(weights(pruned.nodes[-2]).weight, layers["out"].weight[:, loud])  # type: ignore[attr-defined]


def test_all_is_kept_where_nothing_is_dead(policy: Policy, calibration: Array) -> None:
    assert prune(policy, calibration).hash == policy.hash


def test_what_cannot_be(policy: Policy, calibration: Array) -> None:
    with pytest.raises(TinyctlError, match=r"keep 0\.0 is not a fraction above 0 and at most 1"):
        prune(policy, calibration, keep=0.0)
    with pytest.raises(TinyctlError, match="neurons nan is not a fraction"):
        prune(policy, calibration, neurons=float("nan"))
    with pytest.raises(TinyctlError, match="threshold 'row' is neither layer nor global"):
        prune(policy, calibration, threshold="row")  # type: ignore[arg-type]
    with pytest.raises(TinyctlError, match="keep 1e-09 would leave no weight at all"):
        prune(policy, calibration, keep=1e-9)
