"""Cycles of the Cortex-M3: the table of its own multiplications; loads, stores and the fetch unit as the Cortex-M4's.

EVIDENCE: documents only. TRM is ARM 100165, Cortex-M3 Technical Reference Manual: table 3-1 and section 3.3.3, whose
text on loads and stores is the Cortex-M4's; so the rules that were fitted to Cortex-M4 boards are taken from there. No
count of a measured binary has been compared.
"""

from __future__ import annotations

from dataclasses import replace

from tinyctl.sims.mcu import cortex_m4
from tinyctl.sims.mcu.decode import Instruction, Kind

# TRM table 3-1. Long products take 3 to 5 and 4 to 7 cycles by operands, fewer for small ones; here the most.
MULTIPLIES = {"umlal": 7, "smlal": 7, "umull": 5, "smull": 5, "mla": 2, "mls": 2}


def cost(instruction: Instruction) -> int:
    """Cycles of an instruction by itself."""
    if instruction.kind is Kind.ALU:
        return next((n for name, n in MULTIPLIES.items() if instruction.text.startswith(name)), 1)
    return cortex_m4.cost(instruction)


CORE = replace(
    cortex_m4.CORE,
    name="cortex_m3",
    title="Cortex-M3",
    evidence=("predicted by a Cortex-M3 pipeline model from vendor documents only; compared with no measured binary"),
    margin=0.15,  # nothing bounds the error of a model that was never compared; three times the Cortex-M4's
    cost=cost,
)
