"""Specifications watched on board: what is emitted beside a controller, and in NumPy what it computes.

A monitor reads the observations and actions of every step. A formula looks a bounded time ahead, its horizon, so it is
judged that much later, when all that it asks for has been seen; until then it is not violated. Memory is a counter for
each temporal operator, and bits where two sides of a formula look ahead differently far. No path depends on data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.specifications.flights import contract_groups, names_of
from tinyctl.specifications.formula import COMPARISONS, FUNCTIONS, TIMED, Specification, Term
from tinyctl.specifications.semantics import OPPOSITE, bind, evaluate, samples, truth_leaf
from tinyctl.templates import literal, template
from tinyctl.version import VERSION

MOST = 32  # specifications: a bit of the status word each
LONGEST = 1 << 20  # samples that a formula looks ahead


@dataclass(frozen=True)
class Monitor:
    """What watches the controllers of a contract. Refuses signals that the contract has not, operators without an end,
    `until` and division, whose time or memory would not be bounded or whose bits differ between libraries."""

    contract: Contract
    specifications: tuple[Specification, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.specifications) <= MOST:
            raise TinyctlError(f"a monitor watches 1 to {MOST} specifications, not {len(self.specifications)}")
        for formula in self.formulas:
            _check(formula)
            if self.horizon(formula) >= LONGEST:
                formula.fail(f"looks ahead {LONGEST} samples or more", "a shorter interval")

    @cached_property
    def formulas(self) -> tuple[Term, ...]:
        """In terms of the contract's columns."""
        known = names_of(contract_groups(self.contract))
        return tuple(bind(s.formula, known) for s in self.specifications)

    def horizon(self, term: Term) -> int:
        """The samples that a formula looks ahead."""
        own = samples(term, self.contract.rate_hz)[1] if term.op in TIMED else 0
        return (own or 0) + max(map(self.horizon, term.args), default=0)

    def run(self, obs: Array, act: Array) -> Array:
        """The words (steps, n) uint32 of observations (steps, n, n_obs) and actions (steps, n, n_act), float32: bit i
        is set where specification i is violated. The definition of `NAME_monitor_step`."""
        names = [f"obs.{n}" for n in contract_groups(self.contract)["obs"]]
        signals = {name: obs[:, :, i] for i, name in enumerate(names)}
        signals |= {f"act.{s.name}": act[:, :, i] for i, s in enumerate(self.contract.outputs)}
        words = np.zeros(obs.shape[:2], np.uint32)
        for bit, formula in enumerate(self.formulas):
            first = self.horizon(formula)
            broken = evaluate(formula, signals, self.contract.rate_hz, truth_leaf) < 0
            words[first:] |= broken[: len(broken) - first].astype(np.uint32) << np.uint32(bit)
        return words

    def render(self, unit: str) -> dict[str, str]:
        """The C files, by name."""
        name = f"{unit}_monitor"
        program = _Program(self, name)
        for bit, formula in enumerate(self.formulas):
            program.watch(formula, bit)
        facts = {
            "unit": name,
            "macro": name.upper(),
            "version": VERSION,
            "n_obs": self.contract.n_obs,
            "n_act": self.contract.n_act,
            "formulas": [text_of(formula) for formula in self.formulas],
            "rate_hz": f"{self.contract.rate_hz:g}",
            **vars(program.made),
        }
        return {f"{name}.{kind}": template(f"monitor.{kind}.j2").render(facts) for kind in ("h", "c")}


@dataclass
class _Made:
    """What the templates write down: statements in order, and the state they need."""

    lines: list[str] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)
    runs: int = 0
    delays: int = 0
    words: int = 0
    oldest: int = 0  # samples after which every formula can be judged


