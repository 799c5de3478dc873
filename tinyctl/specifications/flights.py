"""Specifications of the flights of a plant's task: which signals there are, and how the flights keep to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyctl.contract import Contract, check_identifier
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import read_toml
from tinyctl.layers.base import F32, Array
from tinyctl.specifications.formula import Specification, parse, parse_signal
from tinyctl.specifications.semantics import bind, check_ends, columns_of, evaluate, robustness_leaf, truth_leaf

if TYPE_CHECKING:  # these need the `sim` extra
    from tinyctl.sims.kernel import Kernel
    from tinyctl.sims.plant import Plant, Task

MAX_BYTES = 1 << 16
ELEMENT = re.compile(r"(.+)_([wxyz]|\d+)")  # p_x, p_y and p_z are the vector p
ALIASES = {"position": "p", "velocity": "v"}  # of the quadrotors


def load_specifications(path: Path) -> tuple[Specification, ...]:
    """Those of a TOML file: the table `specs` has names and formulas, `signals` names that stand for sums. Raises
    `FileError`, which says where, for anything else."""
    tables = read_toml(path, MAX_BYTES)
    try:
        if unknown := set(tables) - {"specs", "signals"}:
            raise TinyctlError(f"unknown table {min(unknown)!r:.40}", fix="specs and signals are possible")
        return specifications_of(tables.get("specs", {}), tables.get("signals", {}))
    except TinyctlError as error:
        raise FileError(str(error), where=path) from None


def specifications_of(formulas: object, signals: object = None) -> tuple[Specification, ...]:
    """Those of two tables, from names to texts."""
    sums = {name: parse_signal(text) for name, text in _texts(signals or {}, "signals")}
    found = []
    for name, text in _texts(formulas, "specs"):
        try:
            found.append(Specification(name, text, parse(text, sums)))
        except TinyctlError as error:
            raise TinyctlError(str(error), where=f"specs.{name}") from None
    return tuple(found)


def specification(text: str) -> Specification:
    """A formula by itself, which is its own name."""
    return Specification(" ".join(text.split()), text, parse(text))


def _texts(table: object, what: str) -> list[tuple[str, str]]:
    if not isinstance(table, Mapping) or not all(isinstance(text, str) for text in table.values()):
        raise TinyctlError("not a table of names and texts", where=what)
    return [(check_identifier(name, "name"), text) for name, text in table.items()]


def names_of(groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """What a formula can name, with the columns it stands for, written GROUP.NAME. A name without its group is that of
    the first group that has it; elements that share a stem are a vector of that name."""
    known: dict[str, tuple[str, ...]] = {}
    for group, names in groups.items():
        vectors: dict[str, list[str]] = {}
        for name in names:
            known[f"{group}.{name}"] = (f"{group}.{name}",)
            if match := ELEMENT.fullmatch(name):
                vectors.setdefault(match[1], []).append(f"{group}.{name}")
        for stem, columns in vectors.items():
            known.setdefault(f"{group}.{stem}", tuple(columns))
    for name in list(known):
        known.setdefault(name.partition(".")[2], known[name])
    return {alias: known[name] for alias, name in ALIASES.items() if name in known} | known


def contract_groups(contract: Contract) -> dict[str, list[str]]:
    """`act`: the outputs; `obs`: the inputs that are observed."""
    inputs = [s.name for s in contract.inputs[: contract.n_obs]]
    return {"act": [s.name for s in contract.outputs], "obs": inputs}


def flight_groups(plant: Plant, task: Task) -> dict[str, list[str]]:
    """The signals of flights: states and goals, actions as applied, observations without noise, and the expressions
    whose means are the task's scores."""
    states = [v.name for v in plant.state_columns(task)]
    return {"state": states, **contract_groups(task.contract), "score": [s.name for s in task.scores]}


@dataclass(frozen=True)
class Kept:
    """How flights keep to one specification: `holds` (episodes,) bool, and by how much, `robustness` (episodes,)
    float32, which is not above zero where it does not hold."""

    specification: Specification
    holds: Array
    robustness: Array


class Watch:
    """Is shown every control period of the flights, a batch of episodes after another, and says at the end how they
    keep to specifications.

    Sample k is the state at the beginning of period k with the action that moves it from there; the last state has the
    last action. A flight that is lost keeps to none: its robustness is at most the task's margin where it was lost.
    """

    def __init__(self, plant: Plant, task: Task, specifications: Sequence[Specification]) -> None:
        """Raises `TinyctlError` for signals that are not there, and for what lies behind the flight."""
        groups = flight_groups(plant, task)
        self.task, self.specifications = task, tuple(specifications)
        self.formulas = [bind(s.formula, names_of(groups)) for s in specifications]
        for formula in self.formulas:
            check_ends(formula, task.contract.rate_hz, task.episode_steps)
        used = {column for formula in self.formulas for column in columns_of(formula)}
        self.reads = {g: [i for i, n in enumerate(names) if f"{g}.{n}" in used] for g, names in groups.items()}
        self.columns = [f"{g}.{groups[g][i]}" for g, indices in self.reads.items() for i in indices]
        self.seen: list[Array] = []
        self.margin = np.zeros(0, F32)
        self.parts: list[tuple[Array, Array]] = []

    def see(self, kernel: Kernel, x: Array, action: Array) -> None:
        """States (n, nx) and the actions applied there (n, nu)."""
        if not self.seen:
            self.margin = np.full(len(x), np.inf, F32)
        made: dict[str, Callable[[], Array]] = {
            "state": lambda: x,
            "act": lambda: action,
            "obs": lambda: kernel.observe(x),
            "score": lambda: kernel.score(x),
        }
        rows = [made[group]()[:, indices].T for group, indices in self.reads.items() if indices]
        self.seen.append(np.concatenate(rows))

    def lose(self, lost: Array, margin: Array) -> None:
        """Episodes (n,) bool that end here, and the task's margin (n,) there."""
        self.margin[lost] = np.where(np.isnan(margin), F32(-np.inf), margin)[lost]

    def end(self) -> None:
        """The batch has flown."""
        signals = dict(zip(self.columns, np.stack(self.seen).transpose(1, 0, 2), strict=True))
        rate_hz, survived = self.task.contract.rate_hz, np.isinf(self.margin) & (self.margin > 0)
        robustness = [evaluate(f, signals, rate_hz, robustness_leaf)[0] for f in self.formulas]
        holds = [(evaluate(f, signals, rate_hz, truth_leaf)[0] > 0) & survived for f in self.formulas]
        self.parts.append((np.stack(holds), np.minimum(np.stack(robustness), self.margin)))
        self.seen = []

    def kept(self) -> tuple[Kept, ...]:
        """How the flights so far keep to each specification."""
        holds, robustness = (np.concatenate([part[i] for part in self.parts], axis=1) for i in range(2))
        return tuple(map(Kept, self.specifications, holds, robustness))
