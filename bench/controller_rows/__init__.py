"""The rows of `bench/controllers.py`: each file of this folder has `figures()`, which yields what it measured."""

from __future__ import annotations

import hashlib
import json
import pkgutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import tinyctl
from tinyctl import archive
from tinyctl.checker import TimingReport
from tinyctl.files import write_atomically
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.policy import Policy
from tinyctl.sims.loop import fly
from tinyctl.sims.plant import Plant
from tinyctl.trainers import apg

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "bench-controllers"
BOARD = "crazyflie21"


@dataclass(frozen=True)
class Figure:
    """What was measured, as text, and its bar; `met` is None where there is none."""

    what: str
    measured: str
    bar: str = ""
    met: bool | None = None


def rows() -> dict[str, Callable[[], Iterable[Figure]]]:
    """The rows by name, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").figures for name in names}


def kept_policy(name: str, make: Callable[[], Policy], settings: Any, sources: Iterable[str]) -> Policy:
    """A policy that was made from these settings and source files (from the root), or is now."""
    path = _place(name, settings, sources).with_suffix(".tctl")
    if not path.exists():
        archive.save(make(), path)
    found = archive.load(path)
    assert isinstance(found, Policy)
    return found


def kept_numbers(name: str, make: Callable[[], Any], settings: Any, sources: Iterable[str]) -> Any:
    """What `make` returned, as JSON holds it."""
    path = _place(name, settings, sources).with_suffix(".json")
    if not path.exists():
        write_atomically(path, json.dumps(make()))
    return json.loads(path.read_text())


def timed(network: Policy | Graph) -> TimingReport:
    """A network in the formats that it has, on the board of all rows, as `tinyctl check` predicts it."""
    graph = network if isinstance(network, Graph) else Graph(network.contract, network.nodes)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        tinyctl.build(graph, BOARD, out=Path(scratch) / "image.elf")
        return tinyctl.check(Path(scratch) / "image.elf", BOARD)


def cost(network: Policy | Graph) -> str:
    """Cycles, flash and RAM, as text."""
    report = timed(network)
    return f"{report.cycles_worst:,} cycles worst, {report.flash_bytes:,} bytes of flash, {report.ram_bytes:,} of RAM"


def returns(policy: Policy, plant: Plant, *, episodes: int = 1000, seed: int = 7) -> Array:
    """(episodes,): what a swing-up is worth from start to end: the mean of (1 + cos angle) / 2."""
    task = plant.task()
    flown = fly(plant, task, GraphController(Graph(policy.contract, policy.nodes)), episodes=episodes, seed=seed,
                delay_s=task.contract.latency_s, keep=episodes)  # fmt: skip
    angle = flown.states[1:, :, [v.name for v in plant.states].index("angle")]
    return np.asarray((1 + np.cos(angle)).mean(axis=0) / 2)


def swing_up_net() -> Policy:
    """The cart-pole's swing-up by a 64-64 network, as `tinyctl train cartpole` makes it."""
    sources = ["sims/plants/cartpole.py", "tinyctl/trainers/apg.py", "tinyctl/trainers/window.py"]
    return kept_policy("cartpole", lambda: tinyctl.train("cartpole").policy, apg.Config(), sources)


def _place(name: str, settings: Any, sources: Iterable[str]) -> Path:
    text = "\0".join([repr(settings), *((ROOT / source).read_text() for source in sorted(sources))])
    KEPT.mkdir(parents=True, exist_ok=True)
    return KEPT / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
