"""A small policy of sequences, its player in NumPy, and observations for it."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np

from tinyctl.emitter import emit
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain
from tinyctl.sequences import Player, Rates, sequenced

RATES = Rates(2, 5)


def graph() -> Graph:
    """Decides every second tick, five actions at a time; reads two observations and the action applied last."""
    contract = sequenced(networks.tiny_contract(), RATES)
    rng = np.random.default_rng(3)
    first, last = networks.dense(rng, 3, 6), networks.dense(rng, 6, 5)
    screen = ("screen", Screen.of(contract))
    return Graph(
        contract, chain([screen, ("in", first), ("bend", Tanh(6)), ("out", last), ("clip", Clip.of(contract))])
    )


def emit_player(folder: Path) -> Path:
    emit(graph(), folder, "seq")
    return folder


def player(**how: int) -> Player:
    made = Player(GraphController(graph()), graph().contract, **how)
    made.reset(1)
    return made


def observations(n: int) -> Array:
    return np.random.default_rng(4).normal(0, 2, (n, 1, 2)).astype(F32)
