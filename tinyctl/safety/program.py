"""Straight-line float32 arithmetic from a CasADi expression: run by NumPy, written as C, the same bits from both.

Only sums, differences, products and negation: each is exact to the last bit everywhere, which a sine is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, FLT_MAX, Array

MAX_STEPS = 4096
FORMS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "neg": "-{0}",
    "sq": "{0} * {0}",
    "twice": "{0} + {0}",
}
READS = {"add": 2, "sub": 2, "mul": 2, "neg": 1, "sq": 1, "twice": 1}


@dataclass(frozen=True)
class Program:
    """`steps` are (operation, first, second): `input` (which, column), `const` (value, 0), or one of `FORMS` on earlier
    steps. `inputs` are the widths of what it reads, `outputs` the steps whose values it gives."""

    inputs: tuple[int, ...]
    steps: tuple[tuple[str, float, float], ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        """Every index is checked: a program may come from a file and becomes C."""
        object.__setattr__(self, "steps", tuple((op, float(a), float(b)) for op, a, b in self.steps))
        if len(self.steps) > MAX_STEPS or not all(isinstance(v, int) and 0 < v <= MAX_STEPS for v in self.inputs):
            raise TinyctlError("too long, or inputs that are not widths", where="program")
        for n, (op, a, b) in enumerate(self.steps):
            good = (
                (op in FORMS and all(_index(v, n) for v in (a, b)[: READS[op]]))
                or (op == "input" and _index(a, len(self.inputs)) and _index(b, self.inputs[int(a)]))
                or (op == "const" and abs(a) < FLT_MAX)
            )
            if not good:
                raise TinyctlError(f"step {n} is none of the operations, or reads what is not there", where="program")
        if not all(_index(v, len(self.steps)) for v in self.outputs):
            raise TinyctlError("an output is not a step", where="program")

    def run(self, *inputs: Array) -> Array:
        """Arrays (n, width) float32 to (n, outputs) float32."""
        values: list[Array] = []
        for op, a, b in self.steps:
            if op == "input":
                values.append(inputs[int(a)][:, int(b)])
            elif op == "const":
                values.append(np.full(len(inputs[0]), a, F32))
            else:
                values.append(_compute(op, *(values[int(v)] for v in (a, b)[: READS[op]])))
        return np.stack([values[n] for n in self.outputs], axis=1)

    def reads(self, which: int) -> set[int]:
        """The columns of an input that it reads."""
        return {int(b) for op, a, b in self.steps if op == "input" and int(a) == which}

    def lines(self, inputs: Sequence[str]) -> tuple[list[str], list[str]]:
        """C statements, and the expression of each output; `inputs` are the names of float arrays."""
        text: list[str] = []
        names: list[str] = []
        for n, (op, a, b) in enumerate(self.steps):
            if op == "input":
                names.append(f"{inputs[int(a)]}[{int(b)}]")
            elif op == "const":
                names.append(literal(F32(a)))
            else:
                names.append(f"t{n}")
                text.append(f"const float t{n} = {FORMS[op].format(*(names[int(v)] for v in (a, b)[: READS[op]]))};")
        return text, [names[n] for n in self.outputs]


def program_of(f: Any) -> Program:
    """The program of a casadi.Function of SX columns with one output."""
    import casadi

    known = {getattr(casadi, f"OP_{name.upper()}"): name for name in FORMS}
    steps: list[tuple[str, float, float]] = []
    slot: dict[int, int] = {}
    outputs = [0] * f.numel_out(0)
    for n in range(f.n_instructions()):
        op, reads, writes = f.instruction_id(n), f.instruction_input(n), f.instruction_output(n)
        if op == casadi.OP_OUTPUT:
            outputs[writes[1]] = slot[reads[0]]
            continue
        if op == casadi.OP_CONST:
            steps.append(("const", float(F32(f.instruction_constant(n))), 0))
        elif op == casadi.OP_INPUT:
            steps.append(("input", reads[0], reads[1]))
        elif op in known:
            first, second = (*(slot[r] for r in reads), 0)[:2]
            steps.append((known[op], first, second))
        else:
            raise TinyctlError(f"operation number {op} is not a sum or product", where=f"function {f.name()}")
        slot[writes[0]] = len(steps) - 1
    return Program(tuple(f.numel_in(i) for i in range(f.n_in())), tuple(steps), tuple(outputs))


def literal(value: np.float32) -> str:
    """A finite float32 as C text that reads back the same, in parentheses where it is negative."""
    text = str(value)
    text = f"{text}f" if any(c in text for c in ".e") else f"{text}.0f"
    return text if text[0] != "-" else f"({text})"


def _compute(op: str, x: Array, y: Array | None = None) -> Array:
    match op:
        case "neg":
            return -x
        case "sq":
            return x * x
        case "twice":
            return x + x
    assert y is not None
    return x + y if op == "add" else x - y if op == "sub" else x * y


def _index(value: float, count: int) -> bool:
    return float(value).is_integer() and 0 <= value < count
