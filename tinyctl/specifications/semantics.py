"""What a formula means on sampled signals: for each episode whether it holds, and by how much.

Samples are `1 / rate_hz` apart; an interval [a, b] stands for the samples in it. A trace is finite: an interval ends
with it, `always` over no sample holds, `eventually` and `until` do not. Robustness as in Donze and Maler, *Robust
Satisfaction of Temporal Logic over Real-Valued Signals*, FORMATS 2010; a value that is not a number violates every
comparison it enters, below a `not` too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.specifications.formula import COMPARISONS, TIMED, TRUTHS, Term

Leaf: TypeAlias = Callable[[str, Array, Array], Array]  # comparison, left, right -> samples that hold where positive
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
TINY = np.finfo(F32).tiny
HOLDS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def bind(term: Term, known: Mapping[str, tuple[str, ...]]) -> Term:
    """The formula with every name resolved to `column` terms, and no vectors left. `known` are the names there are,
    each with its columns. Raises `TinyctlError` for others, and where vectors do not fit together."""
    if term.op in COMPARISONS:
        bound = Term(term.op, tuple(_scalar(side, known) for side in term.args), None, term.at)
        return bound if columns_of(bound) else term.fail("compares no signal")
    if term.op in TRUTHS:
        return Term(term.op, tuple(bind(arg, known) for arg in term.args), term.value, term.at)
    return _scalar(term, known)


def _scalar(term: Term, known: Mapping[str, tuple[str, ...]]) -> Term:
    found = _elements(term, known)
    if len(found) != 1:
        term.fail(f"a vector of {len(found)} cannot be compared", "take its norm(), or one of its elements")
    return found[0]


def _elements(term: Term, known: Mapping[str, tuple[str, ...]]) -> list[Term]:
    """A numeric term as the scalars it consists of."""
    if term.op == "name":
        if term.value not in known:
            names = ", ".join(sorted(name for name in known if "." not in name))
            term.fail(f"no signal is called {term.value!r:.70}", f"one of {names}")
        return [Term("column", (), column, term.at) for column in known[str(term.value)]]
    parts = [_elements(arg, known) for arg in term.args]
    if term.op in ("vector", "norm", "min", "max"):
        flat = tuple(element for part in parts for element in part)
        if term.op != "vector" and len(parts) > 1 and any(len(part) > 1 for part in parts):
            term.fail(f"{term.op}() takes numbers or one vector", f"join them: {term.op}([a, b])")
        return list(flat) if term.op == "vector" else [Term(term.op, flat, None, term.at)]
    if term.op == "abs" and len(parts) != 1:
        term.fail("abs() takes one number or vector")
    width = max((len(part) for part in parts), default=1)
    if any(len(part) not in (1, width) for part in parts):
        term.fail(f"{term.op!r} joins vectors of {len(parts[0])} and {len(parts[1])} elements")
    rows = [part * (width // len(part)) for part in parts]
    return [Term(term.op, tuple(row[i] for row in rows), term.value, term.at) for i in range(width)]


def columns_of(term: Term) -> set[str]:
    """The columns a bound formula reads."""
    own = {str(term.value)} if term.op == "column" else set()
    return own.union(*map(columns_of, term.args))


def samples(term: Term, rate_hz: float) -> tuple[int, int | None]:
    """First and last sample of a temporal operator's interval, counted from now; None is the end of the flight."""
    low, high = term.interval
    first = math.ceil(round(low * rate_hz, 6))
    if math.isinf(high):
        return first, None
    last = math.floor(round(high * rate_hz, 6))
    if last < first:
        term.fail(f"no sample lies between {low:g} and {high:g} s at {rate_hz:g} Hz")
    return first, last


def check_ends(term: Term, rate_hz: float, last: int, start: int = 0) -> None:
    """Refuse a bound formula that asks only for what lies behind the flight's last sample."""
    if term.op in TIMED:
        start += samples(term, rate_hz)[0]
        if start > last:
            term.fail(f"begins {start / rate_hz:g} s after take-off, the flight lasts {last / rate_hz:g} s")
    for arg in term.args:
        check_ends(arg, rate_hz, last, start)


