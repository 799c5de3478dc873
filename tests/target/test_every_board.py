"""The tiny network on every shipped board: it builds, it runs, and what cannot be predicted is refused in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cases
import networks
import pytest
from typer.testing import CliRunner

from tinyctl.boards import FOLDER, Board, board_names, load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.cli import app
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.sims.mcu.cores import CORES, unmodelled
from tinyctl.sims.mcu.emulator import Emulator

BOARDS = {name: load_board(name) for name in board_names()}
ZIG = {board.core: name for name, board in BOARDS.items()}.values()  # one for each core


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    emit(networks.in_format(networks.tiny(), "w16a16"), folder)
    return folder


@pytest.mark.parametrize(("name", "toolchain"), [*((n, "gcc") for n in BOARDS), *((n, "zig") for n in ZIG)])
def test_build_and_check(
    tiny: Path, tmp_path: Path, name: str, toolchain: str, require_gcc: Callable[[Board], None]
) -> None:
    board = BOARDS[name]
    if toolchain == "gcc":
        require_gcc(board)
    image = build(tiny, board, toolchain, out=tmp_path / "image.elf").path  # type: ignore[arg-type]
    report = check(image, board, samples=24)
    assert 100 < report.stack_bytes < 400
    assert report.stack_painted_bytes <= report.stack_static_bytes < report.stack_painted_bytes + 32
    assert not (board.riscv and report.stack_left_out)
    assert 2000 < report.flash_bytes < 6000
    unable = unmodelled(board)
    if unable is None:
        assert report.verdict == "pass"
        assert report.cycles_zero_wait <= report.cycles_typical < report.cycles_worst
        assert report.evidence == CORES[board.core].evidence
    else:
        assert report.reasons == (unable,)
        said = report.to_json()
        assert (said["verdict"], said["cycles_worst"], said["time_us_worst"], said["layers"]) == (
            "fail",
            None,
            None,
            [],
        )
        run = CliRunner().invoke(app, ["check", str(image), "--board", name, "--json"])
        assert run.exit_code == 1
        assert json.loads(run.stdout)["stack_bytes"] == report.stack_bytes


def test_first_load_costs_more_in_sram3(tiny: Path, tmp_path: Path) -> None:
    """The STM32L4R5's data in SRAM3 instead of SRAM1."""
    mine = tmp_path / "mine.toml"
    text = (FOLDER / "nucleo_l4r5zi.toml").read_text()
    mine.write_text(text.replace('name = "nucleo_l4r5zi"', 'name = "mine"').replace('"sram1"', '"sram3"'))
    times = []
    for which in ("nucleo_l4r5zi", mine):
        board = load_board(which)
        image = build(tiny, board, "zig", out=tmp_path / f"{board.name}.elf").path
        times.append(check(image, board, samples=4))
    assert times[1].cycles_zero_wait == times[0].cycles_zero_wait
    assert times[1].cycles_typical > times[0].cycles_typical + 20


def test_no_compiler_for_the_core(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(TinyctlError, match="board esp32c3: no compiler for core rv32imc yet"):
        build(tiny, replace(BOARDS["esp32c3"], toolchains=()), out=tmp_path / "image.elf")


def test_an_image_for_another_instruction_set(tiny: Path, tmp_path: Path) -> None:
    image = build(tiny, BOARDS["esp32c3"], "zig", out=tmp_path / "image.elf").path
    with pytest.raises(TinyctlError, match="not for core cortex_m4"):
        Emulator(image, replace(BOARDS["crazyflie21"], name="esp32c3"))


@pytest.mark.parametrize("name", ["pico", "pico2_riscv", "bluepill_f103c8"])
def test_the_integer_entry_is_faster_without_an_fpu(name: str, tmp_path: Path) -> None:
    """Screen, encode, decode and clip in soft float take most of a tiny network's time."""
    emit(cases.graph("tiny_w16a16_throughout"), tmp_path)
    image = build(tmp_path, BOARDS[name], "zig", out=tmp_path / "image.elf").path
    floats, integers = (check(image, BOARDS[name], samples=24, integers=which) for which in (False, True))
    assert (integers.function, integers.verdict) == ("policy_step_q", "pass")
    assert 2 * integers.cycles_typical < floats.cycles_typical
    cycles = {layer.kind: layer.cycles for layer in integers.layers}
    assert cycles["screen"] == cycles["encode"] == cycles["decode"] == 0 < cycles["integer_lag"]


def test_no_integer_entry(tiny: Path, tmp_path: Path) -> None:
    image = build(tiny, BOARDS["pico"], "zig", out=tmp_path / "image.elf").path
    with pytest.raises(TinyctlError, match="no integer entry"):
        check(image, BOARDS["pico"], integers=True)


def test_cortex_m0plus_from_ram(tiny: Path, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """A Pico whose code was copied to memory without wait states: many times slower, for want of an FPU."""
    require_tool("arm-none-eabi-gcc")
    mine = tmp_path / "mine.toml"
    text = (FOLDER / "pico.toml").read_text().replace('name = "pico"', 'name = "mine"')
    mine.write_text(text.replace('model = "xip_cache"\nwait_states = 56', 'model = "zero_wait"\nwait_states = 0'))
    board = load_board(mine)
    report = check(build(tiny, board, "gcc", out=tmp_path / "image.elf").path, board, samples=24)
    assert report.verdict == "pass"
    assert report.evidence == CORES["cortex_m0plus"].evidence
    assert report.cycles_typical == report.cycles_zero_wait > 1500
    assert report.cycles_worst >= 1.15 * report.cycles_slowest
