"""Cycles of Hazard3, the RV32IMC core of the RP2350: a table, loads used at once, branches.

EVIDENCE: documents only. DOC is the core's own documentation, "Instruction Cycle Counts" and "Branch Predictor", for
the configuration of the RP2350 (two bits of a division a cycle, a multiplier of its own). No count of a measured binary
has been compared.
"""

from __future__ import annotations

from tinyctl.sims.mcu.decode import Instruction, Kind
from tinyctl.sims.mcu.decode_riscv import RISCV
from tinyctl.sims.mcu.pipeline import ScalarCore

DIVIDE = 18  # DOC
SIGNED_DIVIDE = 19  # 18 or 19: a sign is corrected; here the most
ATOMIC = 4
TRAP = 3
REFILL = 1  # DOC: jumps take 2, so do branches that were not predicted right
SPLIT_TARGET = 1  # more when the target is a 32-bit instruction across two words


def cost(instruction: Instruction) -> int:
    """Cycles of an instruction by itself (DOC)."""
    if instruction.kind is Kind.DIVIDE:
        return DIVIDE if instruction.name.endswith("u") else SIGNED_DIVIDE
    if instruction.kind is Kind.OTHER:
        return ATOMIC if instruction.name.startswith("amo") else TRAP if instruction.name[0] == "e" else 1
    return 1


def load_used(load: Instruction, following: Instruction) -> int:
    """1 when the next instruction uses what was loaded, except as the data of a store (DOC)."""
    needed = following.address_registers if following.kind is Kind.STORE else following.reads
    return int(bool(load.loaded & needed))


def opens_load(instruction: Instruction) -> bool:
    return instruction.kind is Kind.LOAD


CORE = ScalarCore(
    name="hazard3",
    title="Hazard3 (RV32IMC)",
    evidence="documents only: the Hazard3 cycle table; compared with no measured binary",
    margin=0.15,  # nothing bounds the error of a model that was never compared; three times the Cortex-M4's
    decoder=RISCV,
    cost=cost,
    opens_load=opens_load,
    after_load=load_used,
    hazards=lambda before, instruction: (0, 0, 0),
    refill=lambda instruction: REFILL,
    fifo_words=0,
    fetch_latency=SPLIT_TARGET,
    remembers_branch=True,
)
