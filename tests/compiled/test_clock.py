"""Clock set-up and choice of the counter: the firmware's own C on a model of the chip, from which parts are missing."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from tinyctl import bare
from tinyctl.boards import Board, board_names, load_board
from tinyctl.builder import WARNINGS
from tinyctl.templates import template
from tinyctl.toolchains import SHARED, host_cc, run

CRYSTAL, INTERNAL, PLL, FLASH, OVER_DRIVE, DWT, TIM2, SYSTICK = (1 << i for i in range(8))
ALL = CRYSTAL | INTERNAL | PLL | FLASH | OVER_DRIVE
RCC_CR, RCC_PLLCFGR, RCC_CFGR, FLASH_ACR = 0x4002_3800, 0x4002_3804, 0x4002_3808, 0x4002_3C00
BOARDS = [name for name in board_names() if load_board(name).bare.family == "stm32f4"]
HERE = Path(__file__).parent


class Clock(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("source", "hz", "apb1_hz", "apb2_hz"))


class Chip:
    """clock_stm32f4.c and cycles.c for one board, on the model."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board = board
        facts = bare.facts(board, 100.0, 1, 1)
        (folder / "tinyctl_board.h").write_text(template("board.h.j2").render(board=board.name, facts=facts))
        words = [
            *host_cc(),
            *WARNINGS,
            "-O1",
            *SHARED,
            "-D__ARM_ARCH=7",
            "-DTINYCTL_STM32F4",
            "-include",
            HERE / "chip.h",
        ]
        sources = [HERE / "chip.c", bare.FOLDER / "clock_stm32f4.c", bare.FOLDER / "cycles.c"]
        run([*words, f"-I{folder}", f"-I{bare.FOLDER}", *sources, "-o", folder / "chip.so"], what="compiling the chip")
        self.library = ctypes.CDLL(str(folder / "chip.so"))
        self.library.chip_cell.restype = ctypes.POINTER(ctypes.c_uint32)

    def start(self, works: int) -> Clock:
        self.library.chip_power_on(works, self.board.code.wait_states)
        clock = Clock.in_dll(self.library, "tinyctl_clock")
        clock.source, clock.hz = 0, self.board.reset_clock_hz
        clock.apb1_hz = clock.apb2_hz = self.board.reset_clock_hz
        self.library.tinyctl_clock_start()
        assert self.word("chip_broken_rules") == 0
        return clock

    def word(self, name: str) -> int:
        return ctypes.c_uint32.in_dll(self.library, name).value

    def register(self, address: int) -> int:
        return int(self.library.chip_cell(ctypes.c_uint32(address))[0])

    def running_hz(self) -> float:
        """The clock that the registers make: RM0090 section 7.3.2."""
        setting = self.register(RCC_PLLCFGR)
        if self.register(RCC_CFGR) >> 2 & 3 != 2:
            return self.board.reset_clock_hz
        source = self.board.bare.crystal_hz if setting >> 22 & 1 else self.board.reset_clock_hz
        return source / (setting & 63) * (setting >> 6 & 511) / (2 * (setting >> 16 & 3) + 2)


@pytest.fixture(scope="module", params=BOARDS)
def chip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Chip:
    return Chip(load_board(request.param), tmp_path_factory.mktemp("chip"))


@pytest.mark.parametrize(
    ("missing", "source"),
    [
        (0, 1),
        (CRYSTAL, 2),
        (PLL, 0),
        (FLASH, 0),
        (CRYSTAL | INTERNAL, 0),
        (CRYSTAL | INTERNAL | PLL | FLASH | OVER_DRIVE, 0),
    ],
)
def test_clock(chip: Chip, missing: int, source: int) -> None:
    """The board's clock from the crystal, else from the internal oscillator, else that after reset; and it says so."""
    clock, board = chip.start(ALL & ~missing), chip.board
    assert clock.source == source
    assert clock.hz == chip.running_hz() == (board.clock_hz if source else board.reset_clock_hz)
    buses = (clock.hz // 4, clock.hz // 2) if source else (clock.hz, clock.hz)
    assert (clock.apb1_hz, clock.apb2_hz) == buses
    assert chip.register(RCC_CFGR) == ((5 << 10 | 4 << 13 | 2 << 2 | 2) if source else 0)
    if source:
        assert chip.register(FLASH_ACR) == 7 << 8 | board.code.wait_states
        step = board.bare.crystal_hz / (chip.register(RCC_PLLCFGR) & 63) if source == 1 else None
        assert step in (None, 1e6, 2e6)
    assert bool(chip.register(RCC_CR) >> 18 & 1) == board.bare.crystal_bypass


def test_over_drive_that_fails(chip: Chip) -> None:
    """Only boards above 168 MHz need it; they stay at the clock after reset without."""
    clock = chip.start(ALL & ~OVER_DRIVE)
    assert clock.source == (0 if chip.board.bare.over_drive else 1)
    assert clock.hz == chip.running_hz()


@pytest.mark.parametrize(
    ("works", "may_use_systick", "counter"),
    [(DWT | TIM2 | SYSTICK, 1, 1), (TIM2 | SYSTICK, 1, 2), (SYSTICK, 1, 3), (SYSTICK, 0, 0), (0, 1, 0)],
)
def test_counter(chip: Chip, works: int, may_use_systick: int, counter: int) -> None:
    """The first that moves; what reading it costs is taken off."""
    clock = chip.start(ALL | works)
    chip.library.tinyctl_counter_start(may_use_systick)
    assert chip.word("tinyctl_counter") == counter
    assert chip.word("tinyctl_counter_hz") == {0: 0, 1: clock.hz, 2: clock.hz // 2, 3: clock.hz}[counter]
    if counter:
        for _ in range(4):
            begin = chip.library.tinyctl_counter_read()
            assert chip.library.tinyctl_counter_since(begin) == 0
        assert chip.word("tinyctl_counter_overhead") > 0
