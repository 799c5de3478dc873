"""A sum of monomials beside a 64-64 network, on the cart-pole's swing-up: what it is worth, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import tinyctl
from controller_rows import Figure, cost, kept_policy, returns, swing_up_net, timed
from tinyctl.layers.dense import Dense
from tinyctl.policy import Policy
from tinyctl.trainers.dictionary import Config

SEEDS, WORTH, SMALLER = range(5), 0.9, 100
SOURCES = ["sims/plants/cartpole.py", *(f"tinyctl/trainers/{n}.py" for n in ("dictionary", "apg", "window"))]


def figures() -> Iterator[Figure]:
    plant, net = tinyctl.plant("cartpole"), swing_up_net()

    def made_from(seed: int) -> Policy:
        return tinyctl.train(plant, algo="dictionary", seed=seed).policy

    made = [kept_policy(f"dictionary-{k}", partial(made_from, k), (Config(), k), SOURCES) for k in SEEDS]
    theirs = float(np.median(returns(net, plant)))
    ours = [float(np.median(returns(policy, plant))) for policy in made]
    share = float(np.median(ours)) / theirs
    yield Figure(f"median return over the network's {theirs:.3f}, median of {len(made)} seeds",
                 f"{share:.3f} ({min(ours) / theirs:.3f} to {max(ours) / theirs:.3f})", f"at least {WORTH}",
                 share >= WORTH)  # fmt: skip
    fewer = _numbers(net) / max(map(_numbers, made))
    yield Figure("coefficients, times fewer", f"{_numbers(net):,} / {max(map(_numbers, made))} = {fewer:.0f}",
                 f"at least {SMALLER}", fewer >= SMALLER)  # fmt: skip
    report = timed(made[0])
    yield Figure("its worst case is a constant", f"{report.cycles_typical:,} typical, {report.cycles_worst:,} worst",
                 "one path", report.single_path)  # fmt: skip
    yield Figure("the dictionary on the board", cost(made[0]))
    yield Figure("the network on the board", cost(net))


def _numbers(policy: Policy) -> int:
    """Weights and biases that are not zero."""
    layers = [node.layer for node in policy.nodes if isinstance(node.layer, Dense)]
    return sum(np.count_nonzero(layer.weight) + layer.bias.size for layer in layers)
