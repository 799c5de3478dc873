"""Images: built the same twice, complete, and refused when the unit needs what is not in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from tinyctl.boards import FOLDER, Board, load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.emitter import emit
from tinyctl.errors import FileError, TinyctlError
from tinyctl.graph import Graph
from tinyctl.image import read_image
from tinyctl.sims.mcu.emulator import Emulator


def test_descriptor(each_image: Path, graph: Graph) -> None:
    said = read_image(each_image).descriptor
    assert (said.name, said.board, said.n_obs, said.n_act, said.rate_hz) == ("sample", "crazyflie21", 3, 1, 100.0)
    assert (said.contract_hash, said.graph_hash) == (graph.contract.hash, graph.hash)
    assert [(n.name, n.kind) for n in said.nodes] == [(n.name, n.layer.kind) for n in graph.nodes]
    record = json.loads(each_image.with_suffix(".json").read_text())
    assert (record["sha256"], record["graph_hash"]) == (read_image(each_image).sha256, graph.hash)
    assert record["toolchain"] == said.toolchain


def test_same_bytes_from_another_folder(unit: Path, image: Path, board: Board, tmp_path: Path) -> None:
    shutil.copytree(unit, tmp_path / "elsewhere")
    again = build(tmp_path / "elsewhere", board, "zig", out=tmp_path / "deep" / "other.elf")
    assert again.path.read_bytes() == image.read_bytes()
    assert str(tmp_path).encode() not in again.path.read_bytes()


def test_a_name_that_the_firmware_has_too(graph: Graph, board: Board, tmp_path: Path) -> None:
    emit(graph, tmp_path, "serve")
    image = build(tmp_path, board, "zig", out=tmp_path / "image.elf", program="hil_usart")
    assert read_image(image.path).descriptor.name == "serve"


def altered(unit: Path, folder: Path, old: str, new: str) -> Path:
    shutil.copytree(unit, folder)
    source = folder / "sample.c"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new, 1))
    return folder


STEP = "    uint32_t status, i;\n"


@pytest.mark.parametrize(
    ("head", "body", "complaint"),
    [
        ("", "    double d = (double)obs[0]; act[0] = (float)(d * d + 1.0); return 0u;\n", "double"),
        ("float tanhf(float);\n", "    act[0] = tanhf(obs[0]); return 0u;\n", "tanhf: the mathematical library"),
        ("void *malloc(unsigned);\n", "    act[0] = *(float *)malloc(4u); return 0u;\n", "malloc: the heap"),
        ("static volatile int kept;\n", "    kept++;\n", "writable data"),
        ("", "    int unused;\n", "compiling sample.c"),
    ],
)
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_refused(
    unit: Path,
    board: Board,
    tmp_path: Path,
    head: str,
    body: str,
    complaint: str,
    toolchain: str,
    require_tool: Callable[[str], str],
) -> None:
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    folder = altered(unit, tmp_path / "unit", STEP, STEP + body)
    source = folder / "sample.c"
    source.write_text(source.read_text().replace('#include "sample.h"\n', f'#include "sample.h"\n{head}', 1))
    with pytest.raises(TinyctlError, match=re.escape(complaint)):
        build(folder, board, toolchain, out=tmp_path / "image.elf")  # type: ignore[arg-type]
    assert not (tmp_path / "image.elf").exists()


def test_silent_soft_float_is_refused(unit: Path, tmp_path: Path) -> None:
    """zig takes the plain core name without a word and emits calls for every float operation."""
    text = (FOLDER / "crazyflie21.toml").read_text()
    path = tmp_path / "soft.toml"
    path.write_text(text.replace("cortex_m4+vfp4d16sp", "cortex_m4-vfp4d16sp-fp64-vfp2sp"))
    with pytest.raises(TinyctlError, match=r"__aeabi_f.*: soft float"):
        build(unit, load_board(path), "zig", out=tmp_path / "image.elf")


@pytest.fixture
def soft_board(tmp_path: Path) -> Board:
    """The Crazyflie as if its core had no FPU."""
    text = (FOLDER / "crazyflie21.toml").read_text()
    for old, new in (
        ('fpu = "single"', 'fpu = "none"'),
        ('"-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"', '"-mfloat-abi=soft"'),
        ("thumb-freestanding-eabihf", "thumb-freestanding-eabi"),
        ("cortex_m4+vfp4d16sp", "cortex_m4"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "soft.toml"
    path.write_text(text)
    return load_board(path)


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_core_without_fpu(
    unit: Path, image: Path, soft_board: Board, toolchain: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    """The compiler's soft float gives the same bits, slower and on many paths; its helpers may be in the image."""
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    soft = build(unit, soft_board, toolchain, out=tmp_path / "image.elf").path  # type: ignore[arg-type]
    obs = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    hard = Emulator(image)
    emulator = Emulator(soft, soft_board)
    for row in obs:
        assert emulator.step(row)[0].tobytes() == hard.step(row)[0].tobytes()
    report = check(soft, soft_board)
    assert report.verdict == "pass"
    assert not report.single_path
    assert report.cycles_typical > 3 * check(image, load_board("crazyflie21")).cycles_typical


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"name": "sample"', '"name": "tinyctl"', "tinyctl"),
        ('"name": "hidden"', '"name": "\\"}; evil"', "not of the form"),
        ('"symbol": "sample_clip_node"', '"symbol": "a b"', "not of the form"),
        ('"n_obs": 3', '"n_obs": 4', "n_obs"),
        ('"format": "f32"', '"format": "f32*/"', "not of the form"),
    ],
)
def test_hostile_facts(unit: Path, board: Board, tmp_path: Path, old: str, new: str, complaint: str) -> None:
    folder = tmp_path / "unit"
    shutil.copytree(unit, folder)
    facts = (folder / "unit.json").read_text()
    assert old in facts
    (folder / "unit.json").write_text(facts.replace(old, new, 1))
    for ending in (".c", ".h", "_selftest.c"):
        shutil.copy(folder / f"sample{ending}", folder / f"tinyctl{ending}")
    with pytest.raises(TinyctlError, match=re.escape(complaint)):
        build(folder, board, "zig", out=tmp_path / "image.elf")


