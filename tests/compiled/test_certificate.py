"""Certificates hold for the emitted C: no perturbation, random or along the steepest slopes, is beyond them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cases
import networks
import numpy as np
import pytest
from attack import attack

from tinyctl import reference
from tinyctl.certificate import certify
from tinyctl.emitter import emit
from tinyctl.formats import FORMATS
from tinyctl.formats.base import MULTIPLIER_BITS
from tinyctl.graph import Graph
from tinyctl.hostlib import HostController
from tinyctl.layers.base import F32, Layer
from tinyctl.layers.convert import Decode
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.integral import IntegerIntegral
from tinyctl.layers.lag import IntegerLag
from tinyctl.network import Network, Node
from tinyctl.policy import Policy

QUICK = ("-std=c99", "-O1")  # one compilation for each network
PERTURBATIONS, FEW = 25_000, 1000


@pytest.fixture(autouse=True)
def short_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "POINTS", 2000)
    monkeypatch.setattr(reference, "TURNS", 3)


@pytest.fixture(scope="module", params=FORMATS)
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Policy, Graph, HostController]:
    """The demo's shape in each format."""
    policy = networks.demo_size()
    graph = networks.in_format(policy, request.param)
    folder = tmp_path_factory.mktemp("certified")
    emit(graph, folder)
    return policy, graph, HostController(folder)


@pytest.mark.parametrize("original", [False, True], ids=["graph", "policy"])
def test_no_perturbation_is_beyond_the_certificate(demo: tuple[Policy, Graph, HostController], original: bool) -> None:
    policy, graph, controller = demo
    certificate = certify(graph, policy if original else None)
    found = attack(certificate, graph, policy if original else graph, controller, PERTURBATIONS)
    assert found.violations == 0
    assert found.worst > 0.1  # it is not beyond them by much more than it has to be
    assert certificate.lipschitz_found <= certificate.lipschitz <= 10 * certificate.lipschitz_found


@pytest.mark.parametrize("name", cases.MAKERS)
def test_of_every_case(name: str, tmp_path: Path) -> None:
    """All layers, joins, memory, ties and formats that change on the way."""
    graph = cases.graph(name)
    emit(graph, tmp_path)
    found = attack(certify(graph), graph, graph, HostController(tmp_path, flags=QUICK), FEW)
    assert found.violations == 0


@pytest.mark.parametrize("name", ["tiny", "widths", "activations", "joins"])
@pytest.mark.parametrize("format_name", ["w16a16", "w8a8"])
def test_against_the_policy(name: str, format_name: str, tmp_path: Path) -> None:
    policy, graph = cases.POLICIES[name](), cases.graph(f"{name}_{format_name}")
    emit(graph, tmp_path)
    found = attack(certify(graph, policy), graph, policy, HostController(tmp_path, flags=QUICK), FEW)
    assert found.violations == 0


@pytest.mark.parametrize("format_name", ["w16a16", "w8a8"])
def test_integer_memories_against_the_policy(format_name: str, tmp_path: Path) -> None:
    """Lag, integral and history in integers, the policy's state held at what theirs stands for."""
    policy, graph = networks.memories_in(format_name)
    emit(graph, tmp_path)
    certificate = certify(graph, policy)
    found = attack(certificate, graph, policy, HostController(tmp_path, flags=QUICK), FEW)
    assert found.violations == 0
    assert found.worst_error > 0.05


@pytest.mark.parametrize("name", ["lag", "integral"])
def test_another_memory_is_found(name: str, tmp_path: Path) -> None:
    policy, graph = networks.memories_in("w16a16")
    node = next(n for n in graph.nodes if n.name == name)
    if isinstance(node.layer, IntegerLag):
        changed = _with(graph, node, replace(node.layer, tau_s=2 * node.layer.tau_s))
    else:
        assert isinstance(node.layer, IntegerIntegral)
        changed = _with(graph, node, replace(node.layer, gain=2 * node.layer.gain))
    emit(changed, tmp_path)
    controller = HostController(tmp_path, flags=QUICK)
    assert attack(certify(graph, policy), changed, policy, controller, FEW).violations > 0
    assert attack(certify(changed, policy), changed, policy, controller, FEW).violations == 0


def test_other_weights_are_found(demo: tuple[Policy, Graph, HostController]) -> None:
    """The search would find a certificate that is wrong: it does once a weight is changed by more than the error."""
    _, graph, controller = demo
    certificate = certify(graph)
    last = next(n for n in reversed(graph.nodes) if isinstance(n.layer, Dense | IntegerDense))
    changed = _changed(graph, last, 1.5 * certificate.error)
    assert attack(certificate, graph, changed, controller, FEW).violations > 0


def _changed(graph: Graph, node: Node, by: float) -> Network:
    """The graph with biases that move each output by as much, towards zero."""
    layer = node.layer
    assert isinstance(layer, Dense | IntegerDense)
    move = -np.copysign(by, layer.bias)
    if isinstance(layer, Dense):
        return _with(graph, node, replace(layer, bias=(layer.bias + move).astype(F32)))
    decode = next(n.layer for n in graph.nodes if n.inputs == (node.name,))
    assert isinstance(decode, Decode)
    steps = move / decode.scale / layer.multiplier * 2.0**MULTIPLIER_BITS
    return _with(graph, node, replace(layer, bias=(layer.bias + steps).astype(np.int32)))


def _with(graph: Graph, node: Node, layer: Layer) -> Graph:
    nodes = tuple(Node(n.name, layer, n.inputs, n.format) if n is node else n for n in graph.nodes)
    return Graph(graph.contract, nodes)
