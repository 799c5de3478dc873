"""The text of a specification, read into a tree. A text may come from anyone: nothing in it is executed, and what is
wrong is told with its line and column.

    formula     implies (the weakest, to the right), or, and, until[a,b], then not, always[a,b], eventually[a,b]
    comparison  sum < sum, also <=, >, >=
    sum         + - * / and a minus in front, of numbers, signals, [vectors], abs( ), norm( ), min( , ), max( , )

Parentheses go round either. Times are in seconds from the moment at which the formula is asked, `end` is that of the
flight, and an operator without an interval reaches to it. Temporal operators as in Maler and Nickovic, *Monitoring
Temporal Properties of Continuous Signals*, FORMATS 2004.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from tinyctl.errors import TinyctlError

MAX_CHARACTERS = 10_000
MAX_TERMS = 200
MAX_NESTING = 40
LARGEST = 3.4e38  # of a number: about the largest float32
COMPARISONS = ("<", "<=", ">", ">=")
TIMED = ("always", "eventually", "until")
TRUTHS = (*COMPARISONS, *TIMED, "not", "and", "or", "implies")  # operators that give true or false
FUNCTIONS = ("abs", "norm", "min", "max")
# How strongly an infix operator binds, and a prefix one its operand.
INFIX = {"implies": 1, "or": 2, "and": 3, "until": 4, **dict.fromkeys(COMPARISONS, 6), "+": 7, "-": 7, "*": 8, "/": 8}
PREFIX = {"not": 5, "always": 5, "eventually": 5, "-": 9}
TOKEN = re.compile(
    r"(?P<blank>\s+|#[^\n]*)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<name>[A-Za-z]\w*(?:\.[A-Za-z]\w*)?)(?![\w.])|(?P<sign><=|>=|[<>()\[\],+*/-])",
    re.ASCII,
)


@dataclass(frozen=True)
class Term:
    """One operator with its operands. `op` is an operator or function as written (a minus in front is `negate`),
    `number`, `name` or `vector`. `value` is the number, the name, or the interval in s. `at` is its line and column."""

    op: str
    args: tuple[Term, ...] = ()
    value: float | str | tuple[float, float] | None = None
    at: tuple[int, int] = (1, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Of a temporal operator, in s; the second may be infinite."""
        assert isinstance(self.value, tuple)
        return self.value

    @property
    def number(self) -> float:
        """Of a number."""
        assert isinstance(self.value, float)
        return self.value

    def fail(self, what: str, fix: str | None = None) -> NoReturn:
        """Raise `TinyctlError` about this place of the text."""
        raise TinyctlError(what, where=place(self.at), fix=fix)


@dataclass(frozen=True)
class Specification:
    """A formula with the name it is reported under."""

    name: str
    text: str
    formula: Term


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    at: tuple[int, int]


def place(at: tuple[int, int]) -> str:
    return f"specification, line {at[0]}, column {at[1]}"


def parse(text: str, signals: Mapping[str, Term] | None = None) -> Term:
    """The tree of a formula; `signals` are names that stand for sums. Raises `TinyctlError` for anything else."""
    found = _Parser(_tokens(text), signals or {}).whole()
    if found.op not in TRUTHS:
        found.fail("this is a number and says nothing of right or wrong", "compare it: ... < 0.2")
    return found


def parse_signal(text: str) -> Term:
    """The tree of a sum, which a name may stand for."""
    found = _Parser(_tokens(text), {}).whole()
    if found.op in TRUTHS:
        found.fail("this is right or wrong, not a number")
    return found


def _tokens(text: str) -> list[Token]:
    if len(text) > MAX_CHARACTERS:
        raise TinyctlError(f"longer than {MAX_CHARACTERS} characters", where="specification")
    found, position, line, start = [], 0, 1, 0
    while position < len(text):
        at = (line, position - start + 1)
        match = TOKEN.match(text, position)
        if match is None:
            raise TinyctlError(f"{text[position : position + 12]!r} cannot stand here", where=place(at))
        if match.lastgroup != "blank":
            found.append(Token(str(match.lastgroup), match.group(), at))
        elif "\n" in match.group():
            line, start = line + match.group().count("\n"), position + match.group().rfind("\n") + 1
        position = match.end()
    return [*found, Token("end", "", (line, position - start + 1))]


