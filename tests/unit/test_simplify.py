"""What `prune` removes in any case: dead neurons, unread nodes, lines. The outputs stay, to float32's rounding."""

from __future__ import annotations

import networks
import numpy as np
import pytest

from tinyctl.contract import Contract, Input, Output
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.simplify import hidden_layers, products, simplify


def policy_of(*layers: tuple[str, Layer], n_in: int = 3, n_out: int = 2) -> Policy:
    """Inputs within -1 and 1, outputs within -50 and 50."""
    contract = Contract(
        tuple(Input(f"x{i}", "1", "", -1.0, 1.0) for i in range(n_in)),
        tuple(Output(f"y{i}", "1", "", -50.0, 50.0) for i in range(n_out)),
        100.0,
    )
    return Policy(contract, chain([("screen", Screen.of(contract)), *layers, ("clip", Clip.of(contract))]))


def dense(weight: Array, bias: Array) -> Dense:
    return Dense(np.asarray(weight, F32), np.asarray(bias, F32))


def assert_same(before: Policy, after: Policy, tolerance: float = 1e-6) -> None:
    obs = np.random.default_rng(3).uniform(-1, 1, (500, before.contract.n_obs)).astype(F32)
    ours, theirs = (p.run(obs, p.init(500))[0] for p in (before, after))
    np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance)


def random_layers(bias: Array, bend: Layer, n_in: int = 3, n_out: int = 2) -> list[tuple[str, Layer]]:
    rng = np.random.default_rng(1)
    n = len(bias)
    first = dense(rng.uniform(-0.3, 0.3, (n, n_in)), bias)
    return [("first", first), ("bend", bend), ("second", dense(rng.standard_normal((n_out, n)), [0.5] * n_out))]


def test_neurons_that_are_never_on_go_with_all_bits_kept() -> None:
    before = policy_of(*random_layers(np.array([-9.0, 0.1, -9.0, 0.2, -0.1]), Relu(5)))
    after = simplify(before)
    assert [n.layer.n_out for n in after.nodes] == [3, 3, 3, 2, 2]
    obs = np.random.default_rng(3).uniform(-1, 1, (500, 3)).astype(F32)
    np.testing.assert_array_equal(after.run(obs, after.init(500))[0], before.run(obs, before.init(500))[0])


@pytest.mark.parametrize("bend", [Relu(5), Tanh(5)])
def test_constants_go_into_the_biases(bend: Layer) -> None:
    layers = random_layers(np.array([0.7, 0.1, -0.3, 0.2, -0.1]), bend)
    first = layers[0][1]
    assert isinstance(first, Dense)
    weight = first.weight.copy()
    weight[[0, 2]] = 0
    before = policy_of(("first", dense(weight, first.bias)), *layers[1:])
    after = simplify(before)
    assert after.nodes[1].layer.n_out == 3
    assert_same(before, after)


def test_neurons_that_nobody_weighs_go_and_take_others_with_them() -> None:
    rng = np.random.default_rng(2)
    last = rng.standard_normal((2, 6))
    last[:, :5] = 0
    middle = rng.standard_normal((6, 4))
    middle[5, 1:] = 0
    before = policy_of(
        ("first", dense(rng.standard_normal((4, 3)), np.zeros(4))),
        ("bend", Tanh(4)),
        ("middle", dense(middle, np.zeros(6))),
        ("bend2", Tanh(6)),
        ("last", dense(last, np.zeros(2))),
    )
    after = simplify(before)
    assert [n.layer.n_out for n in after.nodes] == [3, 1, 1, 1, 1, 2, 2]
    assert_same(before, after)


def test_a_layer_of_dead_neurons_keeps_one() -> None:
    before = policy_of(*random_layers(np.full(5, -9.0), Relu(5)))
    after = simplify(before)
    assert after.nodes[1].layer.n_out == 1
    assert_same(before, after)


def test_lines_are_folded_where_that_saves_products() -> None:
    bias = np.where(np.arange(8) < 5, 2.0, 0.0)
    before = policy_of(*random_layers(bias, Relu(8)))
    after = simplify(before)  # 8 neurons of 3 + 2 products; without five of them 3 * 2 more
    assert (products(before), products(after)) == (40, 21)
    assert [n.layer.kind for n in after.nodes] == ["screen", "dense", "relu", "concat", "dense", "clip"]
    assert_same(before, after)
    two = np.where(np.arange(8) < 1, 2.0, 0.0)
    assert simplify(policy_of(*random_layers(two, Relu(8)))).hash == policy_of(*random_layers(two, Relu(8))).hash


def test_a_layer_of_lines_is_multiplied_out_or_loses_its_activation() -> None:
    wide = policy_of(*random_layers(np.full(8, 2.0), Relu(8)))
    folded = simplify(wide)
    assert [n.layer.kind for n in folded.nodes] == ["screen", "dense", "clip"]
    assert products(folded) == 6
    assert_same(wide, folded)
    narrow = policy_of(*random_layers(np.full(2, 2.5), Relu(2), n_in=6, n_out=6), n_in=6, n_out=6)
    straight = simplify(narrow)
    assert [n.layer.kind for n in straight.nodes] == ["screen", "dense", "dense", "clip"]
    assert products(straight) == products(narrow)
    assert_same(narrow, straight)


def test_branches_and_memory() -> None:
    branching = networks.branching()
    after = simplify(branching)
    names = {node.name for node in after.nodes}
    assert not names & {"unread", "unread_tanh", "also_unread", "relu", "tanh"}
    rng = np.random.default_rng(4)
    for before in (branching, networks.tiny(), networks.joins(), networks.all_layers()):
        after = simplify(before)
        states = [before.init(50), after.init(50)]
        for _ in range(20):
            obs = rng.uniform(-1, 1, (50, before.contract.n_obs)).astype(F32)
            act, states[0] = before.run(obs, states[0])
            other, states[1] = after.run(obs, states[1])
            np.testing.assert_allclose(other, act, rtol=1e-6, atol=1e-6)
    assert [len(hidden_layers(p)) for p in (branching, networks.tiny())] == [1, 1]
