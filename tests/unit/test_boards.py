"""Boards: the shipped files load, and a hostile one is refused by file and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinyctl import bare
from tinyctl.boards import FOLDER, board_names, load_board
from tinyctl.errors import TinyctlError

TEXT = (FOLDER / "crazyflie21.toml").read_text()


def test_crazyflie() -> None:
    board = load_board("crazyflie21")
    assert (board.core, board.fpu, board.clock_hz) == ("cortex_m4", "single", 168_000_000)
    assert (board.code.origin, board.code.length, board.code.wait_states) == (0x08000000, 1 << 20, 5)
    assert (board.data.origin, board.data.length) == (0x20000000, 128 << 10)
    assert (board.loop_period_us, board.firmware.stack_bytes) == (2000, 1800)
    assert board.region_of(0x1000FFFF)[0] == "ccm"  # type: ignore[index]
    assert board.region_of(0x10010000) is None


def test_every_shipped_board_loads_and_bears_its_file_name() -> None:
    assert "crazyflie21" in board_names()
    for name in board_names():
        assert load_board(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "crazyflie21"', 'name = "a b"', "not a plain C identifier"),
        ("schema = 1", "schema = 2", "schema"),
        ("clock_hz = 168_000_000", 'clock_hz = "fast"', "clock_hz"),
        ("clock_hz = 168_000_000", "clock_hz = 0", "clock_hz"),
        ('core = "cortex_m4"', 'core = "z80"', "core"),
        ('core = "cortex_m4"', 'core = "cortex_m4"\ncolour = 1', "unknown key 'colour'"),
        ('core = "cortex_m4"', 'core = "cortex_m4"\nregions = []', "unknown key 'regions'"),
        ("[memory.ccm]", '[memory."x } >flash"]', "not a plain C identifier"),
        ("[memory.ccm]", "[memory.ccm]\nspeed = 1", "unknown key 'speed'"),
        ("origin = 0x1000_0000", "origin = 0x2000_1000", "overlap"),
        ("origin = 0x1000_0000", "origin = -4096", "memory.ccm"),
        ("origin = 0x1000_0000", "origin = 0xF000_0000", "memory.ccm"),
        ('code = "flash"', 'code = "ccm"', "link.code"),
        ('data = "sram"', 'data = "nowhere"', "link.data"),
        ("stack_bytes = 1_800", "stack_bytes = 0", "stack_bytes"),
        ("loop_rate_hz = 500", "loop_rate_hz = nan", "loop_rate_hz"),
        ('"-fno-ipa-icf"', '"-fplugin=evil.so"', "may set"),
        ('"-fno-ipa-icf"', '"-wrapper,sh"', "may set"),
        ('"-fno-ipa-icf"', '"@file"', "may set"),
        ('"-ffp-contract=off", "-fno-tree', '"-fno-tree', "-ffp-contract=off"),
        ('target = "thumb-freestanding-eabihf"', 'target = "x86_64-linux"', "target"),
        ("[toolchain.zig]", "[toolchain.msvc]", "toolchain"),
        ('family = "stm32f4"', 'family = "avr"', "family"),
        ('family = "stm32f4"', 'family = "none"', "settings without a family"),
        ('family = "stm32f4"', 'family = "stm32f4"\nspeed = 1', "unknown key 'speed'"),
        ("crystal_hz = 8_000_000", "crystal_hz = 8", "crystal_hz"),
        ("usart = 3", "usart = 4", "usart 4 is not one of"),
        ('tx = "PC10"', 'tx = "PC10; evil"', "not pins"),
        ('qemu = "netduinoplus2"', 'qemu = "-device"', "qemu '-device' is not one of"),
        ('family = "stm32f4"', 'family = "stm32f4"\nbaud = 0', "baud 0"),
        ("wait_states = 5", "wait_states = 20", "more than 15 wait states"),
        ("schema = 1", "schema = ", "TOML"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(TinyctlError, match=re.escape(complaint)) as caught:
        load_board(path)
    assert "mine.toml" in str(caught.value) or "identifier" in complaint


def test_a_users_file_loads_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace('name = "crazyflie21"', 'name = "mine"'))
    assert load_board(path).name == "mine"


@pytest.mark.parametrize("name", ["nothing", "nothing.toml", "../boards/crazyflie21"])
def test_unknown(name: str) -> None:
    with pytest.raises(TinyctlError):
        load_board(name)


def test_no_pll_setting(tmp_path: Path) -> None:
    """A crystal from which the clock cannot be made."""
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("crystal_hz = 8_000_000", "crystal_hz = 8_191_000"))
    with pytest.raises(TinyctlError, match="no PLL setting makes 168000000 Hz"):
        bare.pll(load_board(path))
