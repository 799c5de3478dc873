"""Each integer node's C function alone, over the whole range of its inputs, against its layer."""

from __future__ import annotations

import ctypes
from pathlib import Path

import cases
import numpy as np
import pytest

from tinyctl import toolchains
from tinyctl.emitter import C_TYPES, render
from tinyctl.layers.base import Array, JoinLayer, StatefulLayer
from tinyctl.layers.products import ProductsLayer
from tinyctl.layers.unit_delay import DelayLayer
from tinyctl.network import Node

ROWS = 3000
TRAPS = ("-fsanitize=undefined", "-fsanitize-trap=undefined")
WRAPPER = """
void many_{name}({state}const uint32_t *status, {inputs}{y} *y, uint32_t n)
{{
    while (n--) {{
        {calls}
        {advance}y += {n_out};
        status++;
    }}
}}
"""


def wrapper(node: Node) -> str:
    """A C function that calls the node's once for each row."""
    x, y = C_TYPES[node.reads][0], C_TYPES[node.returns][0]
    slots = [f"state_{s.name}" for s in node.layer.state()] if isinstance(node.layer, StatefulLayer) else []
    # Kernels read and write up to 16 bytes at a time.
    strides = [width + -width % 16 for width in node.layer.widths]
    states, inputs = "".join(f"{s}, " for s in slots), "".join(f"x{k}, " for k in range(len(strides)))
    calls = f"policy_{node.name}_node({states}{'*status, ' if slots else ''}{inputs}y);"
    if isinstance(node.layer, DelayLayer):  # recalls, and keeps at the end of the step
        calls = f"policy_{node.name}_node({states}y); policy_{node.name}_node_keep({states}*status, x0);"
    return WRAPPER.format(
        name=node.name,
        state="".join(f"int32_t *{s}, " for s in slots),
        inputs="".join(f"const {x} *x{k}, " for k in range(len(strides))),
        calls=calls,
        advance="".join(f"x{k} += {stride}; " for k, stride in enumerate(strides)),
        y=y,
        n_out=node.layer.n_out + -node.layer.n_out % 16,
    )


def extremes(r: np.random.Generator, width: int, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    x = r.integers(limits.min, limits.max + 1, (ROWS, width))
    corner = r.choice([limits.min, limits.max, limits.min + 1, -1, 0, 1], (ROWS, width))
    return np.where(r.random((ROWS, 1)) < 0.3, corner, x).astype(dtype)


def padded(x: Array) -> Array:
    return np.ascontiguousarray(np.pad(x, ((0, 0), (0, -x.shape[1] % 16))))


def pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.mark.parametrize("name", [name for name in cases.MAKERS if name.endswith("throughout")])
def test_every_node_over_its_whole_range(name: str, tmp_path: Path) -> None:
    graph = cases.graph(name)
    nodes = [n for n in graph.nodes if np.dtype(n.reads).kind == np.dtype(n.returns).kind == "i"]
    for file, text in render(graph, "policy")[1].items():
        (tmp_path / file).write_text(text)
    (tmp_path / "many.c").write_text('#include "policy.c"\n' + "".join(map(wrapper, nodes)))
    command = (*toolchains.host_cc("zig"), "-O1", *TRAPS, *toolchains.SHARED)
    toolchains.run([*command, tmp_path / "many.c", "-o", tmp_path / "many.so"], what="nodes")
    library = ctypes.CDLL(str(tmp_path / "many.so"))
    r = np.random.default_rng(0)
    assert nodes
    for node in nodes:
        xs = [extremes(r, width, node.reads) for width in node.layer.widths]
        rejected = r.random(ROWS) < 0.1
        status = rejected.astype(np.uint32)
        found = padded(np.zeros((ROWS, node.layer.n_out), node.returns))
        rows = [padded(x) for x in xs]
        memory: tuple[Array, ...] = ()
        if isinstance(node.layer, StatefulLayer):
            memory = tuple(np.array(slot.initial) for slot in node.layer.state())
        kept = tuple(m[None].copy() for m in memory)
        many = getattr(library, f"many_{node.name}")
        many(*map(pointer, memory), pointer(status), *map(pointer, rows), pointer(found), ROWS)
        if isinstance(node.layer, JoinLayer):
            expected = node.layer.join(*xs)
        elif isinstance(node.layer, StatefulLayer):
            steps = []
            for k in range(ROWS):
                y, kept = node.layer.step(xs[0][k : k + 1], kept, rejected[k : k + 1], graph.contract.rate_hz)
                steps.append(y)
            expected = np.concatenate(steps)
            assert all((a == b[0]).all() for a, b in zip(memory, kept, strict=True))
        else:
            expected = node.layer.run(xs[0])
        appends = isinstance(node.layer, StatefulLayer | ProductsLayer)  # the input may lie in place already
        first = node.layer.n_in if appends else 0
        np.testing.assert_array_equal(
            found[:, first : node.layer.n_out], expected[:, first:], err_msg=f"node {node.name}"
        )
