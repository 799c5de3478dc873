"""Cycles of the Cortex-M4F: a table of costs, then the hazards between instructions. The fetch unit is in pipeline.py.

EVIDENCE. There is no board behind this file. Sources, named rule by rule below:

    TRM     ARM 100166, Cortex-M4 Technical Reference Manual: table 3-1, section 3.3.3 (load/store timings), table 7-1
    fit     rules and constants that other people's cycle counts on STM32F407 and STM32L4R5 boards ask for, as
            collected in this project's notes
    L4      measured by others on an STM32L4: compendium.i-0.nl, "instruction alignment" and "division timing"
    F407    measured by others on an STM32F407 and an STM32F103: jnk0le, "pipeline cycle test", cortex m3 and m4

Compared with published measurements of whole programs: docs/timing.md.

A rule marked TRM alone has not been confirmed by a measured binary known to us: VMLA/VFMA 3, VDIV and VSQRT 14 and the
delay of FP results, the refill of indirect branches. What the model gives is "predicted", never "guaranteed".
"""

from __future__ import annotations

from tinyctl.sims.mcu.decode import THUMB, Instruction, Kind
from tinyctl.sims.mcu.pipeline import MAGNITUDES, ScalarCore

FIFO_WORDS = 3
FETCH_LATENCY = 2  # cycles from the issue of a fetch to the execution of what it brings
DIRECT_REFILL = 1  # extra cycles of a taken branch: the P of the TRM, 1 to 3, is 1 for direct branches (fit)
INDIRECT_REFILL = 2  # and 2 where the address comes from a register or from memory (TRM)
DIVIDE = 12  # the most that UDIV and SDIV take (TRM: 2 to 12)
FP_DIVIDE = 14  # VDIV, VSQRT (TRM table 7-1)

CYCLES = {
    Kind.ALU: 1,
    Kind.OTHER: 1,
    Kind.DIVIDE: DIVIDE,
    Kind.BRANCH: 1,
    Kind.BRANCH_REGISTER: 1,
    Kind.TABLE_BRANCH: 2,
    Kind.LOAD: 1,
    Kind.STORE: 1,
    Kind.FP: 1,
    Kind.FP_MAC: 3,
    Kind.FP_DIVIDE: FP_DIVIDE,
    Kind.FP_MOVE_PAIR: 2,
}
MULTIPLES = frozenset(
    {
        Kind.LOAD_MULTIPLE,
        Kind.STORE_MULTIPLE,
        Kind.FP_LOAD,
        Kind.FP_STORE,
        Kind.FP_LOAD_MULTIPLE,
        Kind.FP_STORE_MULTIPLE,
    }
)
# UDIV and SDIV by the magnitude of their operands (L4): 2 when either is zero, 3 when the dividend has fewer bits than
# the divisor, else 5 and one more for each four bits that it has more. 32 bits against 1 give the TRM's 12.
DIVISIONS = (2, 3, *(5 + bits // 4 for bits in range(MAGNITUDES - 2)))
FP_ARITHMETIC = frozenset({Kind.FP, Kind.FP_MAC, Kind.FP_DIVIDE})


def cost(instruction: Instruction) -> int:
    """Cycles of an instruction by itself: TRM table 3-1 and table 7-1.

    A load costs 1 here: its second cycle is decided by the instruction that follows. Multiples and all FP loads and
    stores cost 1 + words.
    """
    if instruction.kind in MULTIPLES:
        return 1 + instruction.words
    if instruction.kind is Kind.STORE and instruction.register_offset:
        return 2  # the third register is read in a cycle of its own: TRM 3.3.3, weak evidence
    if instruction.kind is Kind.LOAD and instruction.writes_pc:
        return 2  # a blocking operation: TRM 3.3.3
    return CYCLES[instruction.kind]


def second_load_cycle(load: Instruction, following: Instruction) -> int:
    """1 unless `following` pipelines with the single load before it (TRM 3.3.3; fit).

    It does when it is a single load or store whose address does not come from the load. A literal (from flash) and a
    load from elsewhere do not pipeline with each other; nor do any two accesses to different memories (F407), which
    `Pipeline` sees by their addresses. A NOP disappears in the second cycle (F407).
    """
    if following.name == "nop":
        return 0
    alike = following.kind is Kind.STORE or (following.kind is Kind.LOAD and load.literal == following.literal)
    return int(not alike or bool(load.loaded & following.address_registers))


def load_after_store(before: Instruction, instruction: Instruction) -> int:
    """+1 for a load or LDM right after a single store: the write buffer has the bus (TRM 3.3.3; fit; LDM: F407).

    A store with register offset has spent that cycle already.
    """
    loads = instruction.kind in (Kind.LOAD, Kind.LOAD_MULTIPLE)
    return int(loads and before.kind is Kind.STORE and not before.register_offset)


def address_from_alu(before: Instruction, instruction: Instruction) -> int:
    """+1 when the address uses what the ALU operation before made: no forwarding path (TRM 3.3.3; F407)."""
    return int(bool(before.result & instruction.address_registers))


def fp_result_used(before: Instruction, instruction: Instruction) -> int:
    """+1 when the next instruction uses an FP result, except as the addend of a multiply-accumulate (TRM table 7-1,
    note)."""
    return int(before.kind in FP_ARITHMETIC and bool(before.fp_writes & instruction.fp_reads))


def hazards(before: Instruction, instruction: Instruction) -> tuple[int, int, int]:
    """What the instruction before adds: by a store, by an address, by an FP result."""
    return (
        load_after_store(before, instruction),
        address_from_alu(before, instruction),
        fp_result_used(before, instruction),
    )


def opens_load(instruction: Instruction) -> bool:
    """A single load whose second cycle is decided by what follows."""
    return instruction.kind is Kind.LOAD and not instruction.writes_pc


def refill(instruction: Instruction) -> int:
    """Extra cycles when the instruction branches."""
    return DIRECT_REFILL if instruction.kind is Kind.BRANCH else INDIRECT_REFILL


CORE = ScalarCore(
    name="cortex_m4",
    title="Cortex-M4F",
    evidence=(
        "fitted to published boards: a Cortex-M4 pipeline model from vendor documents and other people's counts; "
        "not confirmed on a board by this project"
    ),
    margin=0.05,  # no item of the measurements the rules were fitted to is further off
    decoder=THUMB,
    cost=cost,
    opens_load=opens_load,
    after_load=second_load_cycle,
    hazards=hazards,
    refill=refill,
    fifo_words=FIFO_WORDS,
    fetch_latency=FETCH_LATENCY,
    divisions=DIVISIONS,
    banked=True,
)
