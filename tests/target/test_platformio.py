"""The project for PlatformIO: built without its registry, tested on the virtual board, its registry's part linted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import networks
import pytest

from tinyctl import platformio
from tinyctl.boards import load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.image import read_image

BOARD = load_board("crazyflie21")
HOOKS = """
#include "firmware.h"
void tinyctl_actuators_apply(const float *action) { *(volatile float *)0x40000034u = action[0]; }
"""


@pytest.fixture(scope="module", autouse=True)
def quick(require_tool: Callable[[str], str]) -> None:
    """What is missing is asked of the registry, and fails after a minute: not here."""
    require_tool("arm-none-eabi-gcc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformio, "TIMEOUT_S", 55)
        yield


@pytest.fixture(scope="module")
def graph() -> Graph:
    return networks.in_format(networks.tiny(), "w16a16")


@pytest.fixture(scope="module")
def unit(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unit")
    emit(graph, folder, "hover")
    return folder


@pytest.fixture(scope="module")
def project(unit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project."""
    folder = tmp_path_factory.mktemp("project")
    platformio.build(unit, BOARD, out=folder / "image.elf", project=folder / "pio")
    return folder / "pio"


def test_its_image_is_one_of_ours(project: Path, graph: Graph, unit: Path, tmp_path: Path) -> None:
    """The descriptor is there, and the step takes the cycles that our own build gives it."""
    image = project.parent / "image.elf"
    assert read_image(image).descriptor.graph_hash == graph.hash
    ours = check(build(unit, BOARD, "gcc", out=tmp_path / "ours.elf").path, BOARD, samples=5)
    theirs = check(image, BOARD, samples=5)
    assert theirs.verdict == "pass"
    assert (theirs.cycles_typical, theirs.flash_bytes) == (ours.cycles_typical, ours.flash_bytes)
    assert json.loads(image.with_suffix(".json").read_text())["graph_hash"] == graph.hash


def test_the_virtual_board_runs_the_selftest(project: Path, require_tool: Callable[[str], str]) -> None:
    require_tool("qemu-system-arm")
    said = platformio.run(project, "test", "-e", "virtual")
    assert re.search(r"virtual:test_selftest \[PASSED\]", said)


def test_a_selftest_that_fails_is_seen(unit: Path, require_tool: Callable[[str], str], tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    platformio.write_project(unit, BOARD, tmp_path)
    stored = tmp_path / "hover_selftest.c"
    text = re.sub(r"0x([0-9a-f]{8})u", lambda m: f"{int(m[1], 16) ^ 1:#010x}u", stored.read_text())
    stored.write_text(text)
    with pytest.raises(TinyctlError, match="pio test -e virtual"):
        platformio.run(tmp_path, "test", "-e", "virtual")


def test_three_environments(project: Path) -> None:
    """PlatformIO's own linter has nothing to say; the registry's compiler is pinned."""
    assert platformio.run(project, "project", "config", "--lint", "--json-output").strip() == (
        "{'errors': [], 'warnings': []}"
    )
    options = {section: dict(rows) for section, rows in json.loads(
        platformio.run(project, "project", "config", "--json-output"))}  # fmt: skip
    assert {"env:registry", "env:offline", "env:virtual"} <= set(options)
    registry = options["env:registry"]
    assert registry["platform"] == "ststm32@^19.6.0"
    assert registry["platform_packages"] == ["platformio/toolchain-gccarmnoneeabi@~1.120301.0"]
    assert registry["board"] == BOARD.platformio


def test_hooks(unit: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.c").write_text(HOOKS)
    platformio.build(unit, BOARD, out=tmp_path / "image.elf", hooks=tmp_path / "mine.c", project=tmp_path / "pio")
    plain = platformio.build(unit, BOARD, out=tmp_path / "plain.elf")
    assert (tmp_path / "image.elf").read_bytes() != plain.path.read_bytes()


def test_boards_without_a_platform(unit: Path, tmp_path: Path) -> None:
    with pytest.raises(TinyctlError, match="for STM32 boards only"):
        platformio.write_project(unit, load_board("pico2"), tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_folder_of_something_else(unit: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(TinyctlError, match="not empty and no project"):
        platformio.write_project(unit, BOARD, tmp_path)


def test_code_that_does_not_compile(unit: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.c").write_text("int broken(\n")
    with pytest.raises(TinyctlError, match="error"):
        platformio.build(unit, BOARD, out=tmp_path / "image.elf", hooks=tmp_path / "mine.c")
    assert not (tmp_path / "image.elf").exists()
