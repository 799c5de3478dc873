"""Cycles of the Cortex-M0+: a table, and nothing that one instruction does to the next.

EVIDENCE: documents only. TRM is ARM DDI 0484, Cortex-M0+ Technical Reference Manual, table 3-1: zero wait states, the
single-cycle multiplier. The fetch unit is not modelled: code must lie in memory without wait states.
"""

from __future__ import annotations

from tinyctl.sims.mcu.decode import THUMB, Instruction, Kind
from tinyctl.sims.mcu.pipeline import ScalarCore

CYCLES = {
    Kind.ALU: 1,
    Kind.OTHER: 1,
    Kind.BRANCH: 1,
    Kind.BRANCH_REGISTER: 1,
    Kind.LOAD: 2,
    Kind.STORE: 2,
}
SYSTEM = ("mrs", "msr", "dsb", "dmb", "isb")
SYSTEM_CYCLES = 3
LINK_REFILL = 2  # BL takes 3
REFILL = 1  # any other taken branch takes 2
POP_PC_REFILL = 2  # POP with pc takes 3 + words


def cost(instruction: Instruction) -> int:
    """Cycles of an instruction by itself (TRM table 3-1)."""
    if instruction.kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
        return 1 + instruction.words
    if instruction.text.startswith(SYSTEM):
        return SYSTEM_CYCLES
    return CYCLES[instruction.kind]


def refill(instruction: Instruction) -> int:
    """Extra cycles when the instruction branches (TRM table 3-1)."""
    if instruction.kind is Kind.BRANCH and instruction.size == 4:
        return LINK_REFILL
    return POP_PC_REFILL if instruction.kind is Kind.LOAD_MULTIPLE else REFILL


CORE = ScalarCore(
    name="cortex_m0plus",
    title="Cortex-M0+",
    evidence="documents only: the Cortex-M0+ cycle table; compared with no measured binary",
    margin=0.15,  # nothing bounds the error of a model that was never compared; three times the Cortex-M4's
    decoder=THUMB,
    cost=cost,
    opens_load=lambda instruction: False,
    after_load=lambda before, instruction: 0,
    hazards=lambda before, instruction: (0, 0, 0),
    refill=refill,
    fifo_words=0,
    fetch_latency=0,
)
