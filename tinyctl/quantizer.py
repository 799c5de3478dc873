"""Policy to Graph: a number format for every node, scales from calibration, sums proven to fit.

Nodes that have an integer form (dense, relu, tanh after dense) run in the chosen format; all others stay float32, with
encode and decode nodes between. A scale that stands before an encode is folded into it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.formats.base import F32, MULTIPLIER_BITS, Format
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.dense import ACCUMULATOR_LIMIT, Dense, IntegerDense, count_weights
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.tanh import ByteTanh, IntegerTanh, Tanh
from tinyctl.network import Network, Node
from tinyctl.policy import Policy

if TYPE_CHECKING:  # it times with an emulator
    from tinyctl.storage import Tried

HEADROOM = {"int8": 1.0, "int16": 4.0}  # how far beyond the calibrated range a value may go before it saturates
TANH: dict[str, type[IntegerTanh] | type[ByteTanh]] = {"int8": ByteTanh, "int16": IntegerTanh}
REACH = 60_000.0  # how far beyond that range it may go at all: encoded to 16 bits, it must fit 32 before it saturates


@dataclass(frozen=True)
class QuantizeReport:
    """What the format costs: RMS and largest action error along the calibration sequences, relative to the policy in
    float32, and (where a plant was given) the closed-loop cost over the policy's. `storage` is what was timed to choose
    how weights are stored, where a board was given."""

    format: str
    weight_bytes: int
    output_rms_error: float
    output_max_error: float
    closed_loop_cost_ratio: float | None
    contract_hash: str
    graph_hash: str
    storage: tuple[Tried, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}


def quantize(policy: Policy, format_name: str, calibration: Array) -> Graph:
    """The graph of a policy in one format. `calibration` is (steps, sequences, n_obs) float32: typical observations in
    the order in which they occur, so that the stateful layers see what they will see. Raises `TinyctlError`."""
    chosen, exact = find_format(format_name), Graph(policy.contract, policy.nodes)
    if not chosen.integer:
        return exact
    return Graph(
        policy.contract, _Rewriter(policy, chosen, _ranges(policy, calibration, HEADROOM[chosen.activation])).nodes()
    )


def measure(policy: Policy, graph: Graph, calibration: Array) -> tuple[float, float]:
    """RMS and largest difference of the actions along the sequences, each controller with its own state."""
    reference, states, errors = Graph(policy.contract, policy.nodes), [], []
    networks: tuple[Network, Network] = (reference, graph)
    states = [network.init(calibration.shape[1]) for network in networks]
    for obs in calibration:
        actions = []
        for k, network in enumerate(networks):
            action, states[k] = network.run(obs, states[k])
            actions.append(action.astype(np.float64))
        errors.append(actions[1] - actions[0])
    difference = np.array(errors)
    return float(np.sqrt(np.mean(difference**2))), float(np.abs(difference).max())


def weight_bytes(graph: Graph) -> int:
    """Bytes of weights, without the zeros that are not stored, and biases."""
    dense = [n.layer for n in graph.nodes if isinstance(n.layer, Dense | IntegerDense)]
    return sum(count_weights(layer) * layer.weight.itemsize + layer.bias.nbytes for layer in dense)


def random_sequences(contract: Contract, low: float | None, high: float | None, seed: int = 0) -> Array:
    """(steps, sequences, n_obs): uniform within [low, high], or standard normal where no range is given; clamped to the
    contract's ranges."""
    rng = np.random.default_rng(seed)
    shape = (64, 64, contract.n_obs)
    drawn = rng.standard_normal(shape) if low is None or high is None else rng.uniform(low, high, shape)
    inputs = contract.inputs[: contract.n_obs]
    limits = np.array([[s.low, s.high] for s in inputs])
    return np.clip(drawn, limits[:, 0], limits[:, 1]).astype(F32)


def as_sequences(data: Array, contract: Contract, where: object) -> Array:
    """A calibration array as (steps, sequences, n_obs) float32; two dimensions are one sequence of rows."""
    if data.dtype.kind not in "fiu" or data.ndim not in (2, 3) or data.shape[-1] != contract.n_obs or not data.size:
        raise TinyctlError(
            f"holds {data.dtype} of shape {data.shape}, not (steps, {contract.n_obs}) or "
            f"(steps, sequences, {contract.n_obs}) numbers",
            where=where,
        )
    with np.errstate(over="ignore"):
        sequences = data.reshape(len(data), -1, contract.n_obs).astype(F32)
    if not np.isfinite(sequences).all():
        raise TinyctlError("holds values that are not finite in float32", where=where)
    return sequences


def _ranges(policy: Policy, calibration: Array, headroom: float) -> dict[str, Array]:
    """The largest magnitude (columns,) to represent of each node's value: what calibration saw times the headroom, not
    beyond what interval bounds prove, and not so little (a column that stayed at zero) that `REACH` would be passed."""
    seen = {node.name: np.zeros(node.layer.n_out) for node in policy.nodes}
    state = policy.init(calibration.shape[1])
    for obs in calibration:
        values, state = policy.trace(obs, state)
        for name, value in values.items():
            np.maximum(seen[name], np.abs(value).max(axis=0), out=seen[name])
    proven = {name: np.maximum(np.abs(low), np.abs(high)) for name, (low, high) in policy.bounds().items()}
    return {name: np.clip(headroom * seen[name], proven[name] / REACH, proven[name]) for name in seen}


@dataclass(frozen=True)
class _Value:
    """A rewritten node's value: its name, and for integers the real value (columns,) of one step."""

    name: str
    scale: Array | None = None


