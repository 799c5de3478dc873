"""Gates: each neuron of a hidden ReLU layer keeps its ReLU, loses it and becomes a line, or is off.

Off neurons leave. Lines are multiplied out past the neurons that bend, `W2[:, I] W1[I]`, where that takes fewer
products; else they become a dense node of their own beside the others, without activation. No new layer is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array, Layer
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.network import Node, free_name
from tinyctl.policy import Policy
from tinyctl.simplify import Hidden, edit, fold, hidden_layers, keep_neurons, products, weights, without_unread

RELU, LINE, OFF = range(3)
Gates = Mapping[str, Array]  # name of a hidden layer's dense node -> (neurons,) of RELU, LINE, OFF


@dataclass(frozen=True)
class SparsifyReport:
    """What the gates did. Products are the multiplications by weights that are not zero; of the neurons that are no
    ReLU any more `lines` became lines and `off` left. Costs are a policy's mean closed-loop cost a control period, the
    RMSE is that of a model's predictions (`trainers.dynamics.rmse`); `cycles` are a policy's of a step on a board,
    caches warm, where they were the budget. What is not asked for is None."""

    relus_before: int
    relus_after: int
    lines: int
    off: int
    products_before: int
    products_after: int
    contract_hash: str
    graph_hash: str
    cost_before: float | None = None
    cost_after: float | None = None
    rmse_before: float | None = None
    rmse_after: float | None = None
    cycles_before: int | None = None
    cycles_after: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}


def relu_layers(policy: Policy) -> list[Hidden]:
    """The hidden layers whose one activation is a ReLU, in order."""
    return [h for h in hidden_layers(policy) if len(h.bends) == 1 and isinstance(h.bends[0].layer, Relu)]


def relus(policy: Policy) -> int:
    """Neurons with a ReLU, in whichever layer."""
    return sum(node.layer.n_out for node in policy.nodes if isinstance(node.layer, Relu))


def chosen(logits: Mapping[str, Array], keep: int) -> dict[str, Array]:
    """The gates that logits (neurons, 3) of each layer ask for, with exactly `keep` ReLUs in all: those whose logit is
    furthest above the neuron's others; of equal ones the first. Where a whole layer would be off, its neuron that is
    nearest to it becomes a line."""
    margin = np.concatenate([a[:, RELU] - a[:, [LINE, OFF]].max(axis=1) for a in logits.values()])
    if not 0 <= keep <= len(margin):
        raise TinyctlError(f"{keep} of {len(margin)} ReLUs cannot be kept")
    kept = np.zeros(len(margin), np.bool_)
    kept[np.argsort(-margin, kind="stable")[:keep]] = True
    gates, done = {}, 0
    for name, a in logits.items():
        gates[name] = np.where(kept[done : done + len(a)], RELU, LINE + a[:, [LINE, OFF]].argmax(axis=1))
        done += len(a)
        if (gates[name] == OFF).all():
            gates[name][(a[:, LINE] - a[:, OFF]).argmax()] = LINE
    return gates


def gated(policy: Policy, gates: Gates) -> Policy:
    """The policy with its gates set, to the rounding of float32. No layer may be off as a whole."""
    for name, gate in gates.items():
        if (gate == OFF).any():
            policy = keep_neurons(policy, _layer(policy, name), gate != OFF, np.zeros(len(gate)))
        lines = gate[gate != OFF] == LINE
        if lines.any():
            policy = _with_lines(policy, _layer(policy, name), lines)
    return policy


def report(before: Policy, after: Policy, gates: Gates, **measured: float) -> SparsifyReport:
    """The record of it; `measured` are its last fields."""
    ways = np.concatenate([*gates.values()])
    lines, off = (int((ways == way).sum()) for way in (LINE, OFF))
    counts = relus(before), relus(after), lines, off, products(before), products(after)
    return SparsifyReport(*counts, after.contract.hash, after.hash, **measured)  # type: ignore[arg-type]


def _layer(policy: Policy, name: str) -> Hidden:
    return next(hidden for hidden in relu_layers(policy) if hidden.dense.name == name)


def _with_lines(policy: Policy, hidden: Hidden, lines: Array) -> Policy:
    beside = _beside(policy, hidden, lines)
    if len(hidden.readers) > 1:
        return beside
    folded = fold(policy, hidden, lines)
    return folded if products(folded) < products(beside) else beside


def _beside(policy: Policy, hidden: Hidden, lines: Array) -> Policy:
    """The lines in a dense node without activation, joined to the neurons that bend."""
    if lines.all():
        return without_unread(edit(policy, inputs={r.name: (hidden.dense.name,) for r in hidden.readers}))
    dense, (bend,) = weights(hidden.dense), hidden.bends
    bent = int((~lines).sum())
    straight = Node(
        free_name(policy.nodes, hidden.dense.name, "lines"),
        Dense(dense.weight[lines], dense.bias[lines]),
        hidden.dense.inputs,
    )
    join = Node(
        free_name(policy.nodes, hidden.last, "beside"), Concat((bent, len(lines) - bent)), (bend.name, straight.name)
    )
    order = np.argsort(lines, kind="stable")
    layers: dict[str, Layer] = {
        hidden.dense.name: Dense(dense.weight[~lines], dense.bias[~lines]),
        bend.name: Relu(bent),
    }
    for reader in hidden.readers:
        layers[reader.name] = Dense(weights(reader).weight[:, order], weights(reader).bias)
    first = hidden.readers[0].name
    inputs = {reader.name: (join.name,) for reader in hidden.readers}
    return edit(policy, layers, inputs, {bend.name: straight, first: join})
