"""Every layer's own part of a certificate: real function, error, derivatives and Lipschitz constant, found by listing
the layers and met by the layers of the tests' networks."""

from __future__ import annotations

from functools import cache

import cases
import numpy as np
import pytest

from tinyctl.layers import LAYERS
from tinyctl.layers.base import F32, Array, ElementwiseLayer, JoinLayer, Layer, StatefulLayer
from tinyctl.layers.table import ByteTable, IntegerTable
from tinyctl.network import Node
from tinyctl.spread import Source, Spread

RATE_HZ = 200.0
DRAWS, EACH = 6, 3  # ranges of inputs, and nodes of each kind
HELP = "a certificate needs it: docs/add-a-layer.md, `affine`, `slopes`, `exact` and `error`"


@cache
def nodes() -> dict[str, list[tuple[Node, Array, Array]]]:
    """Nodes of each kind in the cases' graphs, with the bounds of their inputs."""
    found: dict[str, list[tuple[Node, Array, Array]]] = {kind: [] for kind in LAYERS}
    for name in cases.MAKERS:
        graph = cases.graph(name)
        bounds, inputs = graph.bounds(), graph.contract.inputs
        for node in graph.nodes:
            ranges = [bounds[n] for n in node.inputs] or [
                (np.array([s.low for s in inputs]), np.array([s.high for s in inputs]))
            ]
            low, high = (np.concatenate([r[k] for r in ranges]) for k in (0, 1))
            if len(found[node.layer.kind]) < EACH:
                found[node.layer.kind].append((node, low, high))
    return found


def real(layer: Layer, x: Array, state: tuple[Array, ...]) -> Array:
    if isinstance(layer, JoinLayer):
        return layer.exact_join(*np.split(x, np.cumsum(layer.widths)[:-1], axis=1))
    return layer.exact_step(x, state, RATE_HZ) if isinstance(layer, StatefulLayer) else layer.exact(x)


