"""Micro-benchmarks: a few instructions for each rule of the cores' models, and the cycles that the rule gives.

The tests run them in the emulator, `tinyctl calibrate` on a board. Each is a function `void name(void *ram, const void
*table)` that executes its body a number of times in a row, assembled twice, with `FEW` and `MANY` bodies: the
difference is free of call, return and counter. Registers: r0 (a0) is 64 bytes of RAM, r1 (a1) of constants beside the
code; r2 to r7 (a2 to a7 and t0 to t6) and all FP registers are free. Code is aligned to 8 bytes, so a body of a
multiple of 4 bytes always lies the same.

Expected cycles are worked out by hand from the rule, for memory without wait states and warm caches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FEW, MANY = 8, 24

# What a rule rests on: programs measured on boards, instructions measured on a board by others, a vendor's document.
Evidence = Literal["measured", "bench", "document"]


@dataclass(frozen=True)
class MicroBenchmark:
    """`rule` in words, `body` and `setup` in the assembler's language, cycles of one body by core."""

    name: str
    rule: str
    evidence: Evidence
    body: str
    cycles: dict[str, float]
    setup: str = ""

    @property
    def uses_fpu(self) -> bool:
        return any(line.strip().startswith("v") for line in self.body.split(";"))


def _arm(
    m4: float, m3: float | None = None, m0plus: float | None = None, m7: float | None = None, m33: float | None = None
) -> dict[str, float]:
    found = {"cortex_m4": m4, "cortex_m3": m3, "cortex_m0plus": m0plus, "cortex_m7": m7, "cortex_m33": m33}
    return {core: cycles for core, cycles in found.items() if cycles is not None}


MOV = "mov r5, r6"
MOV_W = "mov.w r5, r6"
BIG = "mvn r3, #0; mov r4, #1"

