"""Policy to Graph: a number format for every node, scales from calibration, sums proven to fit.

A layer's own file says how it is rewritten (`Layer.twin`); here the nodes are walked, and the doors between formats put
in: encode and decode where float32 begins and ends, requantize between integers of different scale or width. A scale
that stands before an encode is folded into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.formats.base import F32, MULTIPLIER_BITS, Format
from tinyctl.graph import Graph
from tinyctl.layers.base import Array, Layer, Twin
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.dense import ACCUMULATOR_LIMIT, Dense, IntegerDense, count_weights
from tinyctl.layers.scale import Scale
from tinyctl.layers.unit_delay import UnitDelay
from tinyctl.network import Network, Node, free_name
from tinyctl.policy import Policy

if TYPE_CHECKING:  # the latter time with an emulator
    from tinyctl.layer_errors import LayerError
    from tinyctl.mixer import Mix
    from tinyctl.storage import Tried

HEADROOM = {"int8": 1.0, "int16": 4.0}  # how far beyond the calibrated range a value may go before it saturates
ALIKE = {"int8": 4.0, "int16": 16.0}  # outputs whose ranges differ by no more than this have one scale
REACH = 60_000.0  # how far beyond that range it may go at all: encoded to 16 bits, it must fit 32 before it saturates


@dataclass(frozen=True)
class QuantizeReport:
    """What the format costs: RMS and largest action error along the calibration sequences, relative to the policy in
    float32, and (where a plant was given) the closed-loop cost over the policy's. `storage` is what was timed to choose
    how weights are stored, where a board was given, `mixes` to choose the formats. `closed_loop_cost_ratio_untuned` is
    the ratio before fine-tuning (`trainers.qat`), where that was tried. `layers` tells where what is lost."""

    format: str
    weight_bytes: int
    output_rms_error: float
    output_max_error: float
    closed_loop_cost_ratio: float | None
    contract_hash: str
    graph_hash: str
    storage: tuple[Tried, ...] = ()
    mixes: tuple[Mix, ...] = ()
    closed_loop_cost_ratio_untuned: float | None = None
    layers: tuple[LayerError, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}


def quantize(policy: Policy, formats: str | Mapping[str, str], calibration: Array) -> Graph:
    """The graph of a policy. `calibration` is (steps, sequences, n_obs) float32: typical observations in the order in
    which they occur, so that the stateful layers see what they will see. Raises `TinyctlError`.

    With one format the integers begin at the first dense layers, and end where a layer has no integer form. A mapping
    gives the format of the nodes it names, and integers begin at those; every other node follows its first input, and
    the first ones are float32. A node that is named must have a form in its format.
    """
    return quantize_in_steps(policy, formats, calibration)[0]


def quantize_in_steps(
    policy: Policy, formats: str | Mapping[str, str], calibration: Array
) -> tuple[Graph, dict[str, Value], dict[tuple[str, str], Value]]:
    """The same, with what stands for the value of each policy node, and for that of each (reader, source) the form in
    which the graph's node of the reader's name takes it."""
    chosen, named = _choose(policy, formats), set() if isinstance(formats, str) else set(formats)
    exact = Graph(policy.contract, policy.nodes)
    if not any(f.integer for f in chosen.values()):
        return exact, {}, {}
    rewriter = _Rewriter(policy, chosen, named, _Ranges.of(policy, calibration))
    return Graph(policy.contract, rewriter.nodes()), rewriter.values, rewriter.taken


def everywhere(policy: Policy, format_name: str) -> dict[str, str]:
    """One format for every node between the screen and the last clip: no float arithmetic is left between them."""
    return {node.name: format_name for node in policy.nodes[1:-1]}


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


def _choose(policy: Policy, formats: str | Mapping[str, str]) -> dict[str, Format]:
    """The format of every node."""
    if isinstance(formats, str):
        return {node.name: find_format(formats) for node in policy.nodes}
    unknown = sorted(set(formats) - {node.name for node in policy.nodes})
    if unknown:
        raise TinyctlError(f"there is no node {unknown[0]!r:.70} to give a format")
    chosen: dict[str, Format] = {}
    for node in policy.nodes:
        follows = chosen[node.awaits[0]] if node.awaits else find_format("f32")
        chosen[node.name] = find_format(formats[node.name]) if node.name in formats else follows
    for node in policy.nodes:  # a loop has one format
        if isinstance(node.layer, UnitDelay) and node.name not in formats:
            chosen[node.name] = chosen[node.inputs[0]]
    return chosen


@dataclass(frozen=True)
class _Ranges:
    """The largest magnitudes (columns,) of each node's value: what calibration saw, and what interval bounds prove."""

    seen: dict[str, Array]
    proven: dict[str, Array]

    @staticmethod
    def of(policy: Policy, calibration: Array) -> _Ranges:
        seen = {node.name: np.zeros(node.layer.n_out) for node in policy.nodes}
        state = policy.init(calibration.shape[1])
        for obs in calibration:
            values, state = policy.trace(obs, state)
            for name, value in values.items():
                np.maximum(seen[name], np.abs(value).max(axis=0), out=seen[name])
        proven = {name: np.maximum(np.abs(low), np.abs(high)) for name, (low, high) in policy.bounds().items()}
        return _Ranges(seen, proven)

    def scale(self, name: str, activation: str) -> Array:
        """One step of each column: for what was seen times the headroom, not beyond what is proven."""
        reach = np.minimum(HEADROOM[activation] * self.seen[name], self.proven[name])
        return np.maximum(reach, 1e-9) / np.iinfo(activation).max

    def encoded_scale(self, name: str, activation: str) -> Array:
        """The same for a float32 value, not so fine (of a column that stayed at zero) that `REACH` would be passed."""
        return np.maximum(self.scale(name, activation), self.proven[name] / REACH / np.iinfo(activation).max)


