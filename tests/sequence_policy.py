"""A small policy of sequences, its player in NumPy, and observations for it."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np

from tinyctl.contract import Contract
from tinyctl.emitter import emit
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.sequences import Player, Rates, sequenced

RATES = Rates(2, 5)


def for_contract(task: Contract, rates: Rates = RATES) -> Policy:
    """A random policy of sequences for a task of this contract."""
    contract = sequenced(task, rates)
    rng, n_in = np.random.default_rng(3), len(contract.inputs)
    first, last = networks.dense(rng, n_in, 6), networks.dense(rng, 6, contract.n_act)
    screen = ("screen", Screen.of(contract))
    return Policy(
        contract, chain([screen, ("in", first), ("bend", Tanh(6)), ("out", last), ("clip", Clip.of(contract))])
    )


def graph() -> Graph:
    """Decides every second tick, five actions at a time; reads two observations and the action applied last."""
    policy = for_contract(networks.tiny_contract())
    return Graph(policy.contract, policy.nodes)


def emit_player(folder: Path) -> Path:
    emit(graph(), folder, "seq")
    return folder


def player(**how: int) -> Player:
    made = Player(GraphController(graph()), graph().contract, **how)
    made.reset(1)
    return made


def observations(n: int) -> Array:
    return np.random.default_rng(4).normal(0, 2, (n, 1, 2)).astype(F32)
