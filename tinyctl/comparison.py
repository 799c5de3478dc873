"""Flights of several controllers side by side: which is better, and how sure that is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import read_bytes
from tinyctl.jsons import parse_json
from tinyctl.statistics import (
    Array,
    Interval,
    bootstrap,
    check_runs,
    iqm,
    performance_profile,
    probability_of_improvement,
)

SCHEMA = 1
THRESHOLDS = 21  # of a performance profile
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Runs:
    """The scores (runs, tasks) of one controller; `tasks` are called plant/task."""

    name: str
    tasks: tuple[str, ...]
    scores: Array


@dataclass(frozen=True)
class Pair:
    """That a run of `better` is better than one of `than`."""

    better: str
    than: str
    probability: Interval


@dataclass(frozen=True)
class Comparison:
    """`means` are interquartile means of `figure` in its own direction; `profiles` the share of runs that reach each of
    `thresholds`. `clear` names the controller that is better than each other one with an interval above one half."""

    figure: str
    larger_is_better: bool
    means: dict[str, Interval]
    pairs: tuple[Pair, ...]
    thresholds: tuple[float, ...]
    profiles: dict[str, tuple[float, ...]]
    clear: str | None

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def read_runs(source: Path, figure: str) -> Runs:
    """The flight reports (`fly --out`) of one controller: a folder of them, or one file. `figure` is `survived` or the
    name of a score. A run with no survivor has no score and is refused, as are runs of different controllers."""
    found: dict[str, list[float]] = {}
    hashes: set[str] = set()
    for report, value, _ in flight_reports(source, figure):
        found.setdefault(f"{report['plant']}/{report['task']}", []).append(value)
        hashes.add(report["graph_hash"])
    if len(hashes) > 1 and not source.is_dir():
        raise TinyctlError("reports of different controllers", where=source)
    lengths = {task: len(values) for task, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise TinyctlError(f"tasks with different numbers of runs: {lengths}", where=source)
    return Runs(
        source.stem if source.is_file() else source.name,
        tuple(sorted(found)),
        np.array([found[t] for t in sorted(found)]).T,
    )


def compare(groups: list[Runs], figure: str, *, larger_is_better: bool, seed: int = 0) -> Comparison:
    """Rank controllers by their runs; raises `TinyctlError` for fewer than five runs of one, or different tasks."""
    check_runs([g.name for g in groups], [g.scores for g in groups])
    if len({g.tasks for g in groups}) > 1:
        raise TinyctlError("the controllers flew different tasks")
    if len({g.name for g in groups}) < len(groups):
        raise TinyctlError("two controllers have the same name", fix="name their folders differently")
    sign = 1.0 if larger_is_better else -1.0
    means = {g.name: bootstrap(iqm, g.scores, seed=seed) for g in groups}
    pairs = []
    for a, b in combinations(groups, 2):
        first, second = (a, b) if probability_of_improvement(sign * a.scores, sign * b.scores) >= 0.5 else (b, a)
        chance = bootstrap(probability_of_improvement, sign * first.scores, sign * second.scores, seed=seed)
        pairs.append(Pair(first.name, second.name, chance))
    every = np.concatenate([g.scores.ravel() for g in groups])
    thresholds = np.linspace(every.min(), every.max(), THRESHOLDS)
    profiles = {g.name: performance_profile(sign * g.scores, sign * thresholds) for g in groups}
    wins = [p.better for p in pairs if p.probability.low > 0.5]
    clear = next((g.name for g in groups if wins.count(g.name) == len(groups) - 1 > 0), None)
    return Comparison(
        figure, larger_is_better, means, tuple(pairs), tuple(map(float, thresholds)),
        {name: tuple(map(float, profile)) for name, profile in profiles.items()}, clear,
    )  # fmt: skip


def flight_reports(source: Path, figure: str) -> Iterator[tuple[dict[str, Any], float, str]]:
    """Each flight report of a folder, or the one file, in the order of their names: the report, its figure, and the
    SHA-256 of its bytes. Raises `FileError` where there is none."""
    files = sorted(source.glob("*.json")) if source.is_dir() else [source]
    files = [f for f in files if not f.name.endswith(".run.json")]
    if not files:
        raise FileError("no flight reports inside", where=source, fix="make them with tinyctl fly --out FILE.json")
    for file in files:
        text = read_bytes(file, MAX_BYTES)
        report = _report(text, file)
        value = report["survived"] if figure == "survived" else _score(report, figure, file)
        yield report, float(value), hashlib.sha256(text).hexdigest()


def _report(text: bytes, file: Path) -> dict[str, Any]:
    report = parse_json(text, where=file)
    texts = ("plant", "task", "graph_hash")
    numbers = isinstance(report, dict) and isinstance(report.get("survived"), int | float)
    if not numbers or not all(isinstance(report.get(key), str) for key in texts) or "scores" not in report:
        raise FileError("is no flight report", where=file, fix="make it with tinyctl fly --out FILE.json")
    found: dict[str, Any] = report
    return found


def _score(report: dict[str, Any], figure: str, file: Path) -> float:
    scores = report["scores"]
    if not isinstance(scores, dict) or not isinstance(scores.get(figure), dict):
        known = ", ".join(map(str, scores))[:120] if isinstance(scores, dict) else ""
        raise TinyctlError(f"no score {figure!r:.40}", where=file, fix=f"survived, {known}")
    value = scores[figure].get("value")
    if not isinstance(value, int | float):
        raise TinyctlError(f"no episode survived, so there is no {figure}", where=file, fix="compare survived")
    return float(value)
