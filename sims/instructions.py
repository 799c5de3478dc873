"""CasADi's instruction list as C statements on one lane of a structure-of-arrays block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import casadi
import numpy as np

from tinyctl.errors import TinyctlError

_FORMS = {
    "OP_ASSIGN": "{0}", "OP_ADD": "{0} + {1}", "OP_SUB": "{0} - {1}", "OP_MUL": "{0} * {1}", "OP_DIV": "{0} / {1}",
    "OP_NEG": "-{0}", "OP_INV": "1.0f / {0}", "OP_SQ": "{0} * {0}", "OP_TWICE": "{0} + {0}",
    "OP_SQRT": "__builtin_sqrtf({0})", "OP_FABS": "__builtin_fabsf({0})",
    "OP_COPYSIGN": "__builtin_copysignf({0}, {1})",
    "OP_FMIN": "{0} < {1} ? {0} : {1}", "OP_FMAX": "{0} > {1} ? {0} : {1}", "OP_SIGN": "(float)(({0} > 0) - ({0} < 0))",
    "OP_LT": "{0} < {1}", "OP_LE": "{0} <= {1}", "OP_EQ": "{0} == {1}", "OP_NE": "{0} != {1}", "OP_NOT": "!{0}",
    "OP_AND": "{0} && {1}", "OP_OR": "{0} || {1}", "OP_IF_ELSE_ZERO": "{0} != 0 ? {1} : 0.0f",
    "OP_EXP": "__builtin_expf({0})", "OP_LOG": "__builtin_logf({0})", "OP_POW": "__builtin_powf({0}, {1})",
    "OP_CONSTPOW": "__builtin_powf({0}, {1})", "OP_SIN": "__builtin_sinf({0})", "OP_COS": "__builtin_cosf({0})",
    "OP_TAN": "__builtin_tanf({0})", "OP_ASIN": "__builtin_asinf({0})", "OP_ACOS": "__builtin_acosf({0})",
    "OP_ATAN": "__builtin_atanf({0})", "OP_ATAN2": "__builtin_atan2f({0}, {1})", "OP_TANH": "__builtin_tanhf({0})",
    "OP_SINH": "__builtin_sinhf({0})", "OP_COSH": "__builtin_coshf({0})",
}  # fmt: skip
_TEXT = {getattr(casadi, name): form for name, form in _FORMS.items()}


@dataclass(frozen=True)
class Argument:
    """An input or output of an emitted function: `rows` floats a lane."""

    name: str
    rows: int


@dataclass(frozen=True)
class Block:
    """One emitted function; `lines` is the body for lane `k`."""

    name: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    lines: tuple[str, ...]


def block_of(f: Any) -> Block:
    """The block of a casadi.Function of dense SX columns. Every intermediate value gets a name of its own.

    A value that divides more than once is inverted once: a division takes as long as five to ten products.
    """
    inputs = tuple(Argument(f.name_in(i), f.numel_in(i)) for i in range(f.n_in()))
    outputs = tuple(Argument(f.name_out(i), f.numel_out(i)) for i in range(f.n_out()))
    instructions = _instructions(f)
    divisors = Counter(operands[1] for op, operands, _ in instructions if op == casadi.OP_DIV)
    lines: list[str] = []
    inverted: set[int] = set()
    for n, (op, operands, place) in enumerate(instructions):
        if op == casadi.OP_OUTPUT:
            lines.append(f"{outputs[place[0]].name}[{place[1]} * LANES + k] = t{operands[0]};")
            continue
        if op == casadi.OP_CONST:
            value = literal(f.instruction_constant(n))
        elif op == casadi.OP_INPUT:
            value = f"{inputs[place[0]].name}[{place[1]} * LANES + k]"
        elif op == casadi.OP_DIV and divisors[operands[1]] > 1:
            if operands[1] not in inverted:
                inverted.add(operands[1])
                lines.append(f"const float r{operands[1]} = 1.0f / t{operands[1]};")
            value = f"t{operands[0]} * r{operands[1]}"
        elif op in _TEXT:
            value = _TEXT[op].format(*(f"t{m}" for m in operands))
        else:
            raise TinyctlError(f"CasADi operation number {op} has no C form", where=f"function {f.name()}")
        lines.append(f"const float t{n} = {value};")
    return Block(f.name(), inputs, outputs, tuple(lines))


def _instructions(f: Any) -> list[tuple[int, list[int], list[int]]]:
    """(operation, the numbers of the instructions that made its operands, (argument, row) where it reads an input or
    writes an output) of each instruction. CasADi's own lists name places of a work vector, which are used again."""
    made: dict[int, int] = {}
    found = []
    for n in range(f.n_instructions()):
        op, reads, writes = f.instruction_id(n), f.instruction_input(n), f.instruction_output(n)
        if op in (casadi.OP_INPUT, casadi.OP_CONST):
            operands, place = [], reads
        else:
            operands, place = [made[r] for r in reads], writes
        if op != casadi.OP_OUTPUT:
            made[writes[0]] = n
        found.append((op, operands, place))
    return found


def literal(value: float) -> str:
    """The float32 nearest to `value` as C text, shortest form that reads back the same."""
    rounded = np.float32(value)
    if not np.isfinite(rounded):
        raise TinyctlError(f"the constant {value} is not a finite float32")
    text = str(rounded)
    return f"{text}f" if text[0] != "-" else f"({text}f)"
