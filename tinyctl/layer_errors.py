"""Where a format loses what: the error of each node's value along the calibration, each network with its own state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.network import Network
from tinyctl.policy import Policy

STEPS = 64  # of the calibration, evenly spaced, whose values are kept


@dataclass(frozen=True)
class LayerError:
    """A node that graph and policy share: the RMS of the policy's value about its mean, over all columns, and that of
    the difference of the graph's value."""

    name: str
    kind: str
    format: str
    rms: float
    error: float


def layer_errors(policy: Policy, graph: Graph, calibration: Array) -> tuple[LayerError, ...]:
    """In the order of execution, from the observations `calibration` (steps, sequences, n_obs).

    A stored integer stands for a real value up to a scale and an offset by column. As in `pairing` these are the
    nearest in least squares, so that no record of the quantizer is needed.
    """
    kept = set(np.linspace(0, len(calibration) - 1, STEPS).astype(int).tolist())
    reals, storeds = (_values(n, calibration, kept) for n in (Graph(policy.contract, policy.nodes), graph))
    found = []
    for node in graph.nodes:
        real, stored = reals.get(node.name), storeds[node.name]
        if real is None or real.shape != stored.shape:
            continue  # an encoding in between, or other columns than in the policy
        if node.returns != "float32":
            stored = _nearest(stored, real)
        rms, error = (float(np.sqrt(np.mean(part * part))) for part in (real - real.mean(axis=0), stored - real))
        found.append(LayerError(node.name, node.layer.kind, node.format, rms, error))
    return tuple(found)


def _nearest(stored: Array, real: Array) -> Array:
    """The scale and offset, by column, of `stored` that come nearest to `real`, applied to it."""
    q, r = stored - stored.mean(axis=0), real - real.mean(axis=0)
    square = (q * q).sum(axis=0)
    scale = np.divide((q * r).sum(axis=0), square, out=np.zeros_like(square), where=square > 0)
    nearest: Array = q * scale + real.mean(axis=0)
    return nearest


def _values(network: Network, calibration: Array, kept: set[int]) -> dict[str, Array]:
    """The value of each node (rows, columns) float64 in the kept steps of all sequences."""
    state, rows = network.init(calibration.shape[1]), []
    for k, obs in enumerate(calibration):
        values, state = network.trace(obs, state)
        if k in kept:
            rows.append({name: value.astype(np.float64) for name, value in values.items()})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
