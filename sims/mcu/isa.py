"""The two instruction sets as the emulator runs them: its names of core and registers, and a loop in machine code."""

from __future__ import annotations

from dataclasses import dataclass

from unicorn import arm_const, riscv_const, unicorn_const

from tinyctl.boards import RISCV as RISCV_CORES


@dataclass(frozen=True)
class Isa:
    """`models` maps a board's core to the emulator's; registers are the emulator's numbers. `mark` is what the address
    of a function carries beside it (bit 0 for Thumb).

    `driver` calls one function for each row of a batch. It counts the first of the registers `rows` down; the others
    point to a row's struct, input, action and status, `parameters` to four words: the function, and the strides of
    struct, input and action. Its last instruction, at `driver_end`, is not run.
    """

    arch: int
    mode: int
    models: dict[str, int]
    pc: int
    stack: int
    link: int
    arguments: tuple[int, ...]
    mark: int
    rows: tuple[int, ...]
    parameters: int
    driver: bytes
    driver_end: int


THUMB = Isa(
    arch=unicorn_const.UC_ARCH_ARM,
    mode=unicorn_const.UC_MODE_THUMB | unicorn_const.UC_MODE_MCLASS,
    models={
        "cortex_m0plus": arm_const.UC_CPU_ARM_CORTEX_M0,  # the same instructions
        "cortex_m3": arm_const.UC_CPU_ARM_CORTEX_M3,
        "cortex_m4": arm_const.UC_CPU_ARM_CORTEX_M4,
        "cortex_m7": arm_const.UC_CPU_ARM_CORTEX_M7,
        "cortex_m33": arm_const.UC_CPU_ARM_CORTEX_M33,
    },
    pc=arm_const.UC_ARM_REG_PC,
    stack=arm_const.UC_ARM_REG_SP,
    link=arm_const.UC_ARM_REG_LR,
    arguments=tuple(arm_const.UC_ARM_REG_R0 + i for i in range(4)),
    mark=1,
    rows=tuple(arm_const.UC_ARM_REG_R4 + i for i in range(5)),
    parameters=arm_const.UC_ARM_REG_R10,
    driver=bytes.fromhex(  # instructions of ARMv6-M only
        "2846"  # loop: mov  r0, r5
        "3146"  #       mov  r1, r6
        "3a46"  #       mov  r2, r7
        "5346"  #       mov  r3, r10
        "1b68"  #       ldr  r3, [r3]
        "9847"  #       blx  r3
        "4346"  #       mov  r3, r8
        "1860"  #       str  r0, [r3]
        "0433"  #       adds r3, #4
        "9846"  #       mov  r8, r3
        "5346"  #       mov  r3, r10
        "5868"  #       ldr  r0, [r3, #4]
        "9968"  #       ldr  r1, [r3, #8]
        "da68"  #       ldr  r2, [r3, #12]
        "0544"  #       add  r5, r0
        "0e44"  #       add  r6, r1
        "1744"  #       add  r7, r2
        "013c"  #       subs r4, #1
        "ecd1"  #       bne  loop
        "c046"  # end:  nop
    ),
    driver_end=38,
)

RISCV = Isa(
    arch=unicorn_const.UC_ARCH_RISCV,
    mode=unicorn_const.UC_MODE_RISCV32,
    models=dict.fromkeys(RISCV_CORES, riscv_const.UC_CPU_RISCV32_SIFIVE_E31),  # RV32IMAC
    pc=riscv_const.UC_RISCV_REG_PC,
    stack=riscv_const.UC_RISCV_REG_SP,
    link=riscv_const.UC_RISCV_REG_RA,
    arguments=tuple(riscv_const.UC_RISCV_REG_A0 + i for i in range(4)),
    mark=0,
    rows=(
        riscv_const.UC_RISCV_REG_S0,
        riscv_const.UC_RISCV_REG_S1,
        riscv_const.UC_RISCV_REG_S2,
        riscv_const.UC_RISCV_REG_S3,
        riscv_const.UC_RISCV_REG_S4,
    ),
    parameters=riscv_const.UC_RISCV_REG_S5,
    driver=bytes.fromhex(
        "2685"  # loop: mv   a0, s1
        "ca85"  #       mv   a1, s2
        "4e86"  #       mv   a2, s3
        "83a20a00"  #   lw   t0, 0(s5)
        "e7800200"  #   jalr t0
        "2320aa00"  #   sw   a0, 0(s4)
        "110a"  #       addi s4, s4, 4
        "83a24a00"  #   lw   t0, 4(s5)
        "9694"  #       add  s1, s1, t0
        "83a28a00"  #   lw   t0, 8(s5)
        "1699"  #       add  s2, s2, t0
        "83a2ca00"  #   lw   t0, 12(s5)
        "9699"  #       add  s3, s3, t0
        "7d14"  #       addi s0, s0, -1
        "61fc"  #       bnez s0, loop
        "0100"  # end:  nop
    ),
    driver_end=42,
)

ISAS: dict[str, Isa] = {core: isa for isa in (THUMB, RISCV) for core in isa.models}
