"""Cycles of the Cortex-M7: what may be issued together, when results are ready, and what a branch costs.

EVIDENCE. Arm publishes no cycle table of the Cortex-M7. Sources, named rule by rule below:

    H743    measured by others on an STM32H743, instruction by instruction: jnk0le, "pipeline cycle test", cortex m7
    H730    measured by others on an STM32H730: quinapalus.com, "Cortex-M7 instruction cycle counts"
    LLVM    the scheduling model of LLVM, ARMScheduleM7.td, which came from Arm
    TRM     ARM DDI 0489, Cortex-M7 Technical Reference Manual

Stages: addresses and shifts are worked out one stage before the ALU (the *early* one, which can also add and move),
multiplications end one stage behind it. Code and data in tightly coupled memory or cache; the instruction fetch never
stalls but for cache misses, the branch target is always known.
"""

from __future__ import annotations

from functools import cache

from tinyctl.sims.mcu.decode import THUMB, Instruction, Kind
from tinyctl.sims.mcu.pipeline import FP, LOAD, RESULT
from tinyctl.sims.mcu.scoreboard import (
    ADDEND,
    ALU,
    ALWAYS,
    EARLY,
    EITHER,
    MULTIPLY,
    NEVER,
    OLDER,
    OPERAND,
    REGISTER,
    STORED,
    DualCore,
    Issue,
)
from tinyctl.sims.mcu.thumb import BIT_FIELD, double, field_or_simd, multiplies, shifts_operand

MISPREDICTED = (8, 6)  # H743: 8, and 6 when the flags were made at least 3 cycles before
FLAG_DISTANCE = 3
UNALIGNED_LOAD = 3  # H743; stores are hidden by the store buffer
DIVIDE = 8  # LLVM: a latency of 7, issued alone; by operands in truth, which nobody published

# Cycles until a result is ready for the ALU, for an address or shifter, for the multiplier (H743, H730).
MADE = (1, 2, 1)  # by the ALU
PRODUCT = (2, 3, 2)
WORD = (1, 3, 2)  # loaded; to an address in 3: H730
PART = (2, 3, 2)  # a loaded byte or halfword
BASE = (0, 1, 1)  # the address register that a load or store changes
# For an FP operand, the addend of a multiply-accumulate, a store (H743).
FP_MADE = (3, 3, 1)
FP_FUSED = (5, 3, 3)
FP_CHAINED = (6, 3, 4)  # VMLA rounds in between
FP_LOADED = (1, 3, 1)
COMPARED = (3, 3, 3)  # the FP flags
FLAGS = (1, 1, 1)
ALL_LATE = 2  # stores take data up to two stages later, accumulators of integer products one
FP_MAC_BLOCKS = 3  # VADD cannot be issued for 3 cycles after a multiply-accumulate
FP_DIVIDE, FP_ROOT = 16, 14
DOUBLE = {"vadd": 1, "vsub": 1, "vmul": 5, "vdiv": 30, "vsqrt": 30}  # issue of double precision (H743; VSQRT: LLVM)
DOUBLE_FUSED = 7

EARLY_ALU = ("add", "sub", "mov", "addw", "subw", "movw", "adds", "subs", "movs", "mvn")
SHIFTS = ("lsl", "lsr", "asr", "ror")
SINGLE = frozenset(
    {
        *(Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE),
        *(Kind.DIVIDE, Kind.TABLE_BRANCH, Kind.FP_MOVE_PAIR),
    }
)
LOADS = frozenset({Kind.LOAD, Kind.FP_LOAD})
STORES = frozenset({Kind.STORE, Kind.FP_STORE})
ARITHMETIC = frozenset({Kind.FP, Kind.FP_MAC, Kind.FP_DIVIDE})


def alone(instruction: Instruction) -> bool:
    """Issued with nothing beside it: multiples, LDRD, moves of two registers, doubles to and from memory (H743)."""
    if instruction.kind in SINGLE or (instruction.kind in (Kind.FP_LOAD, Kind.FP_STORE) and instruction.words > 1):
        return True
    return instruction.kind is Kind.OTHER and not instruction.name.startswith(("nop", "it", "cm", "tst", "teq", "pld"))


def pairs(older: Instruction, younger: Instruction) -> int:
    """Whether two instructions may be issued together (H743; two loads of different banks: `DualCore.banked`). There is
    one shifter for operands, one unit for bit fields and SIMD, and that takes the older of a pair."""
    if alone(older) or alone(younger) or not older.size or field_or_simd(younger):
        return NEVER
    if shifts_operand(older) and shifts_operand(younger):
        return NEVER
    if field_or_simd(older) and shifts_operand(younger):
        return NEVER
    if multiplies(older) and (multiplies(younger) or younger.kind is Kind.STORE):
        return NEVER
    if older.kind in STORES and (younger.kind in STORES or multiplies(younger)):
        return NEVER
    if older.kind in ARITHMETIC and younger.kind in ARITHMETIC:
        return NEVER
    kinds = {older.kind, younger.kind}
    if Kind.FP_MAC in kinds and kinds & {Kind.FP_LOAD, Kind.FP_STORE}:
        return NEVER
    return NEVER if older.kind is Kind.FP_MAC and double(older) and younger.kind in LOADS | STORES else ALWAYS


