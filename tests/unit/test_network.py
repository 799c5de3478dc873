"""Structure of policies and graphs, their state, and how batches run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import networks
import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import IntegerTanh, Tanh
from tinyctl.network import MAX_NODES, REJECTED, Node, chain
from tinyctl.policy import Policy
from tinyctl.vectors import SPECIAL, observations, stored_steps

CONTRACT = networks.tiny_contract()
SCREEN, CLIP = Screen.of(CONTRACT), Clip.of(CONTRACT)
OUT = Dense(np.ones((1, 3), F32), np.zeros(1, F32))


def nodes(*between: tuple[str, Layer], screen: Layer = SCREEN, clip: Layer = CLIP) -> tuple[Node, ...]:
    return chain([("screen", screen), *between, ("clip", clip)])


def with_node(row: int, **changes: object) -> Callable[[], Policy]:
    """The good network with one node changed."""

    def make() -> Policy:
        rows = list(nodes(("relu", Relu(3)), ("out", OUT)))
        rows[row] = replace(rows[row], **changes)
        return Policy(CONTRACT, tuple(rows))

    return make


def test_the_good_network() -> None:
    made = Policy(CONTRACT, nodes(("relu", Relu(3)), ("out", OUT)))
    assert [n.inputs for n in made.nodes] == [(), ("screen",), ("relu",), ("out",)]
    assert repr(made).count("nodes") == 0


WIDE = Clip(networks.floats(-2.0), networks.floats(1.0))
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no nodes": (lambda: Policy(CONTRACT, ()), "0 nodes"),
    "one node": (lambda: Policy(CONTRACT, nodes()[:1]), "1 nodes"),
    "too many": (
        lambda: Policy(CONTRACT, nodes(*((f"r{i}", Relu(3)) for i in range(MAX_NODES)), ("out", OUT))),
        f"2 to {MAX_NODES} are possible",
    ),
    "bad name": (with_node(1, name="for"), "not a plain C identifier"),
    "name twice": (with_node(2, name="relu"), "the name is taken"),
    "reads nothing": (with_node(1, inputs=()), "reads 0 values instead of 1"),
    "reads two": (with_node(1, inputs=("screen", "screen")), "reads 2 values instead of 1"),
    "reads a later node": (with_node(1, inputs=("out",)), "which no earlier node computes"),
    "reads itself": (with_node(1, inputs=("relu",)), "which no earlier node computes"),
    "screen reads": (with_node(0, inputs=("relu",)), "reads 1 values instead of 0"),
    "widths": (with_node(1, layer=Relu(4)), "takes 4 columns, but screen has 3"),
    "unknown format": (with_node(1, format="w3a3"), "no number format"),
    "relu in integers on floats": (with_node(1, format="w16a16"), "reads int16, but screen returns float32"),
    "dense in integers": (with_node(2, format="w16a16"), "a dense does not compute in w16a16"),
    "no screen": (with_node(0, layer=Relu(3)), "the first node is not the screen"),
    "a second screen": (with_node(1, layer=SCREEN), "a second screen"),
    "another screen": (with_node(0, layer=Screen(SCREEN.low, SCREEN.high, SCREEN.on_nan * F32(0.5))), "ranges are not"),
    "no clip": (lambda: Policy(CONTRACT, nodes(("out", OUT))[:-1]), "not a float32 clip"),
    "another clip": (with_node(3, layer=WIDE), "the last clip's ranges are not the contract's"),
    "integers in a policy": (
        lambda: Policy(
            CONTRACT,
            (
                *nodes(("encode", Encode("int16", np.ones(3, F32), np.zeros(3, F32))))[:1],
                Node("encode", Encode("int16", np.ones(3, F32), np.zeros(3, F32)), ("screen",), "w16a16"),
                Node("decode", Decode(np.full(3, 1.0, F32)), ("encode",), "w16a16"),
                Node("out", OUT, ("decode",)),
                Node("clip", CLIP, ("out",)),
            ),
        ),
        "format w16a16 in a policy",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_structures(case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(TinyctlError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


INT_DENSE = IntegerDense("int16", np.ones((3, 3), np.int16), np.zeros(3, np.int32), np.ones(3, np.int32))


@pytest.mark.parametrize(
    ("layer", "format_name"),
    [
        (Dense(np.ones((3, 3), F32), np.zeros(3, F32)), "w16a16"),
        (Tanh(3), "w16a16"),
        (CLIP, "w16a16"),
        (INT_DENSE, "f32"),
        (IntegerTanh(3), "f32"),
        (Decode(np.full(3, 1.0, F32)), "f32"),
        (Encode("int16", np.ones(3, F32), np.zeros(3, F32)), "f32"),
        (Encode("int8", np.ones(3, F32), np.zeros(3, F32)), "w16a16"),
    ],
)
def test_a_layer_computes_only_in_its_formats(layer: Layer, format_name: str) -> None:
    """Else a file could hold a graph whose C would mean something else."""
    with pytest.raises(TinyctlError, match=f"a {layer.kind} does not compute in {format_name}"):
        Graph(
            CONTRACT,
            (Node("screen", SCREEN, ()), Node("x", layer, ("screen",), format_name), Node("clip", CLIP, ("x",))),
        )


def test_graph_refuses_what_could_overflow() -> None:
    big = Dense(np.full((3, 3), 1e20, F32), np.zeros(3, F32))
    Graph(CONTRACT, nodes(("a", big), ("out", OUT)))
    with pytest.raises(TinyctlError, match="node b: its values could reach the largest float32"):
        Graph(CONTRACT, nodes(("a", big), ("b", big), ("out", OUT)))
    many = tuple((f"n{i}", Dense(np.full((3, 3), 3e38, F32), np.zeros(3, F32))) for i in range(12))
    with pytest.raises(TinyctlError, match="node n0"):  # and no warning when even float64 overflows
        Graph(CONTRACT, nodes(*many, ("out", OUT)))


def test_hash_tells_every_part() -> None:
    base = networks.tiny()
    assert base.hash == networks.tiny().hash
    assert base.hash != networks.tiny(seed=5).hash
    assert base.hash != Graph(base.contract, base.nodes).hash
    assert base.hash != Policy(replace(base.contract, latency_s=0.1), base.nodes).hash
    renamed = (*base.nodes[:-2], replace(base.nodes[-2], name="other"), replace(base.nodes[-1], inputs=("other",)))
    assert base.hash != Policy(base.contract, renamed).hash


# --- running ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["f32", "w16a16"])
def graph(request: pytest.FixtureRequest) -> Graph:
    return networks.in_format(networks.all_layers(), request.param)


def sequences(graph: Graph, n: int = 40, steps: int = 30) -> Array:
    return np.stack([observations(graph.contract, steps, seed) for seed in range(n)], axis=1)


def equal(a: Array, b: Array) -> bool:
    return bool((np.ascontiguousarray(a).view(np.uint32) == np.ascontiguousarray(b).view(np.uint32)).all())


def test_a_batch_is_its_rows_one_at_a_time(graph: Graph) -> None:
    obs = sequences(graph)
    state = graph.init(obs.shape[1])
    single = [graph.init(1) for _ in range(obs.shape[1])]
    for row in obs:
        act, state = graph.run(row, state)
        for k in range(len(single)):
            one, single[k] = graph.run(row[k : k + 1], single[k])
            assert equal(one[0], act[k])
            assert single[k].status[0] == state.status[k]
            assert equal(single[k].words()[0], state.words()[k])


def test_actions_are_finite_and_inside_the_contract(graph: Graph) -> None:
    state = graph.init(40)
    for row in sequences(graph):
        act, state = graph.run(row, state)
        for column, signal in zip(act.T, graph.contract.outputs, strict=True):
            assert np.isfinite(column).all()
            assert (column >= signal.low).all()
            assert (column <= signal.high).all()


def test_status_is_set_by_what_is_not_finite(graph: Graph) -> None:
    obs = np.zeros((len(SPECIAL), graph.contract.n_obs), F32)
    obs[:, 2] = SPECIAL
    _, state = graph.run(obs, graph.init(len(SPECIAL)))
    assert (state.status == np.where(np.isfinite(SPECIAL), 0, REJECTED)).all()


def test_rejected_rows_keep_their_memory(graph: Graph) -> None:
    _, before = graph.run(np.full((40, graph.contract.n_obs), 0.5, F32), graph.init(40))
    obs = np.ones((40, graph.contract.n_obs), F32)
    obs[::2, 0] = np.nan
    _, after = graph.run(obs, before)
    for name, arrays in after.memory.items():
        for new, old in zip(arrays, before.memory[name], strict=True):
            assert equal(new[::2], old[::2])
            assert (new[1::2] != old[1::2]).any()


def test_reset_restores_the_chosen_rows(graph: Graph) -> None:
    state = graph.init(40)
    for row in sequences(graph):
        _, state = graph.run(row, state)
    rows = np.arange(40) % 3 == 0
    after = graph.reset(state, rows)
    assert equal(after.words()[rows], graph.init(40).words()[rows])
    assert equal(after.words()[~rows], state.words()[~rows])
    assert (after.status == np.where(rows, 0, state.status)).all()


def test_initial_state_is_the_contracts(graph: Graph) -> None:
    words = graph.init(2).words().view(F32)
    assert words.dtype == F32
    assert words[0, :3].tolist() == [F32(v) for v in graph.contract.initial_applied()]
    assert words[0, 3:].tolist() == [F32(v) for v in (-0.25, 0.5, 0.0, 0.0, 0.0)]


def test_applied_action_is_what_is_seen(graph: Graph) -> None:
    """The columns of the applied action are filled by output name, from what was applied last."""
    obs = np.ones((1, graph.contract.n_obs), F32)
    state = graph.init(1).with_applied(networks.floats(0.75, 0.1, -0.5)[None])
    values, _ = graph.trace(obs, state)
    assert values["screen"][0, 5:].tolist() == [-0.5, 0.75]  # w, then u
    act, state = graph.run(obs, state)
    assert equal(state.applied, act)


def test_changing_a_returned_action_changes_no_state(graph: Graph) -> None:
    obs = np.ones((1, graph.contract.n_obs), F32)
    act, state = graph.run(obs, graph.init(1))
    words = state.words().copy()
    act += 1
    assert equal(state.words(), words)


def test_an_applied_nan_is_screened(graph: Graph) -> None:
    obs = np.ones((1, graph.contract.n_obs), F32)
    state = graph.init(1).with_applied(networks.floats(np.nan, 0.0, 0.0)[None])
    values, after = graph.trace(obs, state)
    assert values["screen"][0, 6] == F32(-0.5)
    assert after.status[0] == REJECTED


def test_wrong_shapes_are_refused(graph: Graph) -> None:
    state = graph.init(4)
    for shape in ((4, 4), (3, 5), (4, 7), (5,), (4, 5, 1)):
        with pytest.raises(TinyctlError, match="observations have shape"):
            graph.run(np.zeros(shape, F32), state)
    for shape in ((4, 2), (3,), (12,)):
        with pytest.raises(TinyctlError, match="the applied action has shape"):
            state.with_applied(np.zeros(shape, F32))


def test_values_stay_within_their_bounds(graph: Graph) -> None:
    bounds = graph.bounds()
    state = graph.init(40)
    for row in sequences(graph):
        values, state = graph.trace(row, state)
        for name, value in values.items():
            assert (value >= bounds[name][0]).all()
            assert (value <= bounds[name][1]).all()


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_observations_look_for_trouble() -> None:
    found = observations(networks.all_layers_contract(), 5000, seed=0)
    assert found.dtype == F32
    assert found.shape == (5000, 5)
    words = set(found.view(np.uint32).ravel().tolist())
    assert {int(v) for v in SPECIAL.view(np.uint32)} <= words
    finite = np.isfinite(found).all(axis=1)
    assert 0.6 < finite.mean() < 0.95
    signals = networks.all_layers_contract().inputs[:5]
    low, high = (np.array([getattr(s, side) for s in signals]) for side in ("low", "high"))
    assert (found == low.astype(F32)).any(axis=0).all()
    assert (found == high.astype(F32)).any(axis=0).all()
    inside = ((found > low) & (found < high)).all(axis=1)
    assert inside.mean() > 0.4


def test_stored_steps_are_a_sequence_with_both_verdicts(graph: Graph) -> None:
    state = graph.init(1)
    for obs, act, status in stored_steps(graph):
        found, state = graph.run(obs[None], state)
        assert equal(found[0], act)
        assert state.status[0] == status
    assert {status for _, _, status in stored_steps(graph)} == {0, REJECTED}