class _Program:
    """Statements of C, each value computed once."""

    def __init__(self, monitor: Monitor, prefix: str) -> None:
        self.monitor, self.prefix, self.made = monitor, prefix, _Made()
        groups = contract_groups(monitor.contract).items()
        self.columns = {f"{group}.{name}": f"{group}[{i}]" for group, names in groups for i, name in enumerate(names)}
        self.known: dict[str, str] = {}

    def watch(self, formula: Term, bit: int) -> None:
        horizon = self.monitor.horizon(formula)
        held = self.truth(formula, True)
        self.made.oldest = max(self.made.oldest, horizon)
        known = f" & (uint32_t)(m->age >= {horizon}u)" if horizon else ""
        self.made.lines.append(f"violated |= (({held} ^ 1u){known}) << {bit};")

    def name(self, ctype: str, text: str) -> str:
        """A constant with this value."""
        if text not in self.known:
            self.known[text] = f"{'v' if ctype == 'float' else 't'}{len(self.known)}"
            self.made.lines.append(f"const {ctype} {self.known[text]} = {text};")
        return self.known[text]

    def truth(self, term: Term, positive: bool) -> str:
        """0 or 1, as late as the formula looks ahead; with `positive` off, of its negation."""
        if term.op in COMPARISONS:
            left, right = (self.value(arg) for arg in term.args)
            op = term.op if positive else OPPOSITE[term.op]
            return self.name("uint32_t", f"(uint32_t)({left} {op} {right})")
        if term.op == "not":
            return self.truth(term.args[0], not positive)
        if term.op in ("and", "or", "implies"):
            latest = self.monitor.horizon(term)
            senses = positive != (term.op == "implies"), positive
            pair = [self.delayed(self.truth(arg, sense), latest - self.monitor.horizon(arg))
                    for arg, sense in zip(term.args, senses, strict=True)]  # fmt: skip
            return self.name("uint32_t", f"{pair[0]} {'&' if (term.op == 'and') == positive else '|'} {pair[1]}")
        first, last = samples(term, self.monitor.contract.rate_hz)
        assert last is not None
        inverse = "" if (term.op == "always") == positive else " ^ 1u"
        inside = self.truth(term.args[0], positive)
        run, self.made.runs = self.made.runs, self.made.runs + 1
        held = f"{self.prefix}_held(&m->run[{run}], {last - first + 1}u, {inside}{inverse})"
        return self.name("uint32_t", held + inverse)

    def delayed(self, text: str, late: int) -> str:
        if not late:
            return text
        at, first = self.made.delays, self.made.words
        self.made.delays, self.made.words = at + 1, first + -(-late // 32)
        return self.name("uint32_t", f"{self.prefix}_before(&m->past[{first}], &m->at[{at}], {late}u, {text})")

    def value(self, term: Term) -> str:
        """A float."""
        if term.op == "number":
            return str(literal(F32(term.number)))
        if term.op == "column":
            return self.columns[str(term.value)]
        args = [self.value(arg) for arg in term.args]
        if term.op in ("+", "-", "*"):
            return self.name("float", f"{args[0]} {term.op} {args[1]}")
        if term.op == "negate":
            return self.name("float", f"-{args[0]}")
        self.made.helpers += [term.op] * (term.op not in self.made.helpers)
        if term.op == "abs":
            return self.name("float", f"{self.prefix}_abs({args[0]})")
        if term.op == "norm":
            total = self.name("float", f"{args[0]} * {args[0]}")
            for arg in args[1:]:
                total = self.name("float", f"{total} + {self.name('float', f'{arg} * {arg}')}")
            return self.name("float", f"{self.prefix}_root({total})")
        found = args[0]
        for arg in args[1:]:
            found = self.name("float", f"{self.prefix}_{term.op}({arg}, {found})")
        return found


def text_of(term: Term) -> str:
    """A bound formula as text, of nothing but names, numbers, operators and parentheses: it may stand in a comment."""
    if term.op == "number":
        return f"{float(F32(term.number)):.9g}"
    if term.op == "column":
        return str(term.value)
    if term.op in FUNCTIONS:
        return f"{term.op}({', '.join(map(text_of, term.args))})"
    args = [text_of(arg) if arg.op in ("number", "column", *FUNCTIONS) else f"({text_of(arg)})" for arg in term.args]
    low, high = term.interval if term.op in TIMED else (0.0, 0.0)
    op = f"{term.op}[{low:.9g}, {high:.9g}]" if term.op in TIMED else term.op
    if len(args) == 1:
        return f"-{args[0]}" if op == "negate" else f"{op} {args[0]}"
    return f"{args[0]} {op} {args[1]}"


def _check(term: Term) -> None:
    if term.op == "until":
        term.fail("a monitor has no until", "always and eventually with an interval")
    if term.op in TIMED and not np.isfinite(term.interval[1]):
        term.fail(f"a monitor cannot wait for the end of {term.op}", "give it an interval, such as [0, 1]")
    if term.op == "/":
        term.fail("a monitor does not divide", "multiply by the reciprocal")
    for arg in term.args:
        _check(arg)