ARM = (
    MicroBenchmark(
        "load",
        "a load takes 2 when no load or store follows",
        "measured",
        f"ldr r2, [r0]; {MOV}",
        _arm(3, 3, 3, m7=1, m33=2),
    ),
    MicroBenchmark(
        "load_nop", "a NOP disappears in the second cycle of a load", "bench", "ldr r2, [r0]; nop", _arm(2, 2)
    ),
    MicroBenchmark(
        "loads",
        "loads pipeline: three take 4",
        "measured",
        f"ldr r2, [r0]; ldr r3, [r0, #4]; ldr r4, [r0, #8]; {MOV}",
        _arm(5, 5, 7, m7=2, m33=4),
    ),
    MicroBenchmark(
        "load_address",
        "but not when the address was just loaded",
        "measured",
        f"ldr r2, [r0]; ldr r3, [r2]; {MOV}",
        _arm(5, 5, 5, m7=4, m33=4),
        setup="str r0, [r0]",
    ),
    MicroBenchmark(
        "load_banks",
        "nor from different memories, here RAM and flash",
        "bench",
        f"ldr r2, [r0]; ldr r3, [r1]; {MOV}",
        _arm(5, 5),
    ),
    MicroBenchmark(
        "store", "a store takes 1: write buffer", "measured", f"str r2, [r0]; {MOV}", _arm(2, 2, 3, m7=1, m33=2)
    ),
    MicroBenchmark(
        "store_register",
        "a store with register offset takes 2",
        "bench",
        f"str r3, [r0, r2]; {MOV}",
        _arm(3, 3, 3),
        setup="movs r2, #4",
    ),
    MicroBenchmark(
        "store_load",
        "a load behind a store waits for the write buffer",
        "measured",
        f"str r2, [r0]; ldr r3, [r0, #4]; {MOV}",
        _arm(5, 5, 5, m7=1.5, m33=3),
    ),
    MicroBenchmark(
        "store_ldm",
        "so does a multiple load",
        "bench",
        f"str.w r2, [r0]; ldm.w r0, {{r3, r4}}; {MOV_W}",
        _arm(6, 6),
    ),
    MicroBenchmark("ldrd", "LDRD takes 1 + 2", "measured", f"ldrd r2, r3, [r0]; {MOV_W}", _arm(4, 4, m7=2, m33=3)),
    MicroBenchmark(
        "ldm", "LDM takes 1 + words", "measured", f"ldm.w r0, {{r2, r3, r4}}; {MOV_W}", _arm(5, 5, m7=3, m33=4)
    ),
    MicroBenchmark(
        "stm", "STM takes 1 + words", "measured", f"stm.w r0, {{r2, r3, r4}}; {MOV_W}", _arm(5, 5, m7=3, m33=4)
    ),
    MicroBenchmark(
        "push_pop", "PUSH and POP take 1 + words", "measured", "push {r2, r3}; pop {r2, r3}", _arm(6, 6, 6, m7=2, m33=4)
    ),
    MicroBenchmark(
        "address",
        "an address just computed costs 1",
        "bench",
        f"adds r2, r0, #4; ldr r3, [r2]; {MOV}; {MOV}",
        _arm(6, 6, 5, m7=3, m33=4),
    ),
    MicroBenchmark(
        "unaligned",
        "a word at an even address costs 1 more",
        "measured",
        f"ldr.w r2, [r0, #2]; {MOV_W}",
        _arm(4, 4, m7=4, m33=3),
    ),
    MicroBenchmark(
        "odd",
        "a word at an odd address costs 2 more",
        "document",
        f"ldr.w r2, [r0, #1]; {MOV_W}",
        _arm(5, 5, m7=4, m33=3),
    ),
    MicroBenchmark("branch", "a taken branch takes 2", "measured", f"b 1f; {MOV}; 1:", _arm(2, 2, 2, m7=1, m33=2)),
    MicroBenchmark("not_taken", "one not taken 1", "measured", "cmp r0, r0; bne 1f; 1:", _arm(2, 2, 2, m7=1, m33=1)),
    MicroBenchmark("branch_wide", "to a wide instruction", "measured", f"b 1f; {MOV}; 1: {MOV_W}", _arm(3, 3)),
    MicroBenchmark(
        "branch_unaligned",
        "to an unaligned wide instruction: 1 more",
        "measured",
        f"b 1f; {MOV}; {MOV}; 1: {MOV_W}; {MOV}",
        _arm(5, 5),
    ),
    MicroBenchmark("it", "IT takes 1", "measured", f"cmp r0, r0; it eq; moveq r5, r6; {MOV}", _arm(4, 4, m7=2, m33=3)),
    MicroBenchmark(
        "wide",
        "wide instructions, aligned, take 1 behind a slow one",
        "measured",
        f"udiv r2, r3, r4; {MOV_W}; {MOV_W}; {MOV_W}",
        _arm(15, 15, m7=10, m33=14),
        BIG,
    ),
    MicroBenchmark(
        "wide_unaligned",
        "three of them unaligned behind a slow one lose 1",
        "measured",
        f"{MOV}; udiv r2, r3, r4; {MOV_W}; {MOV_W}; {MOV_W}; {MOV}",
        _arm(18, 18),
        BIG,
    ),
    MicroBenchmark("mul", "MUL takes 1", "measured", f"mul r2, r3, r4; {MOV_W}", _arm(2, 2, m7=1, m33=2)),
    MicroBenchmark("muls", "MULS takes 1", "document", f"muls r2, r3, r2; {MOV}", _arm(2, 2, 2, m7=2, m33=3)),
    MicroBenchmark(
        "mla", "MLA takes 1, on the Cortex-M3 2", "measured", f"mla r2, r3, r4, r5; {MOV_W}", _arm(2, 3, m7=1, m33=2)
    ),
    MicroBenchmark("umaal", "UMAAL takes 1", "measured", f"umaal r2, r3, r4, r5; {MOV_W}", _arm(2, m7=1, m33=2)),
    MicroBenchmark("smlad", "SMLAD takes 1", "measured", f"smlad r2, r3, r4, r5; {MOV_W}", _arm(2, m7=1, m33=2)),
    MicroBenchmark(
        "divide", "32 bits by 1 bit take 12", "bench", f"udiv r2, r3, r4; {MOV_W}", _arm(13, 13, m7=9, m33=12), BIG
    ),
    MicroBenchmark(
        "divide_ten",
        "10 bits by 2 bits take 7",
        "bench",
        f"udiv r2, r3, r4; {MOV_W}",
        _arm(8, 8),
        "mov r3, #1000; mov r4, #3",
    ),
    MicroBenchmark(
        "divide_less",
        "a smaller dividend takes 3",
        "bench",
        f"sdiv r2, r3, r4; {MOV_W}",
        _arm(4, 4),
        "mvn r3, #2; mov r4, #50",
    ),
    MicroBenchmark(
        "divide_zero", "zero takes 2", "bench", f"udiv r2, r3, r4; {MOV_W}", _arm(3, 3), "mov r3, #0; mov r4, #3"
    ),
    MicroBenchmark(
        "vadd", "VADD takes 1", "measured", "vadd.f32 s0, s1, s2; vadd.f32 s3, s1, s2", _arm(2, m7=2, m33=2)
    ),
    MicroBenchmark(
        "vadd_chain", "a result used at once costs 1", "document", "vadd.f32 s0, s0, s1", _arm(2, m7=3, m33=2)
    ),
    MicroBenchmark(
        "vmul_vadd",
        "product into sum: 1 lost",
        "document",
        "vmul.f32 s0, s1, s2; vadd.f32 s3, s3, s0",
        _arm(3, m7=4, m33=3),
    ),
    MicroBenchmark(
        "vmul_vadd_two",
        "two at a time: none lost",
        "document",
        "vmul.f32 s0, s8, s9; vmul.f32 s1, s8, s10; vadd.f32 s4, s4, s0; vadd.f32 s5, s5, s1",
        _arm(4, m7=5, m33=4),
    ),
    MicroBenchmark(
        "vmla", "VMLA takes 3, its addend is needed late", "document", "vmla.f32 s0, s1, s2", _arm(3, m7=3, m33=3)
    ),
    MicroBenchmark(
        "vfma", "VFMA takes 3, its addend is needed late", "document", "vfma.f32 s0, s1, s2", _arm(3, m7=3, m33=3)
    ),
    MicroBenchmark("vdiv", "VDIV takes 14", "document", f"vdiv.f32 s0, s1, s2; {MOV_W}", _arm(15, m7=16, m33=15)),
    MicroBenchmark("vsqrt", "VSQRT takes 14", "document", f"vsqrt.f32 s0, s1; {MOV_W}", _arm(15, m7=14, m33=15)),
    MicroBenchmark("vldr", "VLDR takes 2", "document", f"vldr s0, [r0]; {MOV_W}", _arm(3, m7=1, m33=2)),
    MicroBenchmark("vldr_double", "of two words 3", "document", f"vldr d0, [r0]; {MOV_W}", _arm(4, m7=2, m33=3)),
    MicroBenchmark("vstr", "VSTR takes 2", "document", f"vstr s0, [r0]; {MOV_W}", _arm(3, m7=1, m33=2)),
    MicroBenchmark("vldm", "VLDM takes 1 + words", "document", f"vldmia r0, {{s0-s3}}; {MOV_W}", _arm(6, m7=3, m33=5)),
    MicroBenchmark("vstm", "VSTM takes 1 + words", "document", f"vstmia r0, {{s0-s3}}; {MOV_W}", _arm(6, m7=3, m33=5)),
    MicroBenchmark(
        "vmov",
        "VMOV to and from the core takes 1",
        "measured",
        f"vmov s0, r2; {MOV_W}; vmov r3, s1; {MOV_W}",
        _arm(4, m7=2, m33=4),
    ),
    MicroBenchmark(
        "vmov_pair", "of two registers 2", "document", f"vmov r2, r3, s0, s1; {MOV_W}", _arm(3, m7=2, m33=3)
    ),
)


