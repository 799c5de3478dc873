"""Kinds of Thumb data processing that cores with two pipelines tell apart."""

from __future__ import annotations

import re

from tinyctl.sims.mcu.decode import Instruction, Kind

# Beginnings of mnemonics.
MULTIPLY = re.compile("mul|ml[as]|smu|umul|sml|uml|smm|umaal")
BIT_FIELD = re.compile("[su]bfx|rbit|rev|clz")
# Bit fields, extensions, packing, SIMD, saturation: the unit for these is there once.
FIELD_OR_SIMD = re.compile(
    "[su]bfx|rbit|rev|clz|bf[ic]|[su]xt|pkh|[su]sat|sel|usad|qd?(add|sub)|(s|u|sh|uh|q|uq)(add|sub|asx|sax)"
)


def multiplies(instruction: Instruction) -> bool:
    return instruction.kind is Kind.ALU and MULTIPLY.match(instruction.name) is not None


def field_or_simd(instruction: Instruction) -> bool:
    return instruction.kind is Kind.ALU and FIELD_OR_SIMD.match(instruction.name) is not None


def shifts_operand(instruction: Instruction) -> bool:
    """Its second operand goes through the shifter."""
    return bool(instruction.shifted) and not field_or_simd(instruction)


def double(instruction: Instruction) -> bool:
    return ".f64" in instruction.text
