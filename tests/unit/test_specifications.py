"""Specifications: the grammar refuses what is not one, and the fast evaluation is the definition."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyctl.errors import TinyctlError
from tinyctl.specifications.formula import MAX_NESTING, MAX_TERMS, Term, parse
from tinyctl.specifications.semantics import bind, check_ends, evaluate, robustness_leaf, truth_leaf

RATE_HZ = 10.0
KNOWN = {"x": ("x",), "y": ("y",), "p": ("x", "y", "z"), "z": ("z",)}
HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

numbers = st.integers(-3, 3).map(float)
comparisons = st.builds(
    lambda op, name, number: f"{name} {op} {number}",
    st.sampled_from([*HOLDS]),
    st.sampled_from("xyz"),
    st.integers(0, 2),
)
intervals = st.one_of(
    st.just(""),
    st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda ends: f"[{min(ends) / 10}, {max(ends) / 10}]"),
    st.integers(0, 6).map(lambda low: f"[{low / 10}, end]"),
)
formulas = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda a: f"not ({a})", inner),
        st.builds(lambda op, a, b: f"({a}) {op} ({b})", st.sampled_from(["and", "or", "implies"]), inner, inner),
        st.builds(lambda op, i, a: f"{op}{i} ({a})", st.sampled_from(["always", "eventually"]), intervals, inner),
        st.builds(lambda i, a, b: f"({a}) until{i} ({b})", intervals, inner, inner),
    ),
    max_leaves=6,
)
traces = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=12)


def defined(term: Term, trace: list[tuple[float, float, float]], k: int, truth: bool) -> float:
    """The robustness (or with `truth` 1 and -1) of a formula at sample `k`, by the definition, quantifier by
    quantifier."""

    def at(i: int, when: int) -> float:
        return defined(term.args[i], trace, when, truth)

    if term.op in HOLDS:
        left, right = trace[k]["xyz".index(str(term.args[0].value))], float(term.args[1].value)  # type: ignore[arg-type]
        if truth:
            return 1.0 if HOLDS[term.op](left, right) else -1.0
        return right - left if term.op in ("<", "<=") else left - right
    if term.op == "not":
        return -at(0, k)
    if term.op in ("and", "or"):
        return (min if term.op == "and" else max)(at(0, k), at(1, k))
    if term.op == "implies":
        return max(-at(0, k), at(1, k))
    low, high = term.interval
    window = [j for j in range(k, len(trace)) if low - 1e-9 <= (j - k) / RATE_HZ <= high + 1e-9]
    if term.op == "always":
        return min((at(0, j) for j in window), default=math.inf)
    if term.op == "eventually":
        return max((at(0, j) for j in window), default=-math.inf)
    return max((min([at(1, j), *(at(0, i) for i in range(k, j))]) for j in window), default=-math.inf)


def signals(traces: list[list[tuple[float, float, float]]]) -> dict[str, Any]:
    return {
        name: np.array([[row[i] for row in trace] for trace in traces], np.float32).T for i, name in enumerate("xyz")
    }


@settings(max_examples=150, deadline=None)
@given(formulas, traces)
def test_robustness_and_truth_are_the_definitions(text: str, trace: list[tuple[float, float, float]]) -> None:
    term = bind(parse(text), KNOWN)
    columns = signals([trace, trace[::-1]])
    for leaf, truth in ((robustness_leaf, False), (truth_leaf, True)):
        found = evaluate(term, columns, RATE_HZ, leaf)
        for episode, row in enumerate((trace, trace[::-1])):
            assert found[:, episode].tolist() == [defined(term, row, k, truth) for k in range(len(row))]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="xyp12.[](),<>=-+*/ \nnotandorimpliesalwayseventuallyuntilend#", max_size=40))
def test_hostile_text_is_refused_in_one_line(text: str) -> None:
    told = "specification"
    try:
        bind(parse(text), KNOWN)
    except TinyctlError as error:
        told = str(error)
    assert "specification" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("always[0, 1] x <", "line 1, column 17"),
        ("x < 1 and\n  x $ 2", "line 2, column 5"),
        ("x + 1", "says nothing of right or wrong"),
        ("not x", "'not' takes a formula"),
        ("(x < 1) < 2", "'<' takes a number"),
        ("x < 1 < 2", "'and', or parentheses,"),
        ("always[2, 1] x < 1", "from 2 to 1 s is empty"),
        ("always[0, 0.5 x < 1", "']' should stand here"),
        ("always[0, q] x < 1", "a number"),
        ("unknown < 1", "no signal is called 'unknown'"),
        ("p < 1", "a vector of 3"),
        ("p - [x, y] < 1", "3 and 2 elements"),
        ("1 < 2", "compares no signal"),
        ("x < 1e999", "float32"),
        ("__import__('os') < 1", "cannot stand here"),
        ("(" * 500 + "x < 1", f"nested more than {MAX_NESTING}"),
        ("x" + " + x" * 500 + " < 1", f"more than {MAX_TERMS}"),
        ("", "the end"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, told: str) -> None:
    with pytest.raises(TinyctlError) as caught:
        bind(parse(text), KNOWN)
    assert told in str(caught.value)


def test_operators_bind_as_documented() -> None:
    same = {
        "always[0, 1] x < 1 and y < 1": "(always[0, 1] (x < 1)) and (y < 1)",
        "x < 1 or y < 1 and z < 1": "(x < 1) or ((y < 1) and (z < 1))",
        "x < 1 implies y < 1 implies z < 1": "(x < 1) implies ((y < 1) implies (z < 1))",
        "not x < 1 until[0, 1] eventually y < 1": "(not (x < 1)) until[0, 1] (eventually (y < 1))",
        "x - y - -z * 2 < norm(p)": "((x - y) - ((-z) * 2)) < norm(p)",
    }
    for short, long in same.items():
        assert without_places(parse(short)) == without_places(parse(long))


def without_places(term: Term) -> Any:
    return term.op, term.value, [without_places(arg) for arg in term.args]


def test_what_is_no_number_violates_below_a_negation_too() -> None:
    broken = {"x": np.array([[np.nan]], np.float32)}
    for text in ("x < 1", "not x < 1", "not (x < 1 implies x > 1)"):
        assert evaluate(bind(parse(text), KNOWN), broken, RATE_HZ, robustness_leaf)[0, 0] == -np.inf
        assert evaluate(bind(parse(text), KNOWN), broken, RATE_HZ, truth_leaf)[0, 0] == -1


def test_sums_are_of_float32_and_vectors_element_by_element() -> None:
    columns = {
        "x": np.array([[3.0]], np.float32),
        "y": np.array([[4.0]], np.float32),
        "z": np.array([[-1.0]], np.float32),
    }
    cases = {
        "norm([x, y]) <= 5": 0.0,
        "norm(p - [3, 4, 1]) < 5": 3.0,
        "max(p) < 5": 1.0,
        "min(abs(p)) > 0": 1.0,
        "x / 2 + 2 * y > 9": 0.5,
        "-p * 0 + [1, 1, 1] < 2": None,
    }
    for text, robustness in cases.items():
        if robustness is None:
            with pytest.raises(TinyctlError, match="vector of 3"):
                bind(parse(text), KNOWN)
        else:
            assert evaluate(bind(parse(text), KNOWN), columns, RATE_HZ, robustness_leaf)[0, 0] == robustness


def test_what_lies_behind_the_flight_is_refused() -> None:
    check_ends(bind(parse("always[0, 99] eventually[0, 99] x < 1"), KNOWN), RATE_HZ, 50)
    with pytest.raises(TinyctlError, match="begins 6 s after take-off, the flight lasts 5 s"):
        check_ends(bind(parse("always[3, 4] eventually[3, 4] x < 1"), KNOWN), RATE_HZ, 50)
    with pytest.raises(TinyctlError, match=r"no sample lies between 0\.01 and 0\.02 s at 10 Hz"):
        check_ends(bind(parse("always[0.01, 0.02] x < 1"), KNOWN), RATE_HZ, 50)
