"""Pruning: a policy with fewer neurons and fewer weights.

Dead neurons go in any case (`simplify`). Then whole neurons go, the least important of each hidden layer; then single
weights, those whose products are smallest. Both are judged on calibration observations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.dense import Dense
from tinyctl.policy import Policy
from tinyctl.quantizer import measure
from tinyctl.simplify import edit, hidden_layers, keep_neurons, products, simplify, weights

if TYPE_CHECKING:  # it times with an emulator
    from tinyctl.storage import Tried

SEARCH_STEPS = 12  # to one weight in four thousand

Threshold = Literal["layer", "global"]
Progress = Callable[[int, int, str], None]  # what is done, of how much, and a word about it


@dataclass(frozen=True)
class PruneReport:
    """What was taken away and what it costs.

    Neurons are those of hidden layers, products the multiplications by weights that are not zero. The error is the RMS
    of the actions' difference along the calibration sequences. Costs are the mean closed-loop cost a control period: of
    the policy, of one pruned at once, and of the one fine-tuned; None without a plant, or without fine-tuning.
    `storage` is what was timed to choose how weights are stored.
    """

    neurons_before: int
    neurons_after: int
    products_before: int
    products_after: int
    output_rms_error: float
    cost_before: float | None
    cost_pruned: float | None
    cost_tuned: float | None
    contract_hash: str
    graph_hash: str
    storage: tuple[Tried, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}


@dataclass(frozen=True)
class Spread:
    """How each column of each node's value (columns,) behaves: mean, standard deviation, root mean square."""

    mean: dict[str, Array]
    deviation: dict[str, Array]
    rms: dict[str, Array]

    @staticmethod
    def of(policy: Policy, calibration: Array) -> Spread:
        """`calibration` is (steps, sequences, n_obs)."""
        sums = {node.name: np.zeros((2, node.layer.n_out)) for node in policy.nodes}
        state = policy.init(calibration.shape[1])
        for obs in calibration:
            values, state = policy.trace(obs, state)
            for name, value in values.items():
                wide = value.astype(np.float64)
                sums[name] += wide.sum(axis=0), (wide * wide).sum(axis=0)
        count = calibration.shape[0] * calibration.shape[1]
        mean = {name: s[0] / count for name, s in sums.items()}
        square = {name: s[1] / count for name, s in sums.items()}
        return Spread(
            mean,
            {name: np.sqrt(np.maximum(square[name] - mean[name] ** 2, 0)) for name in sums},
            {name: np.sqrt(square[name]) for name in sums},
        )


def prune(
    policy: Policy, calibration: Array, *, keep: float = 1.0, neurons: float = 1.0, threshold: Threshold = "global"
) -> Policy:
    """The policy with `neurons` of each hidden layer's neurons, and of its products with weights at most `keep`.

    Both are fractions. `threshold` says whether each dense layer loses the same share of its weights or all weights
    compete. Raises `TinyctlError` for a fraction that is none.
    """
    for name, fraction in (("keep", keep), ("neurons", neurons)):
        if not 0 < fraction <= 1:
            raise TinyctlError(f"{name} {fraction} is not a fraction above 0 and at most 1")
    if threshold not in ("layer", "global"):
        raise TinyctlError(f"threshold {threshold!r:.20} is neither layer nor global")
    most = keep * products(policy)
    policy = simplify(policy)
    if neurons < 1:
        policy = simplify(_without_neurons(policy, neurons, Spread.of(policy, calibration)))
    if products(policy) <= most:
        return policy
    # Neurons that lose their last reader go too, so the share of weights that gives `most` is searched for.
    spread, low, high = Spread.of(policy, calibration), 0.0, 1.0
    best = None
    for _ in range(SEARCH_STEPS):
        share = (low + high) / 2
        tried = simplify(_without_weights(policy, share, threshold, spread))
        if products(tried) > most:
            high = share
        else:
            low, best = share, tried if products(tried) else best
    if best is None:
        raise TinyctlError(f"keep {keep} would leave no weight at all")
    return best


def report(
    policy: Policy, pruned: Policy, calibration: Array, costs: Sequence[float], tried: tuple[Tried, ...]
) -> PruneReport:
    """The record of a pruning. `costs` are before, after it, and after fine-tuning, as far as they are known."""
    rms, _ = measure(policy, Graph(pruned.contract, pruned.nodes), calibration)
    before, after = (sum(hidden.dense.layer.n_out for hidden in hidden_layers(p)) for p in (policy, pruned))
    first, second, third = [*costs, None, None, None][:3]
    return PruneReport(
        before,
        after,
        products(policy),
        products(pruned),
        rms,
        first,
        second,
        third,
        pruned.contract.hash,
        pruned.hash,
        tried,
    )


def _without_neurons(policy: Policy, share: float, spread: Spread) -> Policy:
    """A neuron's mean goes into its readers' biases, so what is lost is its spread times the weights on it."""
    for name in [hidden.dense.name for hidden in hidden_layers(policy)]:
        hidden = next(h for h in hidden_layers(policy) if h.dense.name == name)
        read = [np.linalg.norm(weights(reader).weight.astype(np.float64), axis=0) for reader in hidden.readers]
        importance = spread.deviation[hidden.last] * np.linalg.norm(read, axis=0)
        kept = _largest(importance, max(1, round(share * len(importance))))
        policy = keep_neurons(policy, hidden, kept, spread.mean[hidden.last])
        spread.mean[hidden.last], spread.deviation[hidden.last] = (
            values[hidden.last][kept] for values in (spread.mean, spread.deviation)
        )
    return policy


def _without_weights(policy: Policy, share: float, threshold: Threshold, spread: Spread) -> Policy:
    """A weight counts by the size of its products, |w| times the root mean square of its input (Sun et al., A Simple
    and Effective Pruning Approach for Large Language Models, 2023)."""
    dense = [node for node in policy.nodes if isinstance(node.layer, Dense)]
    scores = [np.abs(weights(n).weight).astype(np.float64) * spread.rms[n.inputs[0]] for n in dense]
    if threshold == "layer":
        kept = [_largest(score, max(1, round(share * score.size))) for score in scores]
    else:
        flat = np.concatenate([score.ravel() for score in scores])
        chosen = np.split(_largest(flat, max(1, round(share * flat.size))), np.cumsum([s.size for s in scores])[:-1])
        kept = [part.reshape(score.shape) for part, score in zip(chosen, scores, strict=True)]
    layers: dict[str, Layer] = {}
    for node, mask in zip(dense, kept, strict=True):
        layer = weights(node)
        layers[node.name] = Dense(np.where(mask, layer.weight, F32(0)), layer.bias, layer.storage)
    return edit(policy, layers)


def _largest(scores: Array, count: int) -> Array:
    """A mask of the `count` largest scores; of equal ones the first."""
    order = np.argsort(-scores, axis=None, kind="stable")
    mask = np.zeros(scores.size, np.bool_)
    mask[order[:count]] = True
    return mask.reshape(scores.shape)
