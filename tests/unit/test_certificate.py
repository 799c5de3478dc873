"""Certificates: exact where they can be, nothing counted twice, and refused in one line where there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import networks
import numpy as np
import pytest
from attack import held_memory, memory_scales
from networks import dense, floats

from tinyctl.certificate import Certificate, certify
from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.jsons import parse_json
from tinyctl.layers.add import Add
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import Node, chain
from tinyctl.pairing import Pairing
from tinyctl.policy import Policy
from tinyctl.reference import real_values
from tinyctl.spread import Source, Spread, beside

CONTRACT = Contract(
    inputs=tuple(Input(f"x{i}", "1", "", -1.0, 1.0) for i in range(4)),
    outputs=tuple(Output(f"u{i}", "1", "", -900.0, 900.0) for i in range(3)),
    rate_hz=100.0,
)


def policy(*layers: tuple[str, Layer]) -> Policy:
    return Policy(CONTRACT, chain([("screen", Screen.of(CONTRACT)), *layers, ("clip", Clip.of(CONTRACT))]))


def certified(network: Policy) -> Certificate:
    return certify(Graph(network.contract, network.nodes))


def test_linear_layers_are_multiplied_before_a_norm_is_taken() -> None:
    rng = np.random.default_rng(0)
    first, second = dense(rng, 4, 6), dense(rng, 6, 3)
    made = certified(policy(("a", first), ("b", second)))
    exact = np.linalg.norm(second.weight.astype(np.float64) @ first.weight.astype(np.float64), 2)
    assert exact <= made.lipschitz <= exact * (1 + 1e-6)
    assert made.lipschitz_found == pytest.approx(exact, rel=1e-5)
    assert exact < 0.9 * first.lipschitz() * second.lipschitz()


def test_an_activation_that_stays_on_one_side_is_linear() -> None:
    rng = np.random.default_rng(0)
    first, second = dense(rng, 4, 6), dense(rng, 6, 3)
    lifted = Dense(first.weight, first.bias + F32(50))
    made = certified(policy(("a", lifted), ("relu", Relu(6)), ("b", second)))
    exact = np.linalg.norm(second.weight.astype(np.float64) @ first.weight.astype(np.float64), 2)
    assert exact <= made.lipschitz <= exact * (1 + 1e-6)


def test_between_the_norm_of_the_best_case_and_the_product_of_norms() -> None:
    rng = np.random.default_rng(1)
    layers = [
        ("a", dense(rng, 4, 9)),
        ("tanh", Tanh(9)),
        ("b", dense(rng, 9, 9)),
        ("relu", Relu(9)),
        ("c", dense(rng, 9, 3)),
    ]
    made = certified(policy(*layers))
    product = np.prod([layer.lipschitz() for _, layer in layers])
    assert made.lipschitz_found <= made.lipschitz < 0.8 * product
    assert all(part <= made.lipschitz * (1 + 1e-6) for part in made.lipschitz_outputs)


def test_what_branches_have_in_common_cancels() -> None:
    """x - x + y: a residual sum knows that both its inputs move together."""
    negative = Scale(np.full(4, -1, F32), np.zeros(4, F32))
    out = Dense(np.ones((3, 4), F32), np.zeros(3, F32))
    nodes = {
        "screen": (Screen.of(CONTRACT), ()),
        "negative": (negative, ("screen",)),
        "sum": (Add(4), ("negative", "screen")),
        "out": (out, ("sum",)),
        "clip": (Clip.of(CONTRACT), ("out",)),
    }
    made = certify(Graph(CONTRACT, tuple(Node(name, layer, reads) for name, (layer, reads) in nodes.items())))
    assert made.lipschitz < 1e-9
    source = Source(1.0, np.ones(2))
    one = Spread(2, {source: np.eye(2)})
    both = beside([one, one.times(floats(-1, -1).astype(np.float64))])
    assert both.times(np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]])).norm() < 1e-12
    assert both.norm() == pytest.approx(np.sqrt(2))


def test_policy_and_graph_agree_in_float32() -> None:
    network = networks.tiny()
    graph = Graph(network.contract, network.nodes)
    alone, beside_it = certify(graph), certify(graph, network)
    assert (alone.reference, beside_it.reference) == ("graph", "policy")
    assert alone.error == pytest.approx(beside_it.error)
    assert beside_it.policy_hash == network.hash
    assert alone.policy_hash is None


def test_the_finer_the_format_the_smaller_the_error() -> None:
    network = networks.tiny()
    errors = [
        certify(networks.in_format(network, f), network).error_unsaturated for f in ("f32", "w16a16", "w8a16", "w8a8")
    ]
    assert errors == sorted(errors)
    assert errors[0] < 1e-4 < errors[-1]


def test_as_json() -> None:
    made = certify(networks.in_format(networks.tiny(), "w8a8"))
    record = parse_json(json.dumps(made.to_json(), allow_nan=False).encode(), where="x")
    assert record["schema"] == 1
    assert record["norm"] == "euclidean"
    assert record["graph_hash"] == made.graph_hash
    assert [node["name"] for node in record["nodes"]][:2] == ["screen", "lag"]
    assert len(record["nodes"][0]["low"]) == 3


@dataclass(frozen=True, eq=False)
class Unbounded(ElementwiseLayer):
    """A layer that somebody has just added."""

    kind: ClassVar[str] = "unbounded"

    def run(self, x: Array) -> Array:
        return x

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        return low, high

    def lipschitz(self) -> float:
        return 1.0


def test_a_layer_without_an_error_bound_is_refused() -> None:
    with pytest.raises(TinyctlError, match="node fresh: a unbounded does not bound its error"):
        certified(policy(("a", dense(np.random.default_rng(0), 4, 3)), ("fresh", Unbounded(3))))


def test_too_wide_a_layer_is_refused() -> None:
    wide = Dense(np.zeros((5000, 4), F32), np.zeros(5000, F32)), Dense(np.zeros((3, 5000), F32), np.zeros(3, F32))
    with pytest.raises(TinyctlError, match="5000 columns"):
        certified(policy(("a", wide[0]), ("b", wide[1])))


def test_another_policy_is_refused() -> None:
    graph = networks.in_format(networks.tiny(), "w16a16")
    with pytest.raises(TinyctlError, match="another contract"):
        certify(graph, networks.demo_size())
    screen, clip = Screen.of(graph.contract), Clip.of(graph.contract)
    other = Policy(
        graph.contract, chain([("screen", screen), ("lag", dense(np.random.default_rng(0), 3, 1)), ("clip", clip)])
    )
    with pytest.raises(TinyctlError, match="node lag: has other columns than in the policy"):
        certify(graph, other)
    _, graph = networks.memories_in("w16a16")
    with pytest.raises(TinyctlError, match="integer_history cannot be compared with the policy's history"):
        certify(graph, networks.memories(every=3))


def test_what_an_integer_memory_adds() -> None:
    """What is passed on is as it came; what is remembered has its rounding in the memory's unit, and little else."""
    policy, graph = networks.memories_in("w16a16")
    pairing = Pairing(graph, policy, ignore_encodes=True)
    pairing.errors()
    lag, integral, history = (pairing.values[name] for name in ("lag", "integral", "history"))
    assert not lag.own[:3].any()
    assert lag.scale[3] == lag.scale[2]
    assert 0.5 * lag.scale[3] <= lag.own[3] <= 0.6 * lag.scale[3]
    assert integral.scale[4] == 0.5 / 2**15
    assert integral.scale[4] <= integral.own[4] <= 1.1 * integral.scale[4]
    assert (history.scale[5:] == np.tile(integral.scale[[1, 3]], 3)).all()
    assert (history.own[5:] >= 0.5 * history.scale[5:]).all()