def stored(layer: Layer, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    if isinstance(layer, JoinLayer):
        return layer.join(*np.split(x, np.cumsum(layer.widths)[:-1], axis=1)), ()
    if isinstance(layer, StatefulLayer):
        return layer.step(x, state, np.zeros(len(x), bool), RATE_HZ)
    return layer.run(x), ()


def within(node: Node, low: Array, high: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Values (200, n_in) of the type that a node reads, in a range within its own, at whose ends half of them are."""
    a, b = np.sort(rng.uniform(low, high, (2, len(low))), axis=0)
    if rng.random() < 0.4:
        a, b = low, high
    if node.reads == "float32":
        a, b = a.astype(F32).astype(np.float64), b.astype(F32).astype(np.float64)
    else:
        a, b = np.floor(a), np.ceil(b)
    x = np.where(
        rng.random((200, len(a))) < 0.5, rng.uniform(a, b, (200, len(a))), np.where(rng.random((200, 1)) < 0.5, a, b)
    )
    x = np.clip((x if node.reads == "float32" else np.round(x)).astype(node.reads), a, b).astype(node.reads)
    return a, b, x


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_has_its_part(kind: str) -> None:
    layer = LAYERS[kind]
    name = (
        "exact_join" if issubclass(layer, JoinLayer) else "exact_step" if issubclass(layer, StatefulLayer) else "exact"
    )
    base = JoinLayer if issubclass(layer, JoinLayer) else StatefulLayer if issubclass(layer, StatefulLayer) else Layer
    assert getattr(layer, name) is not getattr(base, name), f"{kind} has no `{name}`; {HELP}"
    assert layer.error is not Layer.error, f"{kind} has no `error`; {HELP}"
    assert layer.lipschitz is not Layer.lipschitz, f"{kind} has no `lipschitz`"
    assert layer.slopes is not ElementwiseLayer.slopes, f"{kind} has no `slopes`; {HELP}"
    assert nodes()[kind], f"no network of tests/cases.py has a {kind}"


@pytest.mark.parametrize("kind", LAYERS)
def test_errors_hold(kind: str) -> None:
    rng = np.random.default_rng(1)
    for node, low, high in nodes()[kind] * DRAWS:
        a, b, x = within(node, low, high, rng)
        state: tuple[Array, ...] = ()
        if isinstance(node.layer, StatefulLayer):
            state = tuple(np.tile(slot.initial, (len(x), 1)) for slot in node.layer.state())
        for _ in range(4):
            y, following = stored(node.layer, x, state)
            apart = np.abs(y - real(node.layer, x.astype(np.float64), state))
            assert (apart <= node.layer.error(a, b)).all(), (node.name, apart.max(axis=0) - node.layer.error(a, b))
            state, x = following, rng.permutation(x)


@pytest.mark.parametrize("kind", LAYERS)
def test_derivatives_hold(kind: str) -> None:
    """Between any two points: each column by its least and greatest derivative, all of them by their spread."""
    rng = np.random.default_rng(2)
    for node, low, high in nodes()[kind] * DRAWS:
        layer = node.layer
        a, b, x = within(node, low, high, rng)
        x = x.astype(np.float64)
        y = np.clip(x + rng.standard_normal(x.shape) * (b - a) * 10.0 ** rng.uniform(-4, 0, (len(x), 1)), a, b)
        state: tuple[Array, ...] = ()
        if isinstance(layer, StatefulLayer):
            state = tuple(np.tile(slot.initial, (len(x), 1)) for slot in layer.state())
            state = stored(layer, x.astype(node.reads), state)[1]
        moved = real(layer, y, state) - real(layer, x, state)
        form, (least, most), ranges = layer.affine(RATE_HZ), layer.slopes(a, b), layer.jacobian(a, b)
        inner = y - x if form is None else (y - x) @ form[0].T
        if ranges is not None:  # each derivative within its own range
            ends = np.stack([(y - x)[:, None] * end for end in ranges])
            low, high, inner = ends.min(axis=0).sum(axis=2), ends.max(axis=0).sum(axis=2), np.abs(ends).sum(axis=(0, 3))
        else:
            low, high = np.minimum(least * inner, most * inner), np.maximum(least * inner, most * inner)
        slack = 1e-9 * (1 + np.abs(real(layer, x, state)) + np.abs(inner))
        assert (moved >= low - slack).all(), node.name
        assert (moved <= high + slack).all(), node.name
        lengths = np.linalg.norm(y - x, axis=1)
        # An integral has no constant of its own; of one step it is near 1.
        assert (
            np.linalg.norm(moved, axis=1) <= min(layer.lipschitz(), 1e9) * lengths + np.linalg.norm(slack, axis=1)
        ).all()
        for k in range(5):
            source = Source(lengths[k], np.abs(y - x)[k])
            spread = Spread(layer.n_in, {source: np.eye(layer.n_in)}).through(layer, a, b, RATE_HZ)
            assert (np.abs(moved[k]) <= spread.columns() + slack[k]).all(), node.name
            assert np.linalg.norm(moved[k]) <= spread.norm() + np.linalg.norm(slack[k]), node.name


@pytest.mark.parametrize("table", [IntegerTable, ByteTable])
def test_slopes_beyond_a_table_are_level(table: type) -> None:
    rises = np.full(512, 64, np.int16) if table is IntegerTable else np.arange(-128, 128).astype(np.int8)
    layer = (
        table(2, np.arange(-(2**14), 2**14, 64).astype(np.int16), rises) if table is IntegerTable else table(2, rises)
    )
    far = 1e6
    least, most = layer.slopes(np.array([-far, -3.0]), np.array([-far + 1, 3.0]))
    assert (least[0], most[0]) == (0.0, 0.0)
    assert least[1] == most[1] > 0
    assert layer.slopes(np.array([-far, 0.0]), np.array([far, far]))[0].tolist() == [0.0, 0.0]