class _Rewriter:
    """Walks a policy's nodes and writes the graph's. `values` maps each policy node to what stands for it."""

    def __init__(self, policy: Policy, chosen: Format, ranges: dict[str, Array]) -> None:
        self.policy, self.format, self.ranges = policy, chosen, ranges
        self.made: list[Node] = []
        self.values: dict[str, _Value] = {}
        self.encoded: dict[str, _Value] = {}

    def nodes(self) -> tuple[Node, ...]:
        rules: dict[type, Callable[[Node], _Value | None]] = {Dense: self._dense, Relu: self._relu, Tanh: self._tanh}
        for node in self.policy.nodes:
            rule = rules.get(type(node.layer))
            value = rule(node) if rule else None
            if value is None:  # no integer form here: float32
                source = tuple(self._real(name).name for name in node.inputs)
                value = self._add(Node(node.name, node.layer, source))
            self.values[node.name] = value
        return self._without_unread()

    def _add(self, node: Node, scale: Array | None = None) -> _Value:
        self.made.append(node)
        return _Value(node.name, scale)

    def _real(self, name: str) -> _Value:
        """The value of a policy node as float32, decoded once if need be."""
        value = self.values[name]
        if value.scale is None:
            return value
        scales = np.unique(value.scale)
        if len(scales) > 1:
            raise TinyctlError("columns of different scales cannot be decoded", where=f"node {name}")
        decode = Decode(len(value.scale), float(scales[0]))
        self.values[name] = self._add(Node(self._free(name, "decode"), decode, (value.name,), self.format.name))
        return self.values[name]

    def _integer(self, name: str) -> _Value:
        """The value of a policy node as integers; a float32 one is encoded, each column over its own range."""
        value = self.values[name]
        if value.scale is not None:
            return value
        if name in self.encoded:
            return self.encoded[name]
        limit = np.iinfo(self.format.activation).max
        scale = np.maximum(self.ranges[name], 1e-9) / limit
        gain, offset, source = 1 / scale, np.zeros(len(scale)), value.name
        producer = next(n for n in self.made if n.name == value.name)
        if isinstance(producer.layer, Scale):
            gain, offset = gain * producer.layer.gain, gain * producer.layer.offset
            source = producer.inputs[0]
        encode = Encode(self.format.activation, gain.astype(F32), offset.astype(F32))
        self.encoded[name] = self._add(Node(self._free(name, "encode"), encode, (source,), self.format.name), scale)
        return self.encoded[name]

    def _dense(self, node: Node) -> _Value:
        assert isinstance(node.layer, Dense)
        source = self._integer(node.inputs[0])
        assert source.scale is not None
        readers = [n.layer for n in self.policy.nodes if node.name in n.inputs]
        if readers and all(isinstance(layer, Tanh) for layer in readers):
            out_scale = TANH[
                self.format.activation
            ].input_scale  # what the tanh table takes; its saturation is where tanh is 1
        else:
            out_scale = max(float(self.ranges[node.name].max()), 1e-9) / np.iinfo(self.format.activation).max
        layer = integer_dense(node.layer, source.scale, out_scale, self.format)
        return self._add(Node(node.name, layer, (source.name,), self.format.name), np.full(node.layer.n_out, out_scale))

    def _relu(self, node: Node) -> _Value | None:
        source = self.values[node.inputs[0]]
        if source.scale is None:
            return None
        return self._add(Node(node.name, node.layer, (source.name,), self.format.name), source.scale)

    def _tanh(self, node: Node) -> _Value | None:
        source = self.values[node.inputs[0]]
        if source.scale is None or not (source.scale == TANH[self.format.activation].input_scale).all():
            return None
        tanh = TANH[self.format.activation]
        made = Node(node.name, tanh(node.layer.n_in), (source.name,), self.format.name)
        return self._add(made, np.full(node.layer.n_in, tanh.output_scale))

    def _free(self, name: str, verb: str) -> str:
        """A name for the node that encodes or decodes `name`; it stays a C identifier of legal length."""
        taken = {n.name for n in self.policy.nodes} | {n.name for n in self.made}
        stem = f"{name[:40].rstrip('_')}_{verb}"
        return next(n for n in (stem, *(f"{stem}{k}" for k in range(2, 600))) if n not in taken)

    def _without_unread(self) -> tuple[Node, ...]:
        """Drop the scales that were folded into an encode and that nothing else reads."""
        read = {name for node in self.made for name in node.inputs}
        last = self.made[-1].name
        return tuple(n for n in self.made if n.name in read or n.name == last or not isinstance(n.layer, Scale))


def integer_dense(layer: Dense, in_scale: Array, out_scale: float, chosen: Format) -> IntegerDense:
    """Encode a dense layer: `in_scale` (n_in,) and `out_scale` are the real values of one integer step.

    Each row gets the finest unit with which its weights fit the weight type and its sums, for any input, 32 bits.
    """
    weight = layer.weight.astype(np.float64) * in_scale
    bias = layer.bias.astype(np.float64)
    most = -float(np.iinfo(chosen.activation).min)
    reach = np.abs(weight).sum(axis=1) * most + np.abs(bias)
    spare = ACCUMULATOR_LIMIT - (layer.n_in * most / 2 + 1)  # every weight may be rounded up by half a step
    unit = np.maximum(np.abs(weight).max(axis=1) / chosen.weight_limit, reach / spare)
    unit = np.maximum(unit, 1e-30)
    multiplier = np.floor(unit / out_scale * 2.0**MULTIPLIER_BITS + 0.5)
    if (multiplier > ACCUMULATOR_LIMIT).any():
        raise TinyctlError(f"row {int(multiplier.argmax())} is too large for its output's range", where="dense")
    return IntegerDense(
        chosen.activation,
        np.floor(weight / unit[:, None] + 0.5).astype(chosen.weight),
        np.floor(bias / unit + 0.5).astype(np.int32),
        multiplier.astype(np.int32),
        layer.storage,
    )