def evaluate(term: Term, signals: Mapping[str, Array], rate_hz: float, leaf: Leaf, positive: bool = True) -> Array:
    """A bound formula at every sample, (samples, episodes) float32: by how much it holds, or with `positive` off its
    negation. `signals` are the columns, (samples, episodes) float32."""

    def part(i: int, sense: bool = positive) -> Array:
        return evaluate(term.args[i], signals, rate_hz, leaf, sense)

    if term.op in COMPARISONS:
        left, right = (value(arg, signals) for arg in term.args)
        return leaf(term.op if positive else OPPOSITE[term.op], left, right)
    if term.op == "not":
        return part(0, not positive)
    if term.op in ("and", "or", "implies"):
        pair = part(0, positive != (term.op == "implies")), part(1)
        return np.minimum(*pair) if (term.op == "and") == positive else np.maximum(*pair)
    first, last = samples(term, rate_hz)
    if term.op == "until":
        sign = F32(1 if positive else -1)
        return sign * _until(sign * part(0), sign * part(1), first, last)
    lowest = (term.op == "always") == positive
    return _lowest(part(0), first, last) if lowest else -_lowest(-part(0), first, last)


def robustness_leaf(op: str, left: Array, right: Array) -> Array:
    """The distance from the other truth, negative where the comparison fails."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = right - left if op in ("<", "<=") else left - right
    return np.where(np.isnan(gap), F32(-np.inf), gap)


def truth_leaf(op: str, left: Array, right: Array) -> Array:
    """1 where the comparison holds, else -1: the same algebra then gives the truth of the formula."""
    return np.where(HOLDS[op](left, right), F32(1), F32(-1))


def value(term: Term, signals: Mapping[str, Array]) -> Array:
    """A bound sum, every operation rounded to float32 in the order written; sums of squares below the smallest normal
    number are zero."""
    if term.op == "number":
        return np.array(term.value, F32)
    if term.op == "column":
        return signals[str(term.value)]
    args = [value(arg, signals) for arg in term.args]
    with np.errstate(all="ignore"):
        if term.op == "norm":
            total = args[0] * args[0]
            for arg in args[1:]:
                total = total + arg * arg
            return np.where(total < TINY, F32(0), np.sqrt(total))
        if term.op in ("min", "max"):
            found = args[0]
            for arg in args[1:]:  # what stands first stays where the two cannot be compared, as in C
                found = np.where(HOLDS["<" if term.op == "min" else ">"](arg, found), arg, found)
            return found
        if term.op in ("abs", "negate"):
            return np.abs(args[0]) if term.op == "abs" else -args[0]
        if term.op in ARITHMETIC:
            return np.asarray(ARITHMETIC[term.op](*args))
    raise TinyctlError(f"operator {term.op!r:.20} has no value")


ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def _lowest(x: Array, first: int, last: int | None) -> Array:
    """The least of the samples from `first` to `last` later, infinity where the trace has none of them.

    Each window is the end of one block and the beginning of the next, so that the time does not depend on its length
    (van Herk, *Pattern Recognition Letters* 13, 1992).
    """
    n = len(x)
    ahead = np.concatenate([x[first:], np.full((min(first, n), *x.shape[1:]), np.inf, F32)])
    width = n if last is None else min(last - first + 1, n)
    blocks = -(-(n + width - 1) // width)
    padded = np.full((blocks * width, *x.shape[1:]), np.inf, F32)
    padded[:n] = ahead
    shaped = padded.reshape(blocks, width, *x.shape[1:])
    begun = np.minimum.accumulate(shaped, axis=1).reshape(padded.shape)
    ended = np.minimum.accumulate(shaped[:, ::-1], axis=1)[:, ::-1].reshape(padded.shape)
    return np.minimum(ended[:n], begun[width - 1 : width - 1 + n])


def _until(holds: Array, comes: Array, first: int, last: int | None) -> Array:
    """`comes` at some sample of the window, and `holds` at all before it, the present one included.

    Linear in time: with a window it is `until` without an end, and `eventually` in the window (Donze, Ferrere and
    Maler, *Efficient Robust Monitoring for STL*, CAV 2013).
    """
    n = len(comes)
    open_end = np.full((n + 1, *comes.shape[1:]), -np.inf, F32)
    for k in range(n - 1, -1, -1):
        open_end[k] = np.maximum(comes[k], np.minimum(holds[k], open_end[k + 1]))
    later = np.concatenate([open_end[first:n], np.full((min(first, n), *comes.shape[1:]), -np.inf, F32)])
    found = np.minimum(later, _lowest(holds, 0, first - 1)) if first else later
    return found if last is None else np.minimum(found, -_lowest(-comes, first, last))
