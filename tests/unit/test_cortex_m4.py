"""The rules of the cycle model on a few instructions each. Code is given as the bytes of `arm-none-eabi-as`."""

from __future__ import annotations

import pytest

from tinyctl.errors import TinyctlError
from tinyctl.sims.mcu.cortex_m4 import CORE
from tinyctl.sims.mcu.decode import Kind, decode_block
from tinyctl.sims.mcu.pipeline import CAUSES, Access, Pipeline

BASE = 0x0800_0100

NOP = "00bf"
NOP_W = "aff30080"
LDR = "0868"  # ldr r0, [r1]
LDR_OTHER = "1a68"  # ldr r2, [r3]
LDR_THIRD = "6c68"  # ldr r4, [r5, #4]
LDR_FROM_R0 = "0068"  # ldr r0, [r0]
LDR_LITERAL = "0248"  # ldr r0, [pc, #8]
STR = "0860"  # str r0, [r1]
STR_OTHER = "1a60"  # str r2, [r3]
STR_INDEXED = "8850"  # str r0, [r1, r2]
ADDS_R1 = "d118"  # adds r1, r2, r3
MOV = "0846"  # mov r0, r1
UDIV = "b1fbf2f0"
SMLAD = "21fb0230"
LDRD = "d2e90001"
LDM_3 = "90e80e00"
PUSH_2 = "10b5"
POP_PC = "10bd"  # pop {r4, pc}
BX_LR = "7047"
LDR_PC = "d0f800f0"
TBB = "dfe800f0"
B = "02e0"  # b .+8
CBZ = "10b1"  # cbz r0, .+8
IT_NE = "18bf"
VADD = "30ee810a"  # vadd.f32 s0, s1, s2
VADD_OTHER = "72ee221a"  # vadd.f32 s3, s4, s5
VADD_USE = "70ee221a"  # vadd.f32 s3, s0, s5
VMUL = "20ee810a"  # vmul.f32 s0, s1, s2
VFMA_ADDEND = "a0ee810a"  # vfma.f32 s0, s1, s2
VFMA_USE = "e0ee011a"  # vfma.f32 s3, s0, s2
VLDR = "90ed000a"  # vldr s0, [r0]
VSTR = "80ed000a"  # vstr s0, [r0]
VLDM_4 = "b0ec040a"  # vldmia r0!, {s0-s3}
VDIV = "80ee810a"
VMOV_PAIR = "51ec100a"  # vmov r0, r1, s0, s1
VMOV_CORE = "10ee100a"  # vmov r0, s0


def cycles(*code: str, at: int = BASE, target: int | None = None) -> int:
    """The cycles of straight code entered by a branch, or left for `target` by its last instruction."""
    pipeline = Pipeline(CORE)
    pipeline.call(at)
    begin = pipeline.time
    instructions = decode_block(bytes.fromhex("".join(code)), at)
    for instruction in instructions[:-1]:
        pipeline.execute(instruction, instruction.end)
    pipeline.execute(instructions[-1], instructions[-1].end if target is None else target)
    return pipeline.finish() - begin


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ([MOV], 1),
        ([SMLAD], 1),
        ([UDIV], 12),
        ([IT_NE, MOV], 2),
        ([NOP], 1),
        ([VADD], 1),
        ([VFMA_ADDEND], 3),
        ([VDIV], 14),
        ([VMOV_PAIR], 2),
        ([VMOV_CORE], 1),
        ([VLDR], 2),
        ([VSTR], 2),
        ([VLDM_4], 5),
        ([LDRD], 3),
        ([LDM_3], 4),
        ([PUSH_2], 3),
        ([LDR], 2),
        ([STR], 1),
        ([STR_INDEXED], 2),
    ],
)
def test_single_instructions(code: list[str], expected: int) -> None:
    assert cycles(*code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ([LDR, LDR_OTHER], 3),  # TRM 3.3.3: "normally three cycles total"
        ([LDR, LDR_OTHER, LDR_THIRD], 4),  # "normally four cycles total"
        ([LDR, LDR_FROM_R0], 4),  # the address uses the loaded register
        ([LDR, MOV], 3),
        ([LDR, STR], 2),
        ([LDR, STR_INDEXED], 3),  # "normally three cycles total"
        ([LDR, LDRD], 5),  # LDRD does not pipeline
        ([LDR_LITERAL, LDR_OTHER], 4),  # flash and SRAM
        ([LDR_OTHER, LDR_LITERAL], 4),
        ([LDR_LITERAL, LDR_LITERAL], 3),
        ([STR, STR_OTHER], 2),  # write buffer
        ([STR, LDR_OTHER], 4),
        ([STR, MOV, LDR_OTHER], 4),  # the store has left the bus
        ([STR_INDEXED, LDR_OTHER], 4),
    ],
)
def test_loads_and_stores(code: list[str], expected: int) -> None:
    assert cycles(*code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ([ADDS_R1, LDR], 4),  # no forwarding from the ALU to an address
        ([ADDS_R1, LDR_OTHER], 3),
        ([ADDS_R1, MOV, LDR], 4),
        ([ADDS_R1, STR], 3),
    ],
)
def test_addresses_from_the_alu(code: list[str], expected: int) -> None:
    assert cycles(*code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ([VADD, VADD_OTHER], 2),
        ([VADD, VADD_USE], 3),
        ([VADD, NOP_W, VADD_USE], 3),  # something else in between hides it
        ([VMUL, VFMA_ADDEND], 4),  # the addend is needed late
        ([VMUL, VFMA_USE], 5),
        ([VADD, VSTR], 4),
        ([VLDR, VADD_USE], 3),  # loads forward
    ],
)
def test_fp_results(code: list[str], expected: int) -> None:
    assert cycles(*code) == expected


