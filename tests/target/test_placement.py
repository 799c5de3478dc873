"""Where the constants lie: in flash, in RAM, in a region by name. The same bits, other cycles, counted there."""

from __future__ import annotations

import json
from pathlib import Path

import cases
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from unicorn import unicorn_const

from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.checker import TimingReport, check
from tinyctl.cli import app
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.image import read_image
from tinyctl.sims.mcu.emulator import Emulator
from tinyctl.sims.mcu.engine import Machine
from tinyctl.unit import load_unit
from tinyctl.vectors import observations

PLACES = {"flash": "flash", "ram": "sram", "ccm": "ccm"}
SYSTEM_CONTROL = 0xE000_E000


@pytest.fixture(scope="module")
def graph() -> Graph:
    return cases.graph("widths_w16a16")


@pytest.fixture(scope="module")
def unit(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placed")
    emit(graph, folder, section=".anywhere")  # the builder's own choice goes before
    return folder


@pytest.fixture(scope="module")
def images(unit: Path, board: Board, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    return {place: build(unit, board, "zig", out=folder / f"{place}.elf", place=place).path for place in PLACES}


@pytest.fixture(scope="module")
def reports(images: dict[str, Path], board: Board) -> dict[str, TimingReport]:
    return {place: check(path, board, samples=24) for place, path in images.items()}


def test_the_bits_do_not_change(images: dict[str, Path], graph: Graph) -> None:
    obs = observations(graph.contract, 30, seed=2)
    expected, _ = graph.run(obs, graph.init(30))
    for path in images.values():
        emulator = Emulator(path)
        found, _ = emulator.step_batch(emulator.initial(30), obs)
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
        assert emulator.selftest() == 0


def test_each_memory_is_counted(reports: dict[str, TimingReport], unit: Path) -> None:
    tables = load_unit(unit).const_bytes
    flash, ram, ccm = (reports[place] for place in PLACES)
    assert [r.verdict for r in reports.values()] == ["pass"] * 3
    assert [r.constants_region for r in reports.values()] == [*PLACES.values()]
    assert flash.constants_bytes == 0
    assert 0.9 * tables <= ram.constants_bytes == ccm.constants_bytes  # tables of one word become immediates
    assert ram.ram_bytes == flash.ram_bytes + ram.constants_bytes
    assert ccm.ram_bytes == flash.ram_bytes
    assert abs(ram.flash_bytes - flash.flash_bytes) < 256  # the copy to start from is still there
    assert ram.image_flash_bytes == pytest.approx(flash.image_flash_bytes, abs=256)


def test_memory_without_waits_is_faster(reports: dict[str, TimingReport]) -> None:
    assert reports["ram"].cycles_typical < 0.95 * reports["flash"].cycles_typical
    assert reports["ccm"].cycles_typical < 0.95 * reports["flash"].cycles_typical


def test_no_table_is_copied_to_the_stack(reports: dict[str, TimingReport], unit: Path) -> None:
    assert load_unit(unit).const_bytes > 2000
    assert all(report.stack_painted_bytes < 200 for report in reports.values())


@pytest.mark.parametrize("place", PLACES)
def test_the_start_up_code_copies_them(place: str, images: dict[str, Path], board: Board) -> None:
    """From flash as it is written, with nothing in RAM, to the first line of `main`."""
    image = read_image(images[place])
    machine = Machine(image, board)
    control = machine.map(SYSTEM_CONTROL, 0x1000, unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_WRITE)
    with images[place].open("rb") as file:
        loads = [s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
        for _, region in board.regions:
            machine.view(region.origin, region.length)[:] = 0xEE
        for load in loads:
            machine.view(load["p_paddr"], load["p_filesz"])[:] = np.frombuffer(load.data(), np.uint8)
        machine.run(image.function("tinyctl_reset").start, image.function("main").start, [])
        for load in loads:
            assert machine.view(load["p_vaddr"], load["p_filesz"]).tobytes() == load.data()
            rest = load["p_memsz"] - load["p_filesz"]
            assert not machine.view(load["p_vaddr"] + load["p_filesz"], rest).any()
    assert control.any()  # the FPU was switched on


@pytest.mark.parametrize("place", ["eeprom", "nowhere); MEMORY {", ""])
def test_a_place_that_is_none(place: str, unit: Path, board: Board, tmp_path: Path) -> None:
    with pytest.raises(TinyctlError, match=r"board crazyflie21: constants cannot be placed in .*; choose one of flash"):
        build(unit, board, "zig", out=tmp_path / "image.elf", place=place)
    assert not list(tmp_path.iterdir())


def test_command(unit: Path, images: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "--board", "crazyflie21", "--toolchain", "zig", "--place", "ccm"]
    app([*words, str(unit), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["constants_region"] == "ccm"
    with pytest.raises(TinyctlError, match="where constants lie was settled when it was built"):
        app([*words, str(images["ram"])], standalone_mode=False)


def test_a_section_is_a_name(graph: Graph, tmp_path: Path) -> None:
    emit(graph, tmp_path / "good", section=".ccmdata")
    assert '#define POLICY_CONSTANTS __attribute__((section(".ccmdata")))' in (tmp_path / "good/policy.c").read_text()
    for section in ('x")))', "", ".a b", "é"):
        with pytest.raises(TinyctlError, match="is not a name of letters"):
            emit(graph, tmp_path / "bad", section=section)
    assert not (tmp_path / "bad").exists()
