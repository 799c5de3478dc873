"""A tiny controller with a monitor of every kind of term, and sequences that it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import networks
import numpy as np

from tinyctl.emitter import emit
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.specifications.flights import specification
from tinyctl.specifications.monitor import Monitor
from tinyctl.vectors import SPECIAL

TEXTS = (
    "always[0, 0.5] norm([angle, speed, 1]) < 2",
    "abs(angle) > 1 implies eventually[0, 0.2] (abs(angle) < 0.5 and not always[0, 0.1] max(torque, speed * 2) >= 0.3)",
    "eventually[0.1, 0.3] torque <= angle - 0.25",
    "not (angle < 1 or eventually[0, 1] min(angle, -speed) > 0.5 + torque)",
    "speed >= -4 and always[0, 0.7] eventually[0, 0.06] angle > 0",
)


def monitor(texts: Sequence[str] = TEXTS) -> Monitor:
    return Monitor(networks.tiny_contract(), tuple(map(specification, texts)))


def emit_monitored(folder: Path, texts: Sequence[str] = TEXTS) -> Path:
    policy = networks.tiny()
    emit(Graph(policy.contract, policy.nodes), folder, "tiny", monitored=monitor(texts).specifications)
    return folder


def random_formula(rng: np.random.Generator, depth: int) -> str:
    """Of any bounded operators, nested so deep."""
    if depth == 0:
        one, two = rng.choice(["angle", "speed", "torque", "abs(speed)", "norm([angle, torque])", "-angle"], 2)
        value = rng.choice([one, f"{one} + {two}", f"{one} * {two}", f"max({one}, {two}, 0.1)", f"{one} - 0.5"])
        return f"{value} {rng.choice(['<', '<=', '>', '>='])} {rng.normal():.2f}"
    kind, inner = rng.integers(0, 4), random_formula(rng, depth - 1)
    if kind == 0:
        return f"not ({inner})"
    if kind == 1:
        other = random_formula(rng, int(rng.integers(0, depth)))
        return f"({inner}) {rng.choice(['and', 'or', 'implies'])} ({other})"
    low, high = sorted(rng.integers(0, 40, 2) / 50)
    return f"{rng.choice(['always', 'eventually'])}[{low}, {high}] ({inner})"


def sequences(steps: int, n: int, seed: int = 0) -> tuple[Array, Array]:
    """Observations (steps, n, 2) and actions (steps, n, 1) that wander, jump to special values and come back."""
    rng = np.random.default_rng(seed)
    rows = np.cumsum(rng.normal(0, 0.2, (steps, n, 3)), axis=0)
    rows = np.where(rng.random(rows.shape) < 0.02, rng.choice(SPECIAL, rows.shape), np.sin(rows) * [2, 3, 1])
    return rows[:, :, :2].astype(F32), rows[:, :, 2:].astype(F32)