def test_four_rows_of_a_dense_layer() -> None:
    """The inner step of four rows: VLDM of four weights, an activation, products and sums, no loop: 3.75 cycles per
    multiply-accumulate with VMUL and VADD on independent registers, 4.75 with VFMA."""
    vmul = ["20ee040a", "60ee840a", "21ee041a", "61ee841a"]  # vmul.f32 s0..s3, s0..s3 (odd: s1, s3), s8
    vadd = ["32ee002a", "72eea02a", "33ee013a", "73eea13a"]  # vadd.f32 s4..s7, s4..s7, s0..s3
    for code, kind in ((vmul, Kind.FP), (vadd, Kind.FP)):
        assert all(i.kind is kind for i in decode_block(bytes.fromhex("".join(code)), BASE))
    assert cycles(VLDM_4, "90ed004a", *vmul, *vadd) == 15  # vldr s8, [r0]
    vfma = ["a0ee042a", "e0ee842a", "a1ee043a", "e1ee843a"]  # vfma.f32 s4..s7, s0..s3, s8
    assert cycles(VLDM_4, "90ed004a", *vfma) == 19


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        ([B], BASE + 0x40, 2),
        ([CBZ], None, 1),
        ([CBZ], BASE + 0x40, 2),
        ([BX_LR], BASE + 0x40, 3),
        ([POP_PC], BASE + 0x40, 5),
        ([LDR_PC], BASE + 0x40, 4),
        ([TBB], BASE + 0x40, 4),
    ],
)
def test_branches(code: list[str], target: int | None, expected: int) -> None:
    assert cycles(*code, target=target) == expected


def test_branch_to_an_unaligned_wide_instruction_loses_a_cycle() -> None:
    assert cycles(NOP_W, NOP, at=BASE) == 2
    assert cycles(NOP_W, NOP, at=BASE + 2) == 3
    assert cycles(NOP, NOP_W, at=BASE + 2) == 2


@pytest.mark.parametrize("count", [3, 4, 8])
def test_three_unaligned_wide_instructions_after_a_slow_one_lose_a_cycle(count: int) -> None:
    assert cycles(NOP, UDIV, *[NOP_W] * 2) == 15
    assert cycles(NOP, UDIV, *[NOP_W] * count) == 13 + count + 1
    assert cycles(UDIV, *[NOP_W] * count) == 12 + count


def test_straight_aligned_code_streams() -> None:
    assert cycles(*[NOP_W] * 40) == 40
    assert cycles(*[NOP] * 41) == 41


@pytest.mark.parametrize(
    ("address", "size", "extra"),
    [
        (0x20000000, 4, 0),
        (0x20000002, 4, 1),
        (0x20000001, 4, 2),
        (0x20000002, 2, 0),
        (0x20000001, 2, 1),
        (0x20000001, 1, 0),
    ],
)
def test_unaligned_accesses(address: int, size: int, extra: int) -> None:
    (load,) = decode_block(bytes.fromhex(LDR), BASE)
    pipeline = Pipeline(CORE)
    pipeline.call(BASE)
    begin = pipeline.time
    pipeline.execute(load, load.end, [Access(address, size, False)])
    assert pipeline.finish() - begin == 2 + extra