HAZARD3 = "hazard3"
RISCV = (
    MicroBenchmark("rv_alu", "an instruction takes 1", "document", "add a2, a3, a4; lui a5, 0x12345", {HAZARD3: 2}),
    MicroBenchmark("rv_load", "a load takes 1", "document", "c.lw a2, 0(a0); c.mv a3, a4", {HAZARD3: 2}),
    MicroBenchmark("rv_load_used", "2 when used at once", "document", "c.lw a2, 0(a0); c.addi a2, 1", {HAZARD3: 3}),
    MicroBenchmark(
        "rv_load_address",
        "also as an address",
        "document",
        "c.lw a2, 0(a0); c.lw a3, 0(a2)",
        {HAZARD3: 3},
        setup="sw a0, 0(a0)",
    ),
    MicroBenchmark(
        "rv_load_stored", "but not as the data of a store", "document", "c.lw a2, 0(a0); c.sw a2, 4(a0)", {HAZARD3: 2}
    ),
    MicroBenchmark("rv_mul", "a product takes 1", "document", "mul a2, a3, a4; mulhu a5, a3, a4", {HAZARD3: 2}),
    MicroBenchmark(
        "rv_divu", "an unsigned quotient takes 18", "document", "divu a2, a3, a4; c.nop; c.nop", {HAZARD3: 20}
    ),
    MicroBenchmark("rv_jump", "a jump takes 2", "document", "c.j 1f; c.nop; 1:", {HAZARD3: 2}),
    MicroBenchmark(
        "rv_taken", "so does a branch forward", "document", "beq a0, a0, 1f; c.nop; c.nop; 1:", {HAZARD3: 2}
    ),
    MicroBenchmark("rv_not_taken", "1 when it is not taken", "document", "bne a0, a0, 1f; 1:", {HAZARD3: 1}),
    MicroBenchmark(
        "rv_split",
        "to an instruction across two words: 1 more",
        "document",
        "c.j 1f; c.nop; c.nop; 1: lui a2, 0x12345; c.nop",
        {HAZARD3: 5},
    ),
    MicroBenchmark(
        "rv_loop",
        "the last branch taken backward is predicted: a loop of three turns loses 1 at its begin and 1 at its end",
        "document",
        "li a2, 3; c.nop; 1: c.addi a2, -1; c.bnez a2, 1b",
        {HAZARD3: 2 + 3 * 2 + 2},
    ),
)


