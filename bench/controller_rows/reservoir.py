"""Reservoirs before and after their inhibition has adapted: memory capacity and NARMA-10 over 20 seeds, from three
balances of inhibition over excitation. The paper claims up to 130 % more (arXiv 2504.12480); here it is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from controller_rows import Figure, cost, kept_numbers
from tinyctl.contract import Contract, Input, Output
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.screen import Screen
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.sims.loop import mean_estimate
from tinyctl.trainers.reservoir import Config, Reservoir, adapted, make, ridge

SEEDS, BALANCES = 20, (0.5, 1.0, 1.5)
WASHED, KNOWN, STEPS, DELAYS, RIDGE = 200, 2500, 3500, 40, 1e-8
SOURCES = ("tinyctl/trainers/reservoir.py", "bench/controller_rows/reservoir.py")
SETTINGS = Config()


def figures() -> Iterator[Figure]:
    for balance in BALANCES:
        config = replace(SETTINGS, balance=balance)
        runs = kept_numbers("reservoir", partial(compared_over_seeds, config), config, SOURCES)
        capacity, error = np.array(runs).transpose(1, 2, 0)  # each (before and after, seeds)
        for what, better in (("memory capacity, after over before", capacity[1] / capacity[0]),
                             ("NARMA-10 error, before over after", error[0] / error[1])):  # fmt: skip
            ratio = mean_estimate(better)
            yield Figure(f"{what}, from a balance of {balance:g}",
                         f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")  # fmt: skip
        before, after = capacity.mean(axis=1)
        yield Figure(f"memory capacity, from a balance of {balance:g}", f"{before:.1f}, then {after:.1f} steps")
    yield Figure("a step", cost(recalling(SETTINGS)))


def compared_over_seeds(config: Config) -> list[list[list[float]]]:
    return [compared(config, seed) for seed in range(SEEDS)]


def compared(config: Config, seed: int) -> list[list[float]]:
    """Memory capacity and NARMA-10 error, each before and after a reservoir has adapted."""
    rng = np.random.default_rng([seed, 1])
    u, other = rng.uniform(-1, 1, (STEPS, 1)), rng.uniform(-1, 1, (STEPS, 1))
    first = make(config, 1, seed)
    states = [made.run(u) for made in (first, adapted(first, other, config))]
    return [[capacity(s, u) for s in states], [narma_error(s, u) for s in states]]


def capacity(states: Array, u: Array) -> float:
    """The sum over delays of the squared correlation between the input so long ago and its read-out (Jaeger 2001)."""
    delayed = np.column_stack([np.roll(u[:, 0], k) for k in range(1, DELAYS + 1)])
    said = _read(states, delayed)
    return float(sum(np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(said.T, delayed[KNOWN:].T, strict=True)))


def narma_error(states: Array, u: Array) -> float:
    """Normalised root mean squared error on the tenth-order system of Atiya and Parlos (2000), driven in [0, 0.5]."""
    drive, y = (u[:, 0] + 1) / 4, np.zeros(len(u))
    for k in range(10, len(u)):
        y[k] = 0.3 * y[k - 1] + 0.05 * y[k - 1] * y[k - 10 : k].sum() + 1.5 * drive[k - 1] * drive[k - 10] + 0.1
    return float(np.sqrt(np.mean((_read(states, y[:, None])[:, 0] - y[KNOWN:]) ** 2)) / y[KNOWN:].std())


def _read(states: Array, wanted: Array) -> Array:
    weight, bias = ridge(states[WASHED:KNOWN], wanted[WASHED:KNOWN], RIDGE)
    return states[KNOWN:] @ weight.T + bias


def recalling(config: Config) -> Policy:
    """A network that says what its input was five steps ago."""
    rng = np.random.default_rng(0)
    u = rng.uniform(-1, 1, (STEPS, 1))
    made: Reservoir = adapted(make(config, 1, 0), u, config)
    weight, bias = ridge(made.run(u)[WASHED:], np.roll(u, 5)[WASHED:], 1e-6)
    contract = Contract((Input("u", "1", "", -1.0, 1.0),), (Output("y", "1", "", -1.0, 1.0),), 100.0)
    return Policy(contract, (
        Node("screen", Screen.of(contract), ()),
        *made.nodes("reservoir", "screen"),
        Node("read", Dense(weight.astype(F32), bias.astype(F32)), ("reservoir_out",)),
        Node("clip", Clip.of(contract), ("read",)),
    ))  # fmt: skip
