"""Cycles of the Cortex-M33: results that take a cycle more, and what little may be issued together.

EVIDENCE. Arm publishes no cycle table of the Cortex-M33. RP2350: measured by others on an RP2350, instruction by
instruction (jnk0le, "pipeline cycle test", cortex m33), for every rule that names no other source. Not compared with
measured programs. The instruction fetch never stalls but for cache misses.
"""

from __future__ import annotations

from functools import cache

from tinyctl.sims.mcu.decode import EXTEND_AND_ADD, THUMB, Instruction, Kind
from tinyctl.sims.mcu.pipeline import FP, LOAD, RESULT
from tinyctl.sims.mcu.scoreboard import (
    ADDEND,
    ALU,
    ALWAYS,
    MULTIPLY,
    NEVER,
    OPERAND,
    REGISTER,
    STORED,
    UNLESS_TAKEN,
    DualCore,
    Issue,
)
from tinyctl.sims.mcu.thumb import field_or_simd, multiplies

REFILL = 1  # a taken branch takes 2, and 1 when it was issued beside another
INDIRECT_REFILL = 2  # as the Cortex-M4's
DIVIDE = 11  # ARM 100230, Cortex-M33 Technical Reference Manual: 2 to 11 by operands; here the most
FP_DIVIDE = 14  # as the Cortex-M4's
UNALIGNED = 1  # as the Cortex-M4's

# Cycles until a result is ready for the ALU and addresses, and for the accumulator of a product (third).
MADE = (1, 1, 1)
SLOW = (2, 2, 2)  # an operand went through the shifter; DSP and SIMD
PRODUCT = (2, 2, 1)  # multiplications, and additions of an extended register
LOADED = (2, 2, 1)  # a store takes it after 1, too
# For an FP operand, the addend of a multiply-accumulate, a store.
FP_MADE = (2, 2, 2)
FP_FUSED = (4, 3, 4)
FP_LOADED = (1, 1, 1)
FP_MOVED = (1, 1, 1)  # from one core register; from two: FP_MADE
FP_MAC_BLOCKS = 2  # no other FP instruction in the two cycles behind a multiply-accumulate

ONE_STAGE = ("bfi", "bfc", "sbfx", "ubfx", "sxtb", "uxtb", "sxth", "uxth", "clz", "rev", "rbit")
MULTIPLES = frozenset(
    {
        Kind.LOAD_MULTIPLE,
        Kind.STORE_MULTIPLE,
        Kind.FP_LOAD_MULTIPLE,
        Kind.FP_STORE_MULTIPLE,
        Kind.FP_LOAD,
        Kind.FP_STORE,
    }
)


def pairs(older: Instruction, younger: Instruction) -> int:
    """Two 16-bit instructions, the younger a NOP, an IT or a branch. Behind one that makes flags a branch is for
    nothing only when it is not taken. IT goes with any."""
    if not older.size or older.branches:
        return NEVER
    if younger.name.startswith("it"):
        return ALWAYS
    if (older.size, younger.size) != (2, 2):
        return NEVER
    if younger.kind is Kind.BRANCH:
        return UNLESS_TAKEN if older.sets_flags else ALWAYS
    return ALWAYS if younger.name == "nop" and older.name != "nop" else NEVER


@cache
def issue(instruction: Instruction) -> Issue:
    """When an instruction's operands must be there, and when its results are."""
    kind = instruction.kind
    reads = [_read(name, instruction) for name in sorted(instruction.reads & REGISTER.keys())]
    cycles = _cycles(instruction)
    writes = []
    for name in sorted(instruction.writes & REGISTER.keys() - {"pc"}):
        ready = MADE if name in instruction.updated | {"flags", "fpscr"} else _after(instruction)
        later = 0 if name in instruction.updated or instruction.name == "muls" else cycles - 1
        writes.append((REGISTER[name], later + ready[0], later + ready[1], later + ready[2]))
    cause = RESULT
    if kind in (Kind.LOAD, Kind.LOAD_MULTIPLE, Kind.FP_LOAD, Kind.FP_LOAD_MULTIPLE):
        cause = LOAD
    elif instruction.name.startswith("v"):
        cause = FP
    return Issue(
        cycles,
        tuple(reads),
        tuple(writes),
        blocks_fp=FP_MAC_BLOCKS if kind is Kind.FP_MAC else 0,
        waits_fp=instruction.name.startswith("v"),
        cause=cause,
    )


def _read(name: str, instruction: Instruction) -> tuple[int, int, int]:
    """Register, port, and how late it may come."""
    number = REGISTER[name]
    if name == "flags":
        return number, ALU, 1 if instruction.conditional or instruction.name.startswith("it") else 0
    if name in instruction.fp_reads | instruction.fp_addend:
        if name in instruction.fp_addend and name not in instruction.fp_reads:
            return number, ADDEND, 0
        return number, STORED if instruction.kind in MULTIPLES else OPERAND, 0
    if instruction.kind in (Kind.STORE, Kind.STORE_MULTIPLE) and name not in instruction.address_registers:
        return number, ALU, 1
    return number, MULTIPLY if name in instruction.accumulated else ALU, 0


def _after(instruction: Instruction) -> tuple[int, int, int]:
    """Cycles until the result is ready, by port."""
    kind, name = instruction.kind, instruction.name
    if kind in (Kind.FP_LOAD, Kind.FP_LOAD_MULTIPLE):
        return FP_LOADED
    if kind is Kind.FP_MAC:
        return FP_FUSED
    if name.startswith("v"):
        to_core = not instruction.fp_writes
        if kind is Kind.FP_MOVE_PAIR:
            return MADE if to_core else FP_MADE
        return SLOW if to_core else FP_MOVED if name == "vmov" and not instruction.fp_reads else FP_MADE
    if kind in (Kind.LOAD, Kind.LOAD_MULTIPLE):
        return LOADED
    if multiplies(instruction) or name.startswith(EXTEND_AND_ADD):
        return PRODUCT
    slow = instruction.shifted or (field_or_simd(instruction) and not name.startswith(ONE_STAGE))
    return SLOW if slow and kind is Kind.ALU else MADE


def _cycles(instruction: Instruction) -> int:
    """Cycles until the next instruction can be issued."""
    kind = instruction.kind
    if kind in MULTIPLES:
        return max(1, instruction.words)
    if kind is Kind.DIVIDE:
        return DIVIDE
    if kind is Kind.FP_DIVIDE:
        return FP_DIVIDE
    if kind is Kind.FP_MOVE_PAIR:
        return 1 if instruction.fp_writes else 2
    return 2 if instruction.name == "muls" or kind is Kind.TABLE_BRANCH else 1


def bubble(instruction: Instruction) -> int:
    """Cycles lost by a taken branch."""
    return REFILL if instruction.kind is Kind.BRANCH else INDIRECT_REFILL


CORE = DualCore(
    name="cortex_m33",
    title="Cortex-M33F",
    evidence=(
        "documents and instructions that others measured on an RP2350: a Cortex-M33 model; "
        "compared with no measured binary"
    ),
    margin=0.15,  # nothing bounds the error of a model that was never compared; three times the Cortex-M4's
    decoder=THUMB,
    issue=issue,
    pairs=pairs,
    bubble=bubble,
    mispredicted=(0, 0),
    flag_distance=0,
    unaligned_load=UNALIGNED,
    unaligned_store=UNALIGNED,
    banked=False,
)
