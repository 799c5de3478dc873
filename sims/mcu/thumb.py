"""Kinds of Thumb data processing that cores with two pipelines tell apart."""

from __future__ import annotations

from tinyctl.sims.mcu.decode import Instruction, Kind

# The beginnings of mnemonics.
MULTIPLIES = tuple("mul mla mls smul umul smla umla smmul smmla smmls smu sml umaal".split())
BIT_FIELDS = tuple("sbfx ubfx rbit rev clz".split())
# Bit fields, extensions, packing, SIMD, saturation: the unit for these is there once.
FIELD_AND_SIMD = (
    *BIT_FIELDS,
    *"bfi bfc sxt uxt pkh qadd qsub qdadd qdsub qasx qsax ssat usat sel usad sadd ssub uadd usub".split(),
    *"shadd shsub uhadd uhsub uqadd uqsub sasx ssax uasx usax".split(),
)


def multiplies(instruction: Instruction) -> bool:
    return instruction.kind is Kind.ALU and instruction.name.startswith(MULTIPLIES)


def field_or_simd(instruction: Instruction) -> bool:
    return instruction.kind is Kind.ALU and instruction.name.startswith(FIELD_AND_SIMD)


def shifts_operand(instruction: Instruction) -> bool:
    """Its second operand goes through the shifter."""
    return bool(instruction.shifted) and not field_or_simd(instruction)


def double(instruction: Instruction) -> bool:
    return ".f64" in instruction.text