@dataclass(frozen=True)
class Value:
    """A rewritten node's value: its name, its stored type, and for integers the real value (columns,) of one step."""

    name: str
    type: str = "float32"
    scale: Array | None = None


class _Rewriter:
    """Walks a policy's nodes and writes the graph's.

    `values` maps each policy node to what stands for it, `doors` keeps the other forms of it that were asked for,
    `taken` says in which integers a reader took it.
    """

    def __init__(self, policy: Policy, formats: dict[str, Format], named: set[str], ranges: _Ranges) -> None:
        self.policy, self.formats, self.named, self.ranges = policy, formats, named, ranges
        self.made: list[Node] = []
        self.values: dict[str, Value] = {}
        self.doors: dict[tuple[str, str, bytes], Value] = {}
        self.taken: dict[tuple[str, str], Value] = {}

    def nodes(self) -> tuple[Node, ...]:
        for node in self.policy.nodes:
            value = self._integer_node(node) if self.formats[node.name].integer else None
            if value is None:  # no integer form here
                source = tuple(self._real(name).name for name in node.awaits) or node.inputs
                value = self._add(Node(node.name, node.layer, source))
            self.values[node.name] = value
        self._close_loops()
        return self._without_unread()

    def _close_loops(self) -> None:
        """Let each delay keep its input in the form in which it is recalled, converted right behind the input."""
        for node in self.policy.nodes:
            if isinstance(node.layer, UnitDelay):
                (name,), value, before = node.inputs, self.values[node.name], len(self.made)
                form = self.formats[node.name]
                kept = self._real(name) if value.scale is None else self._scaled(name, form, value.scale)
                doors, self.made = self.made[before:], self.made[:before]
                behind = [n.name for n in self.made].index(self.values[name].name) + 1
                self.made[behind:behind] = doors
                at = [n.name for n in self.made].index(node.name)
                self.made[at] = replace(self.made[at], inputs=(kept.name,))

    def _add(self, node: Node, activation: str = "float32", scale: Array | None = None) -> Value:
        self.made.append(node)
        return Value(node.name, activation, scale)

    def _integer_node(self, node: Node) -> Value | None:
        """The node in its integer format, or None where it has to be float32."""
        chosen = self.formats[node.name]
        begins = isinstance(node.layer, Dense | UnitDelay) or node.name in self.named
        if not begins and not any(self.values[name].scale is not None for name in node.inputs):
            return None
        if isinstance(node.layer, UnitDelay) and node.inputs == (self.policy.nodes[-1].name,):
            return None  # what comes after the last node is float32
        sources = [self._integer(name, node, chosen) for name in node.awaits]
        twin = None
        if node is not self.policy.nodes[-1]:  # the last word on the action is in the contract's own numbers
            twin = self._twin(node, chosen, tuple(source.scale for source in sources if source.scale is not None))
        if twin is None:
            if node.name in self.named:
                raise TinyctlError(
                    f"a {node.layer.kind} has no integer form in {chosen.name}",
                    where=f"node {node.name}",
                    fix="leave it out, or name f32",
                )
            return None
        if twin.layer is None:
            return Value(sources[0].name, chosen.activation, twin.scale)
        self.taken |= {(node.name, name): source for name, source in zip(node.awaits, sources, strict=True)}
        made = Node(node.name, twin.layer, tuple(source.name for source in sources) or node.inputs, chosen.name)
        return self._add(made, chosen.activation, twin.scale)

    def _twin(self, node: Node, chosen: Format, scales: tuple[Array, ...]) -> Twin | None:
        out = self.ranges.scale(node.name, chosen.activation)
        if isinstance(node.layer, Dense):  # a multiplier stays below one half, also where calibration saw zeros alone
            out = np.maximum(out, 2.001 * row_units(node.layer, scales[0], chosen))
        readers = [n for n in self.policy.nodes if node.name in n.inputs]
        # A common scale is safer where a column may grow, and decodes faster; but outputs have units of their own.
        if readers != [self.policy.nodes[-1]] or out.max() <= ALIKE[chosen.activation] * out.min():
            out = np.full(node.layer.n_out, out.max())
        for reader in readers:  # a loop that is closed in the form in which it began needs no requantize
            began = self.values.get(reader.name)
            closes = isinstance(reader.layer, UnitDelay) and not isinstance(node.layer, Dense)
            if closes and began is not None and began.type == chosen.activation and began.scale is not None:
                out = began.scale
        wishes = [
            reader.layer.takes(chosen.activation, out)
            for reader in readers
            if self.formats[reader.name].activation == chosen.activation
        ]
        if wishes and all((wish == wishes[0]).all() for wish in wishes):
            out = wishes[0]
        if isinstance(node.layer, Dense):
            return Twin(integer_dense(node.layer, scales[0], out, chosen), out)
        return node.layer.twin(chosen, scales, out, self.policy.contract.rate_hz)

    def _real(self, name: str) -> Value:
        """The value of a policy node as float32."""
        value = self.values[name]
        if value.scale is None:
            return value
        return self._door(name, "decode", value, Decode(value.scale.astype(F32)), self.formats[name])

    def _integer(self, name: str, reader: Node, chosen: Format) -> Value:
        """The value of a policy node in the integers that `reader` takes."""
        value = self._of_type(name, chosen)
        assert value.scale is not None
        return self._scaled(name, chosen, reader.layer.takes(chosen.activation, value.scale))

    def _scaled(self, name: str, chosen: Format, wanted: Array) -> Value:
        """The value of a policy node in integers of this scale."""
        value = self._of_type(name, chosen)
        assert value.scale is not None
        if (wanted == value.scale).all():
            return value
        layer = Requantize.of(value.type, value.type, value.scale / wanted)
        return self._door(name, "requantize", value, layer, chosen, wanted)

    def _of_type(self, name: str, chosen: Format) -> Value:
        """The value of a policy node in the activation type of a format; a column that has to be converted is spread
        over its own range."""
        value = self.values[name]
        if value.type == chosen.activation:
            return value
        if value.scale is not None:
            exact = value.scale / 2**8
            scale = exact if chosen.activation == "int16" else self.ranges.scale(name, chosen.activation)
            layer = Requantize.of(value.type, chosen.activation, value.scale / scale)
            return self._door(name, "requantize", value, layer, chosen, scale)
        scale = self.ranges.encoded_scale(name, chosen.activation)
        gain, offset, source = 1 / scale, np.zeros(len(scale)), value
        producer = next(n for n in self.made if n.name == value.name)
        if isinstance(producer.layer, Scale):
            gain, offset = gain * producer.layer.gain, gain * producer.layer.offset
            source = Value(producer.inputs[0])
        encode = Encode(chosen.activation, gain.astype(F32), offset.astype(F32))
        return self._door(name, "encode", source, encode, chosen, scale)

    def _door(
        self, name: str, verb: str, source: Value, layer: Layer, chosen: Format, scale: Array | None = None
    ) -> Value:
        """The node that converts the value of policy node `name`, made once for each scale."""
        activation = layer.returns(chosen.activation)
        key = (name, activation, b"" if scale is None else scale.tobytes())
        if key not in self.doors:
            made = Node(free_name((*self.policy.nodes, *self.made), name, verb), layer, (source.name,), chosen.name)
            self.doors[key] = self._add(made, activation, scale)
        return self.doors[key]

    def _without_unread(self) -> tuple[Node, ...]:
        """Drop doors that nobody reads in the end, and the scales that were folded into an encode."""
        nodes = self.made
        while True:
            read = {name for node in nodes for name in node.inputs} | {nodes[-1].name}
            kept = [n for n in nodes if n.name in read or not isinstance(n.layer, Scale | Encode | Decode | Requantize)]
            if len(kept) == len(nodes):
                return tuple(kept)
            nodes = kept


