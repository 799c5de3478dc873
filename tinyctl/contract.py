"""The contract: what the numbers that enter and leave a controller mean.

It is made with the plant or the import and travels unchanged through every stage. Its hash stands in the C header,
in every log and on the board, so a controller can be refused where its units, frames, order or rate would not fit.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.jsons import canonical_json, record_from_json

Source = Literal["observation", "applied_action"]

UNBOUNDED = 1e6  # what a JSON null means for `low` and `high`: large, but finite
MAX_SIGNALS = 4096
MIN_RATE_HZ, MAX_RATE_HZ = 0.001, 1e6

C_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while alignas alignof
    and and_eq asm bitand bitor bool catch class compl const_cast constexpr decltype delete dynamic_cast explicit export
    false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public
    reinterpret_cast static_assert static_cast template this thread_local throw true try typeid typename using virtual
    wchar_t xor xor_eq main""".split()  # noqa: SIM905
)


def _float32(value: float) -> float:
    """The nearest float32, infinite beyond its range."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def check_identifier(name: str, what: str) -> str:
    """Return `name` if it can stand in C and C++ sources as it is; raise `TinyctlError` otherwise."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name) or "__" in name or name in C_KEYWORDS:
        raise TinyctlError(
            f"{what} {name!r:.70} is not a plain C identifier", fix="use letters, digits and single underscores"
        )
    return name


@dataclass(frozen=True)
class Signal:
    """One scalar with its meaning. `low` and `high` are in `unit` and finite (JSON null: -1e6 and 1e6)."""

    name: str
    unit: str
    frame: str
    low: float
    high: float

    def __post_init__(self) -> None:
        check_identifier(self.name, "signal")
        for text, what in ((self.unit, "unit"), (self.frame, "frame")):
            if not re.fullmatch(r"[A-Za-z0-9_/^.%() -]{0,32}", text):  # it will stand in a C comment
                raise TinyctlError(
                    f"{what} {text!r:.40} has characters other than letters, digits, blanks and _/^.%()-",
                    where=f"signal {self.name}",
                )
        # The ranges are compared with float32 observations, on the host and on the board alike.
        low, high = _float32(self.low), _float32(self.high)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise TinyctlError(
                f"range [{self.low}, {self.high}] is not finite and increasing in float32", where=f"signal {self.name}"
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def _check_inside(self, value: float, what: str) -> float:
        value = _float32(value)
        if not self.low <= value <= self.high:
            raise TinyctlError(f"{what} {value} is outside [{self.low}, {self.high}]", where=f"signal {self.name}")
        return value


@dataclass(frozen=True)
class Input(Signal):
    """An input column. `on_nan` replaces a non-finite value; for `applied_action` it is also the value before the
    first step, and the column is filled from the controller's state instead of by the caller."""

    on_nan: float = 0.0
    source: Source = "observation"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "on_nan", self._check_inside(self.on_nan, "on_nan"))
        if self.source not in ("observation", "applied_action"):
            raise TinyctlError(
                f"source {self.source!r} is neither observation nor applied_action", where=f"signal {self.name}"
            )


@dataclass(frozen=True)
class Output(Signal):
    """An action. `safe` is what a guard applies instead of it when the controller must not be trusted."""

    safe: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "safe", self._check_inside(self.safe, "safe value"))


@dataclass(frozen=True)
class Contract:
    """Inputs, outputs, the rate at which the controller is stepped (Hz) and the delay assumed in training (s).

    The observation columns come first, in the caller's order. An `applied_action` input bears the name of the output
    whose last applied value it holds.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rate_hz: float
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        # One value, one text and one hash: 50 and 50.0 are the same rate, a list and a tuple the same signals.
        for name, plain in (("inputs", tuple), ("outputs", tuple), ("rate_hz", float), ("latency_s", float)):
            object.__setattr__(self, name, plain(getattr(self, name)))
        for signals, what in ((self.inputs, "inputs"), (self.outputs, "outputs")):
            if not 0 < len(signals) <= MAX_SIGNALS:
                raise TinyctlError(f"{len(signals)} {what}; 1 to {MAX_SIGNALS} are possible", where="contract")
            names = [s.name for s in signals]
            if len(set(names)) != len(names):
                twice = next(n for n in names if names.count(n) > 1)
                raise TinyctlError(f"two {what} are called {twice!r}", where="contract")
        if not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise TinyctlError(
                f"rate_hz {self.rate_hz} is not between {MIN_RATE_HZ} and {MAX_RATE_HZ:g}", where="contract"
            )
        if not 0 <= self.latency_s <= 10:
            raise TinyctlError(f"latency_s {self.latency_s} is not between 0 and 10", where="contract")
        sources = [s.source for s in self.inputs]
        if sources != sorted(sources, key=("observation", "applied_action").index):
            raise TinyctlError(
                "an observation column stands after an applied_action column",
                where="contract",
                fix="list the observations first",
            )
        if "observation" not in sources:
            raise TinyctlError("no input is an observation", where="contract")
        outputs = {s.name for s in self.outputs}
        for signal in self.inputs:
            if signal.source == "applied_action" and signal.name not in outputs:
                raise TinyctlError(f"applied_action {signal.name!r} is not the name of an output", where="contract")

    @property
    def n_obs(self) -> int:
        return sum(s.source == "observation" for s in self.inputs)

    @property
    def n_act(self) -> int:
        return len(self.outputs)

    @property
    def applied_outputs(self) -> tuple[int, ...]:
        """For each `applied_action` input, in order, the index of the output it remembers."""
        index = {s.name: i for i, s in enumerate(self.outputs)}
        return tuple(index[s.name] for s in self.inputs if s.source == "applied_action")

    def initial_applied(self) -> list[float]:
        """The action assumed applied before the first step: `on_nan` of its input column, else `safe`."""
        remembered = {s.name: s.on_nan for s in self.inputs if s.source == "applied_action"}
        return [remembered.get(s.name, s.safe) for s in self.outputs]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        def plain(signal: Signal) -> dict[str, Any]:
            record = {f.name: getattr(signal, f.name) for f in fields(signal)}
            return {
                **record,
                "low": None if record["low"] == -UNBOUNDED else record["low"],
                "high": None if record["high"] == UNBOUNDED else record["high"],
            }

        return {
            "inputs": [plain(s) for s in self.inputs],
            "outputs": [plain(s) for s in self.outputs],
            "rate_hz": self.rate_hz,
            "latency_s": self.latency_s,
        }

    @staticmethod
    def from_json(record: Any) -> Contract:
        """The contract a JSON object describes; raises `TinyctlError` for anything else."""
        if not isinstance(record, dict) or set(record) != {"inputs", "outputs", "rate_hz", "latency_s"}:
            raise TinyctlError("not an object of inputs, outputs, rate_hz and latency_s", where="contract")

        def signals(kind: type, key: str) -> tuple[Any, ...]:
            rows = record[key]
            if not isinstance(rows, list) or len(rows) > MAX_SIGNALS or not all(isinstance(r, dict) for r in rows):
                raise TinyctlError(f"{key} is not a list of at most {MAX_SIGNALS} objects", where="contract")
            return tuple(record_from_json(kind, {**row, **_finite_range(row)}, where=f"contract {key}") for row in rows)

        body = {"rate_hz": record["rate_hz"], "latency_s": record["latency_s"]}
        return record_from_json(
            Contract,
            {**body, "inputs": signals(Input, "inputs"), "outputs": signals(Output, "outputs")},
            where="contract",
        )


def _finite_range(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row.get("low"), row.get("high")
    return {"low": -UNBOUNDED if low is None else low, "high": UNBOUNDED if high is None else high}
