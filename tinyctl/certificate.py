"""Certificates: how far an action can move, and how far the emitted code can be from the reference it stands for.

For all observations x and x + d within the contract's box, `|C(x + d) - R(x)| <= lipschitz |d| + error`, where C is the
emitted code, R the reference in real arithmetic, and the norms are Euclidean in the contract's units. The state (memory
and applied action) is the same for both and held fixed. docs/certificate.md says what that does and does not mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.layers.unit_delay import DelayLayer
from tinyctl.network import Network, Node
from tinyctl.pairing import Pairing
from tinyctl.policy import Policy
from tinyctl.reference import Slopes
from tinyctl.safety.guard import Guarded
from tinyctl.spread import Source, Spread, beside, check_layer

SCHEMA = 1


@dataclass(frozen=True)
class CertifiedNode:
    """One node: interval bounds of its value for every observation in the box, stored values included (integers in
    their own steps); the Lipschitz constant of the layer alone and of everything up to here; its own error and the
    error of its value, Euclidean, in the units of its value in the reference."""

    name: str
    kind: str
    format: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    lipschitz: float | None
    slope: float | None
    own_error: float
    error: float


@dataclass(frozen=True)
class Certificate:
    """`reference` is "graph" (its own weights, decoded) or "policy" (the float original). `lipschitz_outputs` and
    `error_outputs` (n_act,) are the same bounds for each output alone. `error_unsaturated` holds where no encode node
    saturates. `lipschitz_found` is the steepest slope that a search found: the true constant lies between."""

    reference: str
    lipschitz: float
    lipschitz_found: float
    lipschitz_outputs: tuple[float, ...]
    error: float
    error_outputs: tuple[float, ...]
    error_unsaturated: float
    nodes: tuple[CertifiedNode, ...]
    contract_hash: str
    graph_hash: str
    policy_hash: str | None

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "norm": "euclidean", **asdict(self)}


def certify(graph: Graph, policy: Policy | None = None, seed: int = 0) -> Certificate:
    """The certificate of a graph. With the policy it was made from, errors count from that policy in real arithmetic,
    the rounding of the weights included; otherwise from the graph's own decoded weights.

    Raises `TinyctlError` for a layer without bounds, for too wide ones, and for a policy that is not the graph's.
    """
    if isinstance(graph, Guarded):
        raise TinyctlError("a guard has no bounds", fix="certify the graph that it was made from")
    for node in graph.nodes:
        check_layer(node.layer, f"node {node.name}")
    reference: Network = graph
    bounds = graph.bounds()
    if policy is None:
        errors = unsaturated = _own_errors(graph)
        slopes = _slopes(graph, bounds, errors)
    else:
        Graph(policy.contract, policy.nodes)  # which refuses one whose bounds are not finite
        reference = policy
        pairing = Pairing(graph, policy, ignore_encodes=False)
        errors, unsaturated = pairing.errors(), Pairing(graph, policy, ignore_encodes=True).errors()
        slopes = _slopes(policy, pairing.real, None)
    (error, columns), (inside, _) = (
        _at_outputs(graph, found[graph.nodes[-1].name][1]) for found in (errors, unsaturated)
    )
    slope = slopes[reference.nodes[-1].name]
    return Certificate(
        reference=reference.kind,
        lipschitz=slope.norm(),
        lipschitz_found=Slopes(reference, seed).ascend()[0],
        lipschitz_outputs=_plain(slope.columns()),
        error=error,
        error_outputs=_plain(columns),
        error_unsaturated=inside,
        nodes=tuple(_row(node, bounds[node.name], slopes.get(node.name), *errors[node.name]) for node in graph.nodes),
        contract_hash=graph.contract.hash,
        graph_hash=graph.hash,
        policy_hash=None if policy is None else policy.hash,
    )


def _at_outputs(graph: Graph, error: Spread) -> tuple[float, Array]:
    """The bound of an error and of its columns; no output is further off than its range is wide."""
    columns = np.minimum(error.columns(), [s.high - s.low for s in graph.contract.outputs])
    return min(error.norm(), float(np.linalg.norm(columns))), columns


def _own_errors(graph: Graph) -> dict[str, tuple[Array, Spread]]:
    """For each node its own error (n_out,) and how far its value is from the one in real arithmetic."""
    found: dict[str, tuple[Array, Spread]] = {}
    for node, low, high in _inputs(graph, graph.bounds()):
        deviation = beside([found[name][1] for name in node.awaits] or [Spread(node.layer.n_in, {})])
        own, apart = node.layer.error(low, high), deviation.columns()
        moved = deviation.through(node.layer, low - apart, high + apart, graph.contract.rate_hz)
        found[node.name] = own, moved.plus(own)
    return found


def _slopes(
    network: Network, bounds: dict[str, tuple[Array, Array]], errors: dict[str, tuple[Array, Spread]] | None
) -> dict[str, Spread]:
    """How far each node's real value moves when the observation moves by 1; `errors` widens the bounds of stored
    values to those of real ones where they differ."""
    contract = network.contract
    entry = np.eye(len(contract.inputs))[:, : contract.n_obs]  # the applied actions stay
    found: dict[str, Spread] = {}
    for node, low, high in _inputs(network, bounds):
        unit = Spread(len(entry), {Source(1.0, np.ones(contract.n_obs)): entry})
        if isinstance(node.layer, DelayLayer):  # of one step: the state stays
            found[node.name] = Spread(node.layer.n_out, {})
            continue
        moved = beside([found[name] for name in node.inputs] or [unit])
        apart = np.zeros(node.layer.n_in)
        if errors is not None and node.inputs:
            apart = np.concatenate([errors[name][1].columns() for name in node.inputs])
        found[node.name] = moved.through(node.layer, low - apart, high + apart, contract.rate_hz)
    return found


def _inputs(network: Network, bounds: dict[str, tuple[Array, Array]]) -> Iterator[tuple[Node, Array, Array]]:
    """Each node with the bounds (n_in,) of what it reads, for observations in the contract's box."""
    inputs = network.contract.inputs
    box = np.array([s.low for s in inputs]), np.array([s.high for s in inputs])
    for node in network.nodes:
        ranges = [bounds[name] for name in node.inputs] or [box]
        yield node, np.concatenate([low for low, _ in ranges]), np.concatenate([high for _, high in ranges])


def _row(node: Node, bounds: tuple[Array, Array], slope: Spread | None, own: Array, error: Spread) -> CertifiedNode:
    alone = node.layer.lipschitz()
    return CertifiedNode(
        name=node.name,
        kind=node.layer.kind,
        format=node.format,
        low=_plain(bounds[0]),
        high=_plain(bounds[1]),
        lipschitz=alone if np.isfinite(alone) else None,
        slope=slope.norm() if slope is not None else None,
        own_error=float(np.linalg.norm(own)),
        error=error.norm(),
    )


def _plain(values: Array) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
