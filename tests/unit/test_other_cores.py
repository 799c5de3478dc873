"""The tables of cores that rest on documents only. Code is given as the bytes of `arm-none-eabi-as`."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tinyctl.sims.mcu import cortex_m0plus, cortex_m3, hazard3
from tinyctl.sims.mcu.cores import CORES
from tinyctl.sims.mcu.pipeline import Core

BASE = 0x0800_0100


def cycles(core: Core, code: str, target: int | None = None, at: int = BASE) -> int:
    """The cycles of straight code entered by a branch, or left for `target` by its last instruction."""
    pipeline = core.pipeline()
    pipeline.call(at)
    begin = pipeline.time
    instructions = core.decoder.block(bytes.fromhex(code), at)
    for instruction in instructions[:-1]:
        pipeline.execute(instruction, instruction.end)
    pipeline.execute(instructions[-1], instructions[-1].end if target is None else target)
    return pipeline.finish() - begin


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        ("0846", None, 1),  # mov r0, r1
        ("4843", None, 1),  # muls r0, r1
        ("0868", None, 2),  # ldr r0, [r1]
        ("08681a68", None, 4),  # ldr, ldr: no pipelining
        ("0860", None, 2),  # str r0, [r1]
        ("0ec9", None, 4),  # ldmia r1!, {r1-r3}
        ("10b5", None, 3),  # push {r4, lr}
        ("10bd", BASE + 64, 5),  # pop {r4, pc}: 3 + 2
        ("02e0", BASE + 64, 2),  # b
        ("02d0", None, 1),  # beq, not taken
        ("02d0", BASE + 64, 2),
        ("00f002f8", BASE + 64, 3),  # bl
        ("7047", BASE + 64, 2),  # bx lr
        ("8847", BASE + 64, 2),  # blx r1
        ("bff34f8f", None, 3),  # dsb sy
    ],
)
def test_cortex_m0plus(code: str, target: int | None, expected: int) -> None:
    assert cycles(cortex_m0plus.CORE, code, target) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("00fb01f2", 1),  # mul r2, r0, r1
        ("00fb0132", 2),  # mla r2, r0, r1, r3
        ("a0fb0123", 5),  # umull r2, r3, r0, r1
        ("c0fb0123", 7),  # smlal r2, r3, r0, r1
        ("b1fbf2f0", 12),  # udiv
        ("08681a68", 3),  # loads pipeline
        ("08680068", 4),  # but not on the loaded register
    ],
)
def test_cortex_m3(code: str, expected: int) -> None:
    assert cycles(cortex_m3.CORE, code) == expected


def test_the_evidence_is_told() -> None:
    assert {name: core.evidence.split(":")[0] for name, core in CORES.items()} == {
        "cortex_m0plus": "documents only",
        "cortex_m3": "fitted to published boards",
        "cortex_m4": "fitted to published boards",
        "cortex_m7": "documents and instructions that others measured on STM32H7 boards",
        "cortex_m33": "documents and instructions that others measured on an RP2350",
        "hazard3": "documents only",
    }
    assert all(core.name == name for name, core in CORES.items())


# --- Hazard3. Code is given as the bytes of `riscv64-unknown-elf-as` -------------------------------------------------

ADD = "3385c500"  # add a0, a1, a2
C_ADD = "2e95"  # c.add a0, a1
C_LW = "8841"  # c.lw a0, 0(a1)
C_SW = "88c1"  # c.sw a0, 0(a1)
C_SW_BASE = "1cc1"  # c.sw a5, 0(a0)
MUL = "3385c502"
DIV, DIVU = "33c5c502", "33d5c502"
C_JR = "8280"  # ret
JAL = "ef000004"  # jal ra, .+64
BNEZ = "63100504"  # bnez a0, .+64
BACK = "e31e05fe"  # bnez a0, .-4
C_NOP = "0100"


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        (ADD, None, 1),
        (MUL, None, 1),
        (DIV, None, 19),
        (DIVU, None, 18),
        (C_LW + C_NOP, None, 2),
        (C_LW + C_ADD, None, 3),  # used at once
        (C_LW + C_SW, None, 2),  # as data of a store: forwarded
        (C_LW + C_SW_BASE, None, 3),  # as its address
        (JAL, BASE + 64, 2),
        (C_JR, BASE + 64, 2),
        (BNEZ, None, 1),
        (BNEZ, BASE + 64, 2),
    ],
)
def test_hazard3(code: str, target: int | None, expected: int) -> None:
    assert cycles(hazard3.CORE, code, target) == expected


def test_hazard3_remembers_the_last_branch_taken_backward() -> None:
    """A loop of two instructions: the branch takes 2 the first time, then 1, and 2 when it falls through."""
    first, branch = hazard3.CORE.decoder.block(bytes.fromhex(ADD + BACK), BASE)
    pipeline = hazard3.CORE.pipeline()
    pipeline.call(BASE)
    times = [pipeline.time]
    for turn in range(4):
        pipeline.execute(first, first.end)
        pipeline.execute(branch, BASE if turn < 3 else branch.end)
        times.append(pipeline.time)
    assert [b - a for a, b in pairwise(times)] == [3, 2, 2, 3]


def test_hazard3_loses_a_cycle_where_a_branch_enters_across_two_words() -> None:
    assert cycles(hazard3.CORE, ADD, at=BASE) == 1
    assert cycles(hazard3.CORE, ADD, at=BASE + 2) == 2
    assert cycles(hazard3.CORE, C_NOP + ADD, at=BASE + 2) == 2


def test_riscv_instructions_are_read() -> None:
    """What each reads and writes, with the memory that it accesses."""
    read = {}
    for code in (
        "8841",
        "88c1",
        "03a5c500",
        "23a4a500",
        "2e95",
        "ef000004",
        "8280",
        "e7800500",
        "63100504",
        "1305f0ff",
    ):
        (found,) = hazard3.CORE.decoder.block(bytes.fromhex(code), BASE)
        operand = found.operand and (found.operand.base, found.operand.offset, found.operand.size, found.operand.write)
        read[found.text] = (found.reads, found.writes, operand)
    assert read == {
        "c.lw a0, 0(a1)": ({"a1"}, {"a0"}, ("a1", 0, 4, False)),
        "c.sw a0, 0(a1)": ({"a0", "a1"}, set(), ("a1", 0, 4, True)),
        "lw a0, 0xc(a1)": ({"a1"}, {"a0"}, ("a1", 12, 4, False)),
        "sw a0, 8(a1)": ({"a0", "a1"}, set(), ("a1", 8, 4, True)),
        "c.add a0, a1": ({"a0", "a1"}, {"a0"}, None),
        "jal 0x40": (set(), {"ra"}, None),
        "c.jr ra": ({"ra"}, set(), None),
        "jalr a1": ({"a1"}, {"ra"}, None),
        "bnez a0, 0x40": ({"a0"}, set(), None),
        "addi a0, zero, -1": (set(), {"a0"}, None),
    }
