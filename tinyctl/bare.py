"""What `firmware/bare` is told of a board and a controller: which of its files make a program, and facts as C macros.

All arithmetic on clocks is done here; the C writes the results into registers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinyctl.boards import Board
from tinyctl.errors import TinyctlError

Wire = Literal["semihosting", "usart"]
Program = Literal["loop", "hil_semihosting", "hil_usart", "calibrate_semihosting", "calibrate_usart"]

FOLDER = Path(__file__).parent / "firmware" / "bare"
COMMON = ("boot.c", "fault.c", "hooks.c", "timer.c", "cycles.c")
MAIN = {
    "loop": ("loop.c",),
    "hil": ("hil.c", "serve.c", "protocol.c"),
    "calibrate": ("calibrate.c", "serve.c", "protocol.c"),
}
FAMILIES = {"none": ("clock_reset.c",), "stm32f4": ("clock_stm32f4.c", "watchdog_stm32f4.c")}

SYSTICK_MAX = 1 << 24  # ARM DDI 0403, B3.3.5: the reload value has 24 bits
WATCHDOG_HZ = 500  # RM0090 section 21.3.3: the 32 kHz oscillator, divided by 64
WATCHDOG_MAX = 4095
HELLO_REPLY_BYTES = 80  # docs/protocol.md

# RM0090 sections 2.3 (addresses), 7.3.13 and 7.3.14 (enable bits), table 61 (interrupts), and table 9 of DS8626 (pins'
# alternate functions): base address, bus, enable bit, interrupt, alternate function.
USARTS = {
    1: (0x4001_1000, 2, 4, 37, 7),
    2: (0x4000_4400, 1, 17, 38, 7),
    3: (0x4000_4800, 1, 18, 39, 7),
    6: (0x4001_1400, 2, 5, 71, 8),
}


@dataclass(frozen=True)
class Period:
    """One control period as SysTick counts it: `ticks_per_step` times `tick_reload` + 1 clocks."""

    tick_reload: int
    ticks_per_step: int


@dataclass(frozen=True)
class Pll:
    """STM32F4: the oscillator divided by `m`, multiplied by `n`, divided by `p` (RM0090 section 7.3.2)."""

    m_crystal: int
    m_internal: int
    n: int
    p: int


def program(what: Literal["hil", "calibrate"], link: Wire) -> Program:
    """The program that does `what` behind a link."""
    return f"{what}_{link}"  # type: ignore[return-value]


def sources(board: Board, program: Program) -> tuple[str, ...]:
    """The C files of a program for a board; raises `TinyctlError` when the board lacks what its link needs."""
    what, _, link = program.partition("_")
    needs = {"semihosting": ("virtual board", board.bare.qemu), "usart": ("serial line", board.bare.usart)}
    thing, described = needs.get(link, ("", True))
    if not described:
        fix = "describe it in [bare] (docs/add-a-board.md)"
        raise TinyctlError(f"no {thing} is described", where=f"board {board.name}", fix=fix)
    if board.riscv:
        return ("rv32.c", "hooks.c")
    return (*COMMON, *FAMILIES[board.bare.family], *MAIN[what], *([f"link_{link}.c"] if link else []))


def period(clock_hz: int, rate_hz: float) -> Period:
    """The control period at a clock, in as few ticks as SysTick's 24 bits allow."""
    clocks = clock_hz / rate_hz
    ticks = max(1, math.ceil(clocks / SYSTICK_MAX))
    return Period(max(1, round(clocks / ticks) - 1), ticks)


def pll(board: Board) -> Pll:
    """Factors that bring the board's clock from its crystal and from the internal oscillator alike.

    The input of the PLL is 2 MHz where both can be divided to it (less jitter), else 1 MHz; its oscillator runs at 100
    to 432 MHz. Raises `TinyctlError` when nothing fits.
    """
    crystal, internal = board.bare.crystal_hz or board.reset_clock_hz, board.reset_clock_hz
    for step in (2_000_000, 1_000_000):
        for p in (2, 4, 6, 8):
            n, rest = divmod(board.clock_hz * p, step)
            dividers = [divmod(source, step) for source in (crystal, internal)]
            fits = all(2 <= m <= 63 and not left for m, left in dividers)
            if fits and not rest and 50 <= n <= 432 and 100_000_000 <= n * step <= 432_000_000:
                return Pll(dividers[0][0], dividers[1][0], n, p)
    raise TinyctlError(f"no PLL setting makes {board.clock_hz} Hz", where=f"board {board.name}")


def facts(board: Board, rate_hz: float, n_obs: int, n_act: int) -> dict[str, str]:
    """The macros of `tinyctl_board.h`, without their prefix, for a controller of these sizes."""
    found = {
        "RESET_CLOCK_HZ": f"{board.reset_clock_hz}u",
        "CLOCK_HZ": f"{board.clock_hz}u",
        "MAX_BODY": f"{max(HELLO_REPLY_BYTES, 4 * n_obs, 8 + 4 * n_act)}u",
    }
    if board.bare.family == "stm32f4":
        found |= _stm32f4(board, rate_hz)
    return found


def _stm32f4(board: Board, rate_hz: float) -> dict[str, str]:
    bare, factors = board.bare, pll(board)
    slow = period(board.reset_clock_hz, rate_hz)
    tick_s = (slow.tick_reload + 1) / board.reset_clock_hz
    found = {
        "CRYSTAL_HZ": f"{bare.crystal_hz}u",
        "CRYSTAL_BYPASS": str(int(bare.crystal_bypass)),
        "PLL_M_CRYSTAL": f"{factors.m_crystal}u",
        "PLL_M_INTERNAL": f"{factors.m_internal}u",
        "PLL_N": f"{factors.n}u",
        "PLL_P": f"{factors.p}u",
        "FLASH_WAIT_STATES": f"{board.code.wait_states}u",
        "WATCHDOG_COUNTS": f"{min(WATCHDOG_MAX, max(WATCHDOG_HZ // 10, round(4 * tick_s * WATCHDOG_HZ)))}u",
    }
    if bare.over_drive:
        found["OVER_DRIVE"] = "1"
    if bare.usart:
        base, bus, bit, interrupt, function = USARTS[bare.usart]
        found |= {
            "USART": f"{base:#x}u",
            "USART_CLOCK_HZ": f"tinyctl_clock.apb{bus}_hz",
            "USART_ENABLE_REGISTER": f"RCC_APB{bus}ENR",
            "USART_ENABLE_BIT": f"{bit}u",
            "USART_INTERRUPT": f"{interrupt}u",
            "USART_FUNCTION": f"{function}u",
            "USART_BAUD": f"{bare.baud}u",
        }
        for wire in ("tx", "rx"):
            pin = getattr(bare, wire)
            found[f"USART_{wire.upper()}_PORT"] = f"{ord(pin[1]) - ord('A')}u"
            found[f"USART_{wire.upper()}_PIN"] = f"{int(pin[2:])}u"
    return found