@pytest.mark.parametrize("format_name", ["w16a16", "w8a8"])
def test_no_value_is_beyond_its_error_in_a_long_sequence(format_name: str) -> None:
    """Every node, also where memories are full or at their limits. The policy's values stay in the bounds that were
    widened for the graph's state; they do not in those of its own."""
    policy, graph = networks.memories_in(format_name)
    pairing = Pairing(graph, policy, ignore_encodes=False)
    errors, scales = pairing.errors(), memory_scales(graph, policy)
    rng, state, worst = np.random.default_rng(0), graph.init(100), dict.fromkeys(errors, 0.0)
    alone, beyond = policy.bounds(), False
    ends = np.array([[s.low, s.high] for s in graph.contract.inputs[: graph.contract.n_obs]]).T
    for step in range(80):
        if step % 20 == 0:
            corner = np.where(rng.random((100, 2)) < 0.5, *ends)
        obs = np.where(rng.random((100, 1)) < 0.6, corner, rng.uniform(*ends, (100, 2))).astype(F32)
        real = real_values(policy, np.c_[obs, state.applied], held_memory(graph, policy, state, scales))
        stored, state = graph.trace(obs, state)
        state = state.with_applied(rng.choice([-1.0, 1.0], (100, 1)).astype(F32))
        for name, (_, error) in errors.items():
            value = pairing.values[name]
            apart = np.abs(stored[name] * value.scale + value.offset - real[value.stands])
            worst[name] = max(worst[name], float((apart / np.maximum(error.columns(), 1e-12)).max()))
            low, high = pairing.real[value.stands]
            assert ((low <= real[value.stands]) & (real[value.stands] <= high)).all()
            beyond |= bool((real[value.stands] < alone[value.stands][0]).any())
    assert beyond
    assert max(worst.values()) <= 1
    assert min(worst[name] for name in ("lag", "integral", "history")) > 0.5


def test_other_weights_make_a_larger_error() -> None:
    """A policy that is not quite the graph's is no mistake, but its error shows the difference."""
    network = networks.tiny()
    graph = networks.in_format(network, "w16a16")
    assert certify(graph, networks.tiny(seed=1)).error > 20 * certify(graph, network).error