@cache
def issue(instruction: Instruction) -> Issue:
    """When an instruction's operands must be there, and when its results are."""
    kind = instruction.kind
    reads = [_read(name, instruction) for name in sorted(instruction.reads & REGISTER.keys())]
    cause = FP if instruction.name.startswith("v") else RESULT
    if kind in LOADS | {Kind.LOAD_MULTIPLE, Kind.FP_LOAD_MULTIPLE}:
        cause = LOAD
    cycles = _cycles(instruction)
    others = {**dict.fromkeys(instruction.updated, BASE), "flags": FLAGS, "fpscr": COMPARED}
    writes = []
    for name in sorted(instruction.writes & REGISTER.keys() - {"pc"}):
        ready = others.get(name, _after(instruction))
        later = cycles - 1 if name not in instruction.updated else 0
        writes.append((REGISTER[name], later + ready[0], later + ready[1], later + ready[2]))
    early = 0
    if kind is Kind.ALU and not instruction.shifted:
        early = EITHER if instruction.name.startswith(SHIFTS) else OLDER if instruction.name in EARLY_ALU else 0
    return Issue(
        cycles,
        tuple(reads),
        tuple(writes),
        early,
        blocks_fp=FP_MAC_BLOCKS if kind is Kind.FP_MAC else 0,
        waits_fp=instruction.name in ("vadd", "vsub") or kind in (Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE),
        cause=cause,
    )


def _read(name: str, instruction: Instruction) -> tuple[int, int, int]:
    """Register, port, and how late it may come."""
    kind, number = instruction.kind, REGISTER[name]
    if name in ("flags", "fpscr"):
        return number, ALU, 1 if instruction.conditional else 0  # prediction does not wait for flags
    if name in instruction.fp_reads | instruction.fp_addend:
        if name in instruction.fp_addend and name not in instruction.fp_reads:
            return number, ADDEND, 0
        return number, STORED if kind in STORES | {Kind.FP_STORE_MULTIPLE} else OPERAND, 0
    if name in instruction.address_registers or name in instruction.shifted:
        return number, EARLY, 0
    if kind in (Kind.STORE, Kind.STORE_MULTIPLE):
        return number, ALU, ALL_LATE
    if BIT_FIELD.match(instruction.name):
        return number, EARLY, 0
    if multiplies(instruction):
        return number, *((ALU, 1) if name in instruction.accumulated else (MULTIPLY, 0))
    return number, ALU, 0


def _after(instruction: Instruction) -> tuple[int, int, int]:
    """Cycles until the result is ready, by port."""
    kind = instruction.kind
    if kind in (Kind.FP_LOAD, Kind.FP_LOAD_MULTIPLE):
        return FP_LOADED
    if kind is Kind.FP_MAC:
        return FP_FUSED if instruction.name.startswith(("vf", "vfn")) else FP_CHAINED
    if instruction.name.startswith("v"):
        return FP_MADE if instruction.fp_writes else MADE
    if kind is Kind.LOAD:
        return WORD if instruction.name == "ldr" else PART
    if kind is Kind.LOAD_MULTIPLE:
        return WORD
    return PRODUCT if multiplies(instruction) else MADE


def _cycles(instruction: Instruction) -> int:
    """Cycles until the next instruction can be issued."""
    kind = instruction.kind
    if kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE):
        return max(1, -(-instruction.words // 2))  # two words a cycle (H743)
    if kind is Kind.DIVIDE:
        return DIVIDE
    if double(instruction) and kind in ARITHMETIC:
        return DOUBLE_FUSED if kind is Kind.FP_MAC else DOUBLE.get(instruction.name, 1)
    if kind is Kind.FP_DIVIDE:
        return FP_ROOT if instruction.name == "vsqrt" else FP_DIVIDE
    return 1


def bubble(instruction: Instruction) -> int:
    """A predicted taken branch loses nothing but the place beside it; a table branch is not predicted (H743)."""
    return MISPREDICTED[0] if instruction.kind is Kind.TABLE_BRANCH else 0


CORE = DualCore(
    name="cortex_m7",
    title="Cortex-M7F",
    evidence=(
        "documents and instructions that others measured on STM32H7 boards: a Cortex-M7 dual-issue model; "
        "compared with published ratios only"
    ),
    margin=0.15,  # no count of a program bounds the error; three times the Cortex-M4's
    decoder=THUMB,
    issue=issue,
    pairs=pairs,
    bubble=bubble,
    mispredicted=MISPREDICTED,
    flag_distance=FLAG_DISTANCE,
    unaligned_load=UNALIGNED_LOAD,
    unaligned_store=0,
    banked=True,
)