def test_damaged_images_are_refused(image: Path, tmp_path: Path) -> None:
    """Cut or overwritten anywhere, an image is read or refused with a `FileError`: no other exception."""
    good = image.read_bytes()
    path = tmp_path / "bad.elf"
    refused = 0
    for position in range(0, len(good), 97):
        for content in (good[:position], good[:position] + b"\xff\xff\xff\xff" + good[position + 4 :]):
            path.write_bytes(content)
            try:
                read_image(path)
            except FileError:
                refused += 1
    assert refused > len(good) // 97  # every cut and some of the rest


def watch(qemu: str, image: Path, words: list[tuple[str, int]], until: Callable[[list[int]], bool]) -> list[int]:
    """Run an image on QEMU's STM32F405 board until its memory says so; `words` are symbols and offsets in bytes."""
    addresses = [symbol(image, name) + offset for name, offset in words]
    options = ["-nographic", "-serial", "none", "-monitor", "stdio", "-icount", "shift=0"]
    process = subprocess.Popen(
        [qemu, "-M", "netduinoplus2", "-kernel", str(image), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    found = [0] * len(addresses)
    try:
        for _ in range(2000):  # the clock's waits end first: there is none of its registers
            for i, address in enumerate(addresses):
                process.stdin.write(f"xp /1wx {address:#x}\n")
                process.stdin.flush()
                while not (said := re.search(r": (0x\w+)", process.stdout.readline())):
                    pass
                found[i] = int(said[1], 16)
            if until(found):
                break
    finally:
        process.stdin.write("quit\n")
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()
    return found


def test_boots_on_the_virtual_board(each_image: Path, require_tool: Callable[[str], str]) -> None:
    """Reset handler, clock, self-test and loop: the phase word says so."""
    qemu = require_tool("qemu-system-arm")
    phase, steps = watch(qemu, each_image, [("tinyctl_loop", 0), ("tinyctl_loop", 4)], lambda found: found[1] > 3)
    assert phase == 1
    assert steps > 3


HOOKS = """
#include "firmware.h"
volatile uint32_t applied, stopped;
void tinyctl_sensors_read(float *observation) { observation[0] = (float)applied; }
void tinyctl_actuators_apply(const float *action) { applied += action[0] == action[0]; }
void tinyctl_actuators_stop(void) { stopped = applied + 1u; }
"""
FAULTY = "    if (obs[0] == 5.0f) { *(volatile uint32_t *)0xF0000000u = 1u; }\n"


def test_a_fault_stops_the_actuators(
    unit: Path, board: Board, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    """The user's sensors and actuators are called each step; in the sixth, a fault ends in the handler."""
    qemu = require_tool("qemu-system-arm")
    (tmp_path / "hooks.c").write_text(HOOKS)
    folder = altered(unit, tmp_path / "unit", STEP, STEP + FAULTY)
    image = build(folder, board, "zig", out=tmp_path / "image.elf", hooks=tmp_path / "hooks.c").path
    words = [("tinyctl_loop", 0), ("stopped", 0), ("tinyctl_fault_record", 0), ("tinyctl_fault_record", 4)]
    phase, stopped, exception, pc = watch(qemu, image, words, lambda found: found[0] > 1)
    assert phase == 3
    assert stopped == 6
    assert exception == 3  # hard fault
    assert read_image(image).function_at(pc).name == "sample_step"  # type: ignore[union-attr]


def symbol(path: Path, name: str) -> int:
    with path.open("rb") as file:
        found = ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name(name)
        return int(found[0]["st_value"])