class _Parser:
    """Operator precedence (Pratt, *Top down operator precedence*, 1973)."""

    def __init__(self, tokens: list[Token], signals: Mapping[str, Term]) -> None:
        self.tokens, self.signals = tokens, signals
        self.next = self.depth = self.terms = 0

    def whole(self) -> Term:
        found = self.expression(0)
        if self.token.kind != "end":
            self.refuse("an operator or the end")
        return found

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def take(self, text: str | None = None) -> Token:
        token = self.token
        if text is not None and (token.text != text or token.kind == "end"):
            self.refuse(repr(text))
        self.next += 1
        return token

    def refuse(self, wanted: str) -> NoReturn:
        said = repr(self.token.text[:40]) if self.token.kind != "end" else "the end"
        raise TinyctlError(f"{wanted} should stand here, not {said}", where=place(self.token.at))

    def term(self, op: str, args: tuple[Term, ...], at: tuple[int, int], value: float | str | tuple[float, float] | None
             = None) -> Term:  # fmt: skip
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise TinyctlError(f"more than {MAX_TERMS} operators, numbers and names", where=place(at))
        logical = op in ("not", "and", "or", "implies", *TIMED)
        for arg in args:
            if (arg.op in TRUTHS) != logical:
                what = "a formula, which is right or wrong" if logical else "a number"
                arg.fail(f"{op!r} takes {what}", "compare it: ... < 0.2" if logical else None)
        return Term(op, args, value, at)

    def expression(self, power: int) -> Term:
        """As much as binds more strongly than `power`."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TinyctlError(f"nested more than {MAX_NESTING} deep", where=place(self.token.at))
        left = self.prefix()
        while self.token.text in INFIX and INFIX[self.token.text] > power:
            op = self.take()
            bound = INFIX[op.text]
            value = self.interval() if op.text == "until" else None
            right = self.expression(bound - 1 if op.text == "implies" else bound)
            left = self.term(op.text, (left, right), op.at, value)
            if op.text in (*COMPARISONS, "until") and INFIX.get(self.token.text) == bound:
                self.refuse("'and', or parentheses,")
        self.depth -= 1
        return left

    def prefix(self) -> Term:
        token = self.take()
        if token.text in PREFIX:
            value = self.interval() if token.text in TIMED else None
            op = "negate" if token.text == "-" else token.text
            return self.term(op, (self.expression(PREFIX[token.text]),), token.at, value)
        if token.text == "(":
            inside = self.expression(0)
            self.take(")")
            return inside
        if token.text == "[":
            return self.term("vector", self.several("]"), token.at)
        if token.kind == "number":
            return self.term("number", (), token.at, self.number(token))
        if token.kind != "name" or token.text in INFIX or token.text == "end":
            self.next -= 1
            self.refuse("a number, a signal, a formula or '('")
        if token.text in FUNCTIONS:
            self.take("(")
            return self.term(token.text, self.several(")"), token.at)
        if token.text in self.signals:
            self.terms += _size(self.signals[token.text])
            return self.signals[token.text]
        return self.term("name", (), token.at, token.text)

    def several(self, close: str) -> tuple[Term, ...]:
        found = [self.expression(0)]
        while self.token.text == ",":
            self.take()
            found.append(self.expression(0))
        self.take(close)
        return tuple(found)

    def interval(self) -> tuple[float, float]:
        if self.token.text != "[":
            return 0.0, math.inf
        at = self.take().at
        low = self.number(self.take())
        self.take(",")
        last = self.take()
        high = math.inf if last.text == "end" else self.number(last)
        self.take("]")
        if low > high:
            raise TinyctlError(f"the interval from {low:g} to {high:g} s is empty", where=place(at))
        return low, high

    def number(self, token: Token) -> float:
        if token.kind != "number" or (value := float(token.text)) > LARGEST:
            self.next -= 1
            self.refuse("a number that float32 can hold")
        return value


def _size(term: Term) -> int:
    return 1 + sum(map(_size, term.args))