def test_state_carries_over() -> None:
    """Stopping and going on from the saved state at any instruction gives the same time."""
    code = [LDR, LDR_OTHER, NOP, UDIV, NOP_W, NOP_W, NOP_W, VMUL, VFMA_USE, ADDS_R1, LDR, STR, LDR_OTHER, NOP_W]
    instructions = decode_block(bytes.fromhex("".join(code)), BASE)
    whole = cycles(*code)
    for cut in range(1, len(instructions)):
        first = Pipeline(CORE)
        first.call(BASE)
        begin = first.time
        for instruction in instructions[:cut]:
            first.execute(instruction, instruction.end)
        second = Pipeline(CORE)
        second.restore(first.state())
        for instruction in instructions[cut:]:
            second.execute(instruction, instruction.end)
        assert first.time - begin + second.finish() == whole


def test_undefined_code_is_an_error() -> None:
    with pytest.raises(TinyctlError, match="no instruction"):
        decode_block(bytes.fromhex("00defff7"), BASE)


def loop_cycles(*code: str, at: int = BASE, times: int = 50) -> float:
    """Cycles of one turn of a loop that ends in a branch to its first instruction, once it has settled."""
    instructions = decode_block(bytes.fromhex("".join(code)), at)
    pipeline = Pipeline(CORE)
    pipeline.call(at)
    ends = []
    for _ in range(times + 1):
        for instruction in instructions[:-1]:
            pipeline.execute(instruction, instruction.end)
        pipeline.execute(instructions[-1], at)
        ends.append(pipeline.time)
    return (ends[-1] - ends[0]) / times


SUBS = "013e"  # subs r6, #1
BNE = "00d1"  # bne: the target is given by the path


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ([SUBS, BNE], 3),  # 1, and 1 + 1 for the branch
        ([LDR, LDR_OTHER, LDR_THIRD, SUBS, BNE], 4 + 1 + 2),  # three loads pipeline: 3 + 1
        ([LDR, SUBS, BNE], 2 + 1 + 2),
        ([LDR, LDR_FROM_R0, SUBS, BNE], 4 + 1 + 2),  # load-use: 2 each
        ([STR, LDR_OTHER, SUBS, BNE], 1 + 1 + 2 + 1 + 2),  # a load behind a store
        ([VLDM_4, SUBS, BNE], 5 + 1 + 2),
        ([VMUL, VADD_USE, SUBS, BNE], 3 + 1 + 2),  # the sum waits for the product
        ([VMUL, VADD_OTHER, SUBS, BNE], 2 + 1 + 2),
        ([NOP_W, NOP_W, SUBS, BNE], 2 + 1 + 2),
    ],
)
def test_loops(code: list[str], expected: int) -> None:
    assert loop_cycles(*code) == expected


def test_a_loop_that_begins_with_an_unaligned_wide_instruction_loses_a_cycle_each_turn() -> None:
    assert loop_cycles(NOP_W, NOP_W, SUBS, BNE, at=BASE + 2) == 2 + 1 + 2 + 1
    assert loop_cycles(NOP, NOP_W, SUBS, BNE, at=BASE + 2) == 2 + 1 + 2


@pytest.mark.parametrize(
    ("code", "lost"),
    [
        ([LDR, MOV], {"load": 1}),
        ([LDR, LDR_OTHER], {"load": 1}),  # of the second, at the end
        ([STR, LDR_OTHER], {"store": 1, "load": 1}),
        ([ADDS_R1, LDR], {"address": 1, "load": 1}),
        ([VMUL, VADD_USE], {"fp": 1}),
        ([UDIV, MOV], {}),
        ([NOP, UDIV, NOP_W, NOP_W, NOP_W], {"fetch": 1}),
    ],
)
def test_lost_cycles_have_a_cause(code: list[str], lost: dict[str, int]) -> None:
    pipeline = Pipeline(CORE)
    pipeline.call(BASE)
    pipeline.stalls = [0] * len(CAUSES)
    for instruction in decode_block(bytes.fromhex("".join(code)), BASE):
        pipeline.execute(instruction, instruction.end)
    pipeline.finish()
    assert {cause: n for cause, n in zip(CAUSES, pipeline.stalls, strict=True) if n} == lost
