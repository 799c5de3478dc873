"""A sequential comparison that grows with its folders of flight reports: what was looked at and in which order stands
in a file, so that nothing can be tried twice until it pleases."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.adastop import Plan, State, decide
from tinyctl.comparison import MAX_BYTES, flight_reports
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.importers.base import read_bytes
from tinyctl.jsons import canonical_json, parse_json, record_from_json

SCHEMA = 1
Run = tuple[str, float]  # the SHA-256 of a flight report, and its figure


@dataclass(frozen=True)
class SequentialTest:
    """What is compared and how, and the `runs` of each controller in the order they came."""

    figure: str
    larger_is_better: bool
    task: str
    plan: Plan
    runs: dict[str, tuple[Run, ...]]

    def names(self) -> list[str]:
        return sorted(self.runs)

    def state(self) -> State:
        sign = 1.0 if self.larger_is_better else -1.0
        return decide([sign * np.array([value for _, value in self.runs[name]]) for name in self.names()], self.plan)

    def wanted(self, state: State) -> dict[str, int]:
        """How many more runs of each controller the next round needs."""
        names = self.names()
        open_ = {i for pair in state.open() for i in pair}
        target = (state.rounds + 1) * self.plan.runs
        return {names[i]: max(0, target - len(self.runs[names[i]])) for i in sorted(open_)}

    def verdict(self, state: State) -> dict[str, Any]:
        """What a program wants to know: the pairs that were decided, those that are not, and what to run."""
        names = self.names()
        pairs = [
            {
                "pair": [names[i], names[j]],
                "statistic": statistic,
                "better": None if not state.signs.get((i, j)) else names[i] if state.signs[i, j] > 0 else names[j],
                "decided": (i, j) in state.signs,
            }
            for (i, j), statistic in state.statistics.items()
        ]
        return {
            "schema": SCHEMA, "figure": self.figure, "rounds": state.rounds, "bounds": list(state.bounds),
            "level": self.plan.level, "pairs": pairs, "run": self.wanted(state), "decided": not state.open(),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "kind": "sequential", **asdict(self)}


def resume(path: Path, sources: list[Path], figure: str, *, larger_is_better: bool, plan: Plan) -> SequentialTest:
    """The test kept in `path`, or a new one, with the reports that are new in the folders `sources`; written back.

    Raises `TinyctlError` when the test in the file is of something else, or by another plan.
    """
    found = {source.name: list(flight_reports(source, figure)) for source in sources}
    if len(found) < len(sources):
        raise TinyctlError("two controllers have the same name", fix="name their folders differently")
    tasks = {f"{report['plant']}/{report['task']}" for rows in found.values() for report, *_ in rows}
    if len(tasks) > 1:
        raise TinyctlError(f"a sequential test is of one task, not of {', '.join(sorted(tasks))}"[:200])
    kept = (
        _load(path)
        if path.exists()
        else SequentialTest(figure, larger_is_better, min(tasks), plan, dict.fromkeys(found, ()))
    )
    test = SequentialTest(
        figure, larger_is_better, min(tasks), plan, {name: _grown(kept, name, rows) for name, rows in found.items()}
    )
    if replace(kept, runs=test.runs) != test or set(kept.runs) != set(found):
        raise TinyctlError(
            "holds a test of other controllers, another figure or another plan", where=path,
            fix="go on with the same options, or begin anew with another file",
        )  # fmt: skip
    write_atomically(path, canonical_json(test.to_json()) + "\n")
    return test


def _load(path: Path) -> SequentialTest:
    row = parse_json(read_bytes(path, MAX_BYTES), where=path)
    if not isinstance(row, dict) or row.pop("kind", None) != "sequential" or row.pop("schema", None) != SCHEMA:
        raise FileError("holds no sequential test", where=path, fix="name a new file")
    if isinstance(row.get("plan"), dict):
        row["plan"] = record_from_json(Plan, row["plan"], where=f"{path}: plan")
    runs = row.get("runs")
    lists = [*runs.values()] if isinstance(runs, dict) else [None]
    if not all(isinstance(rows, list) and all(map(_is_run, rows)) for rows in lists):
        raise FileError("its runs are not lists of hashes and numbers", where=path, fix="name a new file")
    row["runs"] = {name: tuple(map(tuple, rows)) for name, rows in row["runs"].items()}
    return record_from_json(SequentialTest, row, where=str(path))


def _is_run(run: Any) -> bool:
    return isinstance(run, list) and [type(part) for part in run] == [str, float]


def _grown(kept: SequentialTest, name: str, rows: list[tuple[dict[str, Any], float, str]]) -> tuple[Run, ...]:
    """The runs that the test knows of a controller, and the new ones behind them."""
    known = kept.runs.get(name, ())
    seen = {digest for digest, _ in known}
    return known + tuple((digest, value) for _, value, digest in rows if digest not in seen)
