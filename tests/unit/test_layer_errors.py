"""The error of each layer: none in float32, less with more bits, every shared node named."""

from __future__ import annotations

import networks

from tinyctl.graph import Graph
from tinyctl.layer_errors import layer_errors
from tinyctl.quantizer import everywhere, quantize, random_sequences


def test_where_what_is_lost() -> None:
    policy = networks.all_layers()
    data = random_sequences(policy.contract, None, None)[:16]
    graphs = {name: quantize(policy, everywhere(policy, name), data) for name in ("w16a16", "w8a8")}
    fine, coarse = (layer_errors(policy, graph, data) for graph in graphs.values())
    assert [row.name for row in fine] == [row.name for row in coarse]
    assert {row.format for row in coarse} == {"f32", "w8a8"}
    quantized = [(a, b) for a, b in zip(fine, coarse, strict=True) if b.format == "w8a8" and b.kind == "integer_dense"]
    assert quantized
    assert all(a.error < b.error < 0.2 * b.rms for a, b in quantized)
    same = layer_errors(policy, Graph(policy.contract, policy.nodes), data)
    assert [row.name for row in same] == [node.name for node in policy.nodes]
    assert {row.error for row in same} == {0.0}
