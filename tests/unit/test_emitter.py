"""What the emitter decides: buffers, literals, names. The text is in tests/golden, its meaning in tests/compiled."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import cases
import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyctl import archive
from tinyctl.contract import Input, Output
from tinyctl.emitter import _allocate, emit, render
from tinyctl.errors import FileError, TinyctlError
from tinyctl.formats import FORMATS
from tinyctl.graph import Graph
from tinyctl.kernels import KERNELS, kernel_name
from tinyctl.layers import LAYERS
from tinyctl.layers.base import F32
from tinyctl.layers.clip import Clip
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import Node
from tinyctl.templates import literal, template
from tinyctl.unit import load_unit

# --- buffers ----------------------------------------------------------------------------------------------------------


def check_buffers(graph: Graph) -> None:
    """Replay the nodes over the buffers: what a node reads must be what its source wrote."""
    slots, places = _allocate(graph)
    holds: dict[int | None, str] = {}
    for node in graph.nodes:
        for name in node.inputs:
            found = holds[places[name].slot]
            assert found == name, f"{node.name} reads {name}, overwritten by {found}"
            if places[name].slot == places[node.name].slot:
                assert node.layer.in_place
                assert places[name].dtype == places[node.name].dtype
        place = places[node.name]
        holds[place.slot] = node.name
        if place.slot is None:  # the action last applied: only what the last node returns
            assert node is graph.nodes[-1]
            assert isinstance(node.layer, Clip)  # it writes no column more than it has
            continue
        columns = slots[place.slot].columns[place.dtype]
        assert columns >= node.layer.n_out
        size = np.dtype(place.dtype).itemsize
        assert 4 * slots[place.slot].words >= size * columns
        assert size * columns % 16 == 0  # read and written by four words


@pytest.mark.parametrize("make", [networks.tiny, networks.all_layers, networks.branching, networks.demo_size])
@pytest.mark.parametrize("format_name", FORMATS)
def test_no_value_is_overwritten_before_its_last_use(make: object, format_name: str) -> None:
    check_buffers(networks.in_format(make(), format_name))  # type: ignore[operator]


def test_a_chain_needs_two_buffers() -> None:
    assert len(_allocate(networks.in_format(networks.demo_size(), "f32"))[0]) == 2


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_random_branching_graphs(seed: int, n: int) -> None:
    """Nodes that read any earlier node, in place or not; most values are read again later or by nobody."""
    r = np.random.default_rng(seed)
    contract = networks.tiny_contract()
    nodes = [Node("screen", Screen.of(contract), ())]
    for k in range(n):
        source = nodes[int(r.integers(len(nodes)))]
        width = source.layer.n_out
        layer = (Relu(width), Tanh(width), networks.dense(r, width, int(r.integers(1, 6))))[int(r.integers(3))]
        nodes.append(Node(f"n{k}", layer, (source.name,)))
    source = nodes[int(r.integers(len(nodes)))]
    nodes.append(Node("out", networks.dense(r, source.layer.n_out, 1), (source.name,)))
    nodes.append(Node("clip", Clip.of(contract), ("out",)))
    check_buffers(Graph(contract, tuple(nodes)))


# --- text -------------------------------------------------------------------------------------------------------------


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literals_read_back(value: float) -> None:
    text = literal(F32(value))
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text)
    assert re.search(r"[.e]", text)  # else 1f, which is no C
    back = F32(text[:-1])
    assert back.view(np.uint32) == F32(value).view(np.uint32)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (F32(0), "0.0f"),
        (F32(-0.0), "-0.0f"),
        (F32(1), "1.0f"),
        (F32(1e-45), "1e-45f"),
        (F32(1e20), "1e+20f"),
        (F32(3.4028235e38), "3.4028235e+38f"),
        (np.uint16(3), "3u"),
        (np.int16(-3), "-3"),
        ("x", "x"),
        (7, 7),
    ],
)
def test_literals(value: object, text: object) -> None:
    assert literal(value) == text


def test_nothing_but_checked_names_and_numbers_reaches_the_text() -> None:
    """A contract may hold every character that is allowed: the comment it stands in stays one comment."""
    base = networks.tiny_contract()
    odd = "a/b_c^d.e%f(g) h-i //"
    contract = replace(
        base,
        inputs=tuple(replace(s, unit=odd, frame=odd[::-1]) for s in base.inputs),
        outputs=tuple(replace(s, unit=odd) for s in base.outputs),
    )
    made = networks.tiny()
    _, texts = render(Graph(contract, made.nodes), "policy")
    header = texts["policy.h"]
    comment = header[: header.index("#ifndef")]
    assert comment.count("/*") == comment.count("*/") == 1
    assert odd in comment


def test_header_tells_the_contract() -> None:
    graph = networks.in_format(networks.all_layers(), "f32")
    unit, texts = render(graph, "arm")
    header = texts["arm.h"]
    for line in (
        "obs[1]   b: m/s, body, -4 to 1.5, on_nan -0.25",
        "(state)  w: V, -1 to 1, last applied, at first 0.5",
        "act[1]   v: N, body, -0.3 to 0.3, safe 0.2",
        "#define ARM_N_OBS 5",
        "#define ARM_N_ACT 3",
        "#define ARM_RATE_HZ 333.0f",
        f'#define ARM_CONTRACT_HASH "{graph.contract.hash}"',
        f'#define ARM_GRAPH_HASH "{graph.hash}"',
        f"#define ARM_STATE_BYTES {4 * (3 + 5)} ",
    ):
        assert line in header
    assert [n.name for n in unit.nodes] == [n.name for n in graph.nodes]


def test_symbols_never_collide() -> None:
    """Nodes called as another node's tables would be."""
    contract = networks.tiny_contract()
    r = np.random.default_rng(0)
    names = [
        "a",
        "a_weight",
        "a_node",
        "a_node_weight",
        "a_node_bias",
        "screen_node_value",
        "node",
        "step",
        "init",
        "tanh",
    ]
    nodes = [Node("screen", Screen.of(contract), ())]
    for k, name in enumerate(names):
        nodes.append(Node(name, networks.dense(r, nodes[-1].layer.n_out, 2 + k % 3), (nodes[-1].name,)))
    nodes.append(Node("out", networks.dense(r, nodes[-1].layer.n_out, 1), (nodes[-1].name,)))
    nodes.append(Node("clip", Clip.of(contract), ("out",)))
    _, texts = render(Graph(contract, tuple(nodes)), "policy")
    defined = re.findall(r"^(?:static )?(?:const )?[\w ]*?(policy_\w+)[\[(][^;]*?[{=]", texts["policy.c"], re.MULTILINE)
    assert len(defined) == len(set(defined)) > 30


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["int", "1x", "a b", "a__b", "../x", "POLICY", "", "é", "x.c", "stdint"])
def test_bad_names_write_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(TinyctlError):
        emit(networks.in_format(networks.tiny(), "f32"), tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


def test_the_record_is_read_back(tmp_path: Path) -> None:
    graph = networks.in_format(networks.tiny(), "w16a16")
    unit = emit(graph, tmp_path, "tiny")
    assert load_unit(tmp_path) == unit
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(unit.files)
    vectors = json.loads((tmp_path / "vectors.json").read_text())
    assert vectors["graph_hash"] == graph.hash == unit.graph_hash
    assert len(vectors["steps"]) == 24


def test_the_same_bytes_from_a_saved_graph(tmp_path: Path) -> None:
    graph = networks.in_format(networks.all_layers(), "w16a16")
    archive.save(graph, tmp_path / "g.tctl")
    assert render(archive.load(tmp_path / "g.tctl"), "policy")[1] == render(graph, "policy")[1]


def test_the_name_is_the_only_difference_it_makes() -> None:
    graph = networks.in_format(networks.all_layers(), "w16a16")
    _, ours = render(graph, "alpha")
    _, theirs = render(graph, "beta")
    for file, text in ours.items():
        renamed = text.replace("alpha", "beta").replace("ALPHA", "BETA")
        assert "".join(renamed.split()) == "".join(theirs[file.replace("alpha", "beta")].split())


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: (p / "unit.json").unlink(),
        lambda p: (p / "unit.json").write_text("{}"),
        lambda p: (p / "unit.json").write_text("[]"),
        lambda p: (p / "unit.json").write_text('{"schema":1,"nodes":[3]}'),
        lambda p: (p / "unit.json").write_bytes(b"\xff"),
        lambda p: (p / "policy.c").unlink(),
        lambda p: (p / "unit.json").write_text((p / "unit.json").read_text().replace('"n_obs": 2', '"n_obs": "2"')),
        lambda p: (p / "unit.json").write_text((p / "unit.json").read_text().replace('"schema": 1', '"schema": 2')),
    ],
)
def test_damaged_units_are_refused(tmp_path: Path, damage: object) -> None:
    emit(networks.in_format(networks.tiny(), "f32"), tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(FileError) as raised:
        load_unit(tmp_path)
    assert "\n" not in str(raised.value)


# --- folders ----------------------------------------------------------------------------------------------------------


def served(kernel: str) -> set[str]:
    """The formats whose nodes a kernel computes; one for all integers serves those without a kernel of their own."""
    word, suffix = kernel.rsplit("_", 1)
    by_type = {"a16": ["w16a16", "w8a16"], "a8": ["w8a8"], "int": ["w16a16", "w8a16", "w8a8"]}
    nearer = {"a16": [], "a8": [], "int": ["a16", "a8"]}.get(suffix, [])
    taken = {f for other in nearer if f"{word}_{other}" in KERNELS for f in by_type[other]}
    exact = {f for f in by_type.get(suffix, []) if f"{word}_{f}" in KERNELS}
    return set(by_type.get(suffix, [suffix])) - taken - exact


def test_the_cases_have_every_layer_and_every_kernel_in_every_format() -> None:
    """What `tests/cases.py` holds is what every compiler and core is compared on."""
    nodes = [node for name in cases.MAKERS for node in cases.graph(name).nodes]
    assert {node.layer.kind for node in nodes} == set(LAYERS)
    used = {(kernel_name(node), node.format) for node in nodes}
    assert used == {(kernel, format_name) for kernel in KERNELS for format_name in served(kernel)}
    for name in KERNELS:
        assert template(f"kernels/{name}.c.j2")


def test_a_node_without_kernel_is_refused() -> None:
    node = Node("x", Screen.of(networks.tiny_contract()), (), "w16a16")
    with pytest.raises(TinyctlError, match="node x: there is no C kernel screen_w16a16 or screen_a16 or screen_int"):
        kernel_name(node)


def test_inputs_may_have_the_names_of_outputs_only_when_applied() -> None:
    contract = replace(networks.tiny_contract(), inputs=(Input("torque", "N m", "", -1.0, 1.0),))
    assert contract.applied_outputs == ()
    assert contract.outputs == (Output("torque", "N m", "", -1.0, 1.0),)
