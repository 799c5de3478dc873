"""Is a network convex in what it reads? By the rules of disciplined convex programming, node by node, on the weights as
they are stored, integers too: what is found here holds for the emitted C where nothing saturates, rounding aside.

A column is affine or convex in the observations, those of earlier steps included, or nothing is known of it. Positive
combinations of convex columns and their ReLUs are convex, and so is what a delay remembers of one.
"""

from __future__ import annotations

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.add import Add, IntegerAdd
from tinyctl.layers.base import Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.unit_delay import DelayLayer
from tinyctl.network import Network, Node

AFFINE, CONVEX, UNKNOWN = 0, 1, 2
LINEAR = (Dense, IntegerDense, Scale, Add, IntegerAdd, Encode, Decode, Requantize, Concat)


def require_convex(network: Network) -> None:
    """Raise `TinyctlError`, with the first node at fault, where an output is not convex in the observations."""
    curvature = curvatures(network)
    if (curvature[network.nodes[-1].name] == UNKNOWN).any():
        first = next(node.name for node in network.nodes if (curvature[node.name] == UNKNOWN).any())
        raise TinyctlError("it is not convex in the observations", where=f"node {first}")


def curvatures(network: Network) -> dict[str, Array]:
    """The curvature (n_out,) of each node's columns: AFFINE, CONVEX or UNKNOWN."""
    found = {n.name: np.full(n.layer.n_out, AFFINE) for n in network.nodes}
    changed = True
    while changed:  # once around each loop
        before = {**found}
        for node in network.nodes:
            found[node.name] = _curvature(node, [found[name] for name in node.inputs], network.contract.rate_hz)
        changed = any(not np.array_equal(before[name], found[name]) for name in found)
    return found


def _curvature(node: Node, sources: list[Array], rate_hz: float) -> Array:
    layer = node.layer
    if isinstance(layer, Screen):
        return np.full(layer.n_out, AFFINE)
    if isinstance(layer, Clip | DelayLayer):
        return sources[0]
    if isinstance(layer, Relu):
        return np.where(sources[0] == UNKNOWN, UNKNOWN, CONVEX)
    if not isinstance(layer, LINEAR):
        return np.full(layer.n_out, UNKNOWN)
    form, source = layer.affine(rate_hz), np.concatenate(sources)
    return source if form is None else _combined(form[0], source)


def _combined(weight: Array, source: Array) -> Array:
    """Of `weight @ x`: unknown where a negative weight meets a convex column, or any an unknown one."""
    spoils = (weight != 0) & (source == UNKNOWN) | (weight < 0) & (source == CONVEX)
    bends = (weight > 0) & (source == CONVEX)
    return np.where(spoils.any(axis=1), UNKNOWN, np.where(bends.any(axis=1), CONVEX, AFFINE))