def of_core(core: str) -> tuple[MicroBenchmark, ...]:
    """The micro-benchmarks whose cycles are known for a core, those that rest on the least evidence first."""
    order: tuple[Evidence, ...] = ("document", "bench", "measured")
    known = [one for one in (*ARM, *RISCV) if core in one.cycles]
    return tuple(sorted(known, key=lambda one: order.index(one.evidence)))


def symbol(benchmark: MicroBenchmark, count: int) -> str:
    """The name of the function with `count` bodies."""
    return f"tinyctl_mb_{benchmark.name}_{count}"


def assembly(benchmarks: tuple[MicroBenchmark, ...]) -> str:
    """Source text for the GNU assembler and for clang's, of benchmarks of one core: the constants, then two functions
    for each."""
    riscv = all(one in RISCV for one in benchmarks)
    lines = [".text"] if riscv else [".syntax unified", ".thumb", ".text"]
    lines += [".balign 8", ".global tinyctl_mb_table", "tinyctl_mb_table:", ".zero 64"]
    for benchmark in benchmarks:
        for count in (FEW, MANY):
            name = symbol(benchmark, count)
            lines += [".balign 8", f".global {name}", f".type {name}, %function"]
            lines += [] if riscv else [".thumb_func"]
            lines += [f"{name}:", *_lines("" if riscv else "push {r4, r5, r6, r7, lr}")]
            lines += [*_lines(benchmark.setup), ".balign 8"]
            lines += _lines(benchmark.body) * count
            lines += ["ret" if riscv else "pop {r4, r5, r6, r7, pc}", f".size {name}, . - {name}"]
    return "\n".join(lines) + "\n"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split(";") if line.strip()]
