"""Passes that make a policy smaller and leave what it computes, but for the rounding of float32.

A *hidden layer* is a dense node, the elementwise nodes behind it, and the dense nodes that alone read the result: its
neurons can be taken out. Dead ones have a value that never changes over the contract's box (by interval bounds, or
because nothing goes in), which the readers' biases take over, or a value that nobody weighs. A neuron whose ReLU is
always on is a line: with enough of them, what they compute is one dense layer past them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.elu import Elu
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.leaky_relu import LeakyRelu
from tinyctl.layers.relu import Relu
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.softsign import Softsign
from tinyctl.layers.tanh import Tanh
from tinyctl.network import Node, free_name, needed_for
from tinyctl.policy import Policy

LINEAR_ABOVE_ZERO = (Relu, LeakyRelu, Elu)
ELEMENTWISE = (*LINEAR_ABOVE_ZERO, Tanh, FastTanh, Sigmoid, Softsign)


@dataclass(frozen=True)
class Hidden:
    """A hidden layer: `bends` are its elementwise nodes in order, there may be none."""

    dense: Node
    bends: tuple[Node, ...]
    readers: tuple[Node, ...]

    @property
    def last(self) -> str:
        """The node that has the neurons' values."""
        return (self.bends or (self.dense,))[-1].name


def simplify(policy: Policy) -> Policy:
    """Without dead neurons and nodes that nobody reads, and with lines folded where that saves products."""
    before = None
    while before is not policy:
        before = policy
        policy = without_lines(without_dead(without_unread(policy)))
    return policy


def hidden_layers(policy: Policy) -> list[Hidden]:
    """In order."""
    readers: dict[str, list[Node]] = {node.name: [] for node in policy.nodes}
    for node in policy.nodes:
        for name in node.inputs:
            readers[name].append(node)
    found = []
    for node in policy.nodes:
        if not isinstance(node.layer, Dense):
            continue
        bends: list[Node] = []
        following = readers[node.name]
        while len(following) == 1 and isinstance(following[0].layer, ELEMENTWISE):
            bends += following
            following = readers[bends[-1].name]
        if following and all(isinstance(reader.layer, Dense) for reader in following):
            found.append(Hidden(node, tuple(bends), tuple(following)))
    return found


def keep_neurons(policy: Policy, hidden: Hidden, kept: Array, values: Array) -> Policy:
    """The policy with the neurons of a hidden layer that `kept` (n,) bool names. The others are taken to have the
    constant `values` (n,)."""
    return edit(policy, _kept_layers(hidden, kept, values))


def without_dead(policy: Policy) -> Policy:
    """Without neurons whose value is constant or not weighed; a hidden layer keeps at least one neuron."""
    bounds = policy.bounds()
    for hidden in hidden_layers(policy):
        dense = weights(hidden.dense)
        silent = ~dense.weight.any(axis=1)
        value = dense.bias[None]
        for bend in hidden.bends:
            value = bend.layer.run(value)
        low, high = bounds[hidden.last]
        values = np.where(silent, value[0], low)
        ignored = ~np.any([weights(reader).weight.any(axis=0) for reader in hidden.readers], axis=0)
        kept = ~(silent | (low == high) | ignored)
        kept[:1] |= not kept.any()
        if not kept.all():
            return without_dead(keep_neurons(policy, hidden, kept, values))
    return policy


def without_lines(policy: Policy) -> Policy:
    """With the neurons that are always on replaced by one dense layer past them, where that takes fewer products. A
    layer of nothing but such neurons loses its activation in any case."""
    bounds = policy.bounds()
    for hidden in hidden_layers(policy):
        if len(hidden.readers) > 1 or not all(isinstance(b.layer, LINEAR_ABOVE_ZERO) for b in hidden.bends):
            continue
        lines = (bounds[hidden.dense.name][0] >= 0) | (not hidden.bends)
        folded = fold(policy, hidden, lines) if lines.any() else policy
        if products(folded) < products(policy):
            return without_lines(folded)
        if lines.all() and hidden.bends:
            return without_lines(without_unread(edit(policy, inputs={hidden.readers[0].name: (hidden.dense.name,)})))
    return policy


def fold(policy: Policy, hidden: Hidden, lines: Array) -> Policy:
    """The reader gets `W2[:, lines] W1[lines]` beside the weights of the neurons that bend, and reads the layer's own
    input beside their values."""
    (reader,) = hidden.readers
    first, second = weights(hidden.dense), weights(reader)
    part = second.weight[:, lines].astype(np.float64)
    past = (part @ first.weight[lines].astype(np.float64)).astype(F32)
    bias = (second.bias + part @ first.bias[lines].astype(np.float64)).astype(F32)
    if lines.all():
        merged = Dense(past, bias)
        return without_unread(edit(policy, {reader.name: merged}, {reader.name: hidden.dense.inputs}))
    layers = _kept_layers(hidden, ~lines, np.zeros(len(lines)))
    beside = np.concatenate([second.weight[:, ~lines], past], axis=1)
    layers[reader.name] = Dense(beside, bias)
    join = Node(
        free_name(policy.nodes, hidden.last, "beside"),
        Concat((int((~lines).sum()), first.n_in)),
        (hidden.last, *hidden.dense.inputs),
    )
    return edit(policy, layers, {reader.name: (join.name,)}, {reader.name: join})


def _kept_layers(hidden: Hidden, kept: Array, values: Array) -> dict[str, Layer]:
    width = int(kept.sum())
    layers: dict[str, Layer] = {bend.name: replace(bend.layer, width=width) for bend in hidden.bends}  # type: ignore[call-arg]
    dense = weights(hidden.dense)
    layers[hidden.dense.name] = replace(dense, weight=dense.weight[kept], bias=dense.bias[kept])
    for reader in hidden.readers:
        layer = weights(reader)
        gone = layer.weight[:, ~kept].astype(np.float64) @ values[~kept].astype(np.float64)
        layers[reader.name] = replace(layer, weight=layer.weight[:, kept], bias=(layer.bias + gone).astype(F32))
    return layers


def without_unread(policy: Policy) -> Policy:
    """Without nodes whose value reaches no output."""
    needed = needed_for(policy.nodes, policy.nodes[-1].name) | {policy.nodes[0].name}
    if len(needed) == len(policy.nodes):
        return policy
    return Policy(policy.contract, tuple(node for node in policy.nodes if node.name in needed))


def edit(
    policy: Policy,
    layers: Mapping[str, Layer] = MappingProxyType({}),
    inputs: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ahead: Mapping[str, Node] = MappingProxyType({}),
) -> Policy:
    """The policy with other layers and inputs for the nodes that are named, and new nodes ahead of some."""
    nodes: list[Node] = []
    for node in policy.nodes:
        nodes += [ahead[node.name]] if node.name in ahead else []
        layer, reads = layers.get(node.name, node.layer), inputs.get(node.name, node.inputs)
        nodes.append(replace(node, layer=layer, inputs=reads))
    return Policy(policy.contract, tuple(nodes))


def products(policy: Policy) -> int:
    """Multiply-accumulates of a step with weights that are not zero."""
    return sum(int(np.count_nonzero(n.layer.weight)) for n in policy.nodes if isinstance(n.layer, Dense))


def weights(node: Node) -> Dense:
    """The layer of a dense node."""
    assert isinstance(node.layer, Dense)
    return node.layer
