"""Cycles of the Cortex-M3: the table of its own multiplications; loads, stores and the fetch unit as the Cortex-M4's.

EVIDENCE. TRM is ARM 100165, Cortex-M3 Technical Reference Manual: table 3-1 and section 3.3.3, whose text on loads and
stores is the Cortex-M4's; so the rules that were fitted to Cortex-M4 boards are taken from there. Within 2.9 % of what
others measured for thirteen AES routines on an STM32L100C (docs/timing.md); they say nothing about long products.
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
    evidence=(
        "fitted to published boards: the Cortex-M4's model with the Cortex-M3's multiplications, compared with other "
        "people's counts of AES; not confirmed on a board by this project"
    ),
    margin=0.10,  # one kind of program was compared; twice the Cortex-M4's
    cost=cost,
)