def row_units(layer: Dense, in_scale: Array, chosen: Format) -> Array:
    """(n_out,): the finest real value of one step of each row's sum with which its weights fit the weight type and its
    sums, for any input, 32 bits. `in_scale` (n_in,) is the real value of one integer step of the inputs."""
    weight = np.abs(layer.weight.astype(np.float64) * in_scale)
    most = -float(np.iinfo(chosen.activation).min)
    reach = weight.sum(axis=1) * most + np.abs(layer.bias.astype(np.float64))
    spare = ACCUMULATOR_LIMIT - (layer.n_in * most / 2 + 1)  # every weight may be rounded up by half a step
    return np.maximum(np.maximum(weight.max(axis=1) / chosen.weight_limit, reach / spare), 1e-30)


def integer_dense(layer: Dense, in_scale: Array, out_scale: float | Array, chosen: Format) -> IntegerDense:
    """Encode a dense layer: `in_scale` (n_in,) and `out_scale` (n_out,) or one are the values of an integer step."""
    unit = row_units(layer, in_scale, chosen)
    multiplier = np.floor(unit / out_scale * 2.0**MULTIPLIER_BITS + 0.5)
    if (multiplier > ACCUMULATOR_LIMIT).any():
        raise TinyctlError(f"row {int(multiplier.argmax())} is too large for its output's range", where="dense")
    weight = layer.weight.astype(np.float64) * in_scale
    return IntegerDense(
        chosen.activation,
        np.floor(weight / unit[:, None] + 0.5).astype(chosen.weight),
        np.floor(layer.bias.astype(np.float64) / unit + 0.5).astype(np.int32),
        multiplier.astype(np.int32),
        layer.storage,
    )
