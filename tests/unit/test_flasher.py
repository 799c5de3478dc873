"""Flashing against boards made of files: nothing is touched before all is checked, nothing is claimed that was not
read back."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import networks
import pytest

from tinyctl import flasher
from tinyctl.boards import Board, board_names, load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.flashers import FLASHERS
from tinyctl.flashers.base import Payload, intel_hex
from tinyctl.graph import Graph

# Any flashing tool: keeps its board's flash in a file, and fails as the file `fault` says.
FAKE_TOOL = f"""#!{sys.executable}
import os, pathlib, sys
words, board = sys.argv[1:], pathlib.Path(os.environ["FAKE_BOARD"])
with (board / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
fault = (board / "fault").read_text() if (board / "fault").exists() else ""
text = " ".join(words)
writes, reads = "image." in text, "back.bin" in text
flash = board / "flash"
if fault == "absent":
    sys.exit("No DFU capable USB device available")
if writes:
    data = pathlib.Path("image.bin").read_bytes()
    flash.write_bytes(data[: len(data) // 2] if fault in ("short", "unplugged") else data)
    if fault == "unplugged":
        sys.exit("Error: device disconnected")
if reads:
    data = bytearray(flash.read_bytes())
    if fault == "corrupt":
        data[100] ^= 1
    if fault == "unplugged-reading":
        sys.exit("Error: device disconnected")
    pathlib.Path("back.bin").write_bytes(data)
"""
FIRMWARE_C = """
#include "hover.h"
static struct hover policy;
__attribute__((section(".nzds"), used)) static int for_a_debugger = 5; /* the Crazyflie's firmware has such a section */
static const char *volatile said;
extern unsigned stack_top[];
void hover_decide(const float *seen, float *decided);
__attribute__((noinline)) void hover_decide(const float *seen, float *decided)
{
    (void)hover_step(&policy, seen, decided);
}
void reset(void);
void reset(void)
{
    float seen[HOVER_N_OBS] = {0}, decided[HOVER_N_ACT];
    hover_init(&policy);
    said = HOVER_IDENTITY;
    for (;;) hover_decide(seen, decided);
}
__attribute__((section(".vectors"), used)) void *const vectors[2] = {(void *)0x20020000, (void *)reset};
"""
FIRMWARE_LD = """
ENTRY(reset)
MEMORY { flash (rx) : ORIGIN = 0x08004000, LENGTH = 1008K
         ram (rw) : ORIGIN = 0x20000000, LENGTH = 128K }
SECTIONS { .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > flash
           .data : { *(.data*) } > ram AT > flash
           .bss : { *(.bss*) } > ram
           .nzds : { *(.nzds) } > ram
           .ARM.exidx : { *(.ARM.exidx*) } > flash }
"""
pytestmark = pytest.mark.xdist_group("flasher")  # what its fixtures make is made once


@pytest.fixture(scope="module")
def graph() -> Graph:
    return networks.in_format(networks.tiny(), "w16a16")


@pytest.fixture(scope="module")
def images(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`images(board)`: tinyctl's own image for it."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            emit(graph, folder, "hover")
            made[name] = build(folder, load_board(name), "zig", out=folder / "image.elf").path
        return made[name]

    return get


@pytest.fixture(scope="module")
def firmware(graph: Graph, tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]) -> Path:
    """A firmware of somebody else's with the unit in it, linked behind the Crazyflie's boot loader."""
    folder = tmp_path_factory.mktemp("firmware")
    emit(graph, folder, "hover")
    (folder / "main.c").write_text(FIRMWARE_C)
    (folder / "link.ld").write_text(FIRMWARE_LD)
    flags = load_board("crazyflie21").toolchain("gcc")
    words = [require_tool("arm-none-eabi-gcc"), *flags.cpu, *flags.flags, "-nostdlib", "-T", "link.ld"]
    subprocess.run([*words, "main.c", "hover.c", "-o", "cf2.elf"], cwd=folder, check=True)
    return folder / "cf2.elf"


@dataclass
class Bench:
    """A bench with one board on it."""

    folder: Path

    def fail(self, how: str) -> None:
        (self.folder / "fault").write_text(how)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def flash(self) -> bytes:
        return (self.folder / "flash").read_bytes()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Fake tools on the path, in front of the real ones."""
    tools, board = tmp_path / "bin", tmp_path / "board"
    tools.mkdir()
    board.mkdir()
    for name in ("dfu-util", "openocd", "picotool", "teensy_loader_cli", "bossac", "esptool.py", "pio"):
        (tools / name).write_text(FAKE_TOOL)
        (tools / name).chmod((tools / name).stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_BOARD", str(board))
    return Bench(board)


@pytest.mark.parametrize("name", ["blackpill_f411ce", "nucleo_f446re", "h743"])
def test_a_board_is_written_read_back_and_started(
    name: str, images: Callable[[str], Path], bench: Bench, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = load_board(name)
    if name == "h743":  # whatever the model of its time says
        monkeypatch.setattr(flasher, "check", lambda path, *a, **k: replace(check(path, *a, **k), verdict="pass"))
    report = flasher.flash(images(name), board, graph_hash=graph.hash)
    assert report.verified
    assert not report.dry_run
    assert (report.graph_hash, report.contract_hash) == (graph.hash, graph.contract.hash)
    assert bench.flash == flasher.payload(images(name), board, report.image_sha256).data
    assert bench.flash[:4][3] & 0xF0 == 0x20  # the stack pointer of a vector table
    assert len(bench.calls) == len(report.steps) == 3
    assert [step.split(": ", 1)[1].split(" ", 1)[1] for step in report.steps] == bench.calls


def test_dry_run_touches_nothing(images: Callable[[str], Path], bench: Bench) -> None:
    report = flasher.flash(images("nucleo_f446re"), load_board("nucleo_f446re"), dry_run=True)
    assert report.dry_run
    assert not report.verified
    assert any("flash write_image" in step for step in report.steps)
    assert bench.calls == []


@pytest.mark.parametrize(
    ("fault", "message", "calls"),
    [
        ("absent", "No DFU capable USB device available", 1),
        ("unplugged", "Error: device disconnected", 1),
        ("short", "bytes came back", 2),
        ("corrupt", "the byte at 0x08000064 is", 2),
        ("unplugged-reading", "Error: device disconnected", 2),
    ],
)
def test_what_goes_wrong_half_way(
    fault: str, message: str, calls: int, images: Callable[[str], Path], bench: Bench
) -> None:
    """One line that says how far it got, no report of success, and the program is not started."""
    bench.fail(fault)
    with pytest.raises(TinyctlError, match=message) as told:
        flasher.flash(images("blackpill_f411ce"), load_board("blackpill_f411ce"))
    assert len(bench.calls) == calls
    assert "flash again" in str(told.value)
    assert not any("leave" in call for call in bench.calls)


def test_a_missing_tool(images: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TinyctlError, match="dfu-util is not installed; install dfu-util"):
        flasher.flash(images("blackpill_f411ce"), load_board("blackpill_f411ce"))


# --- what is refused before anything is touched ---------------------------------------------------------------------


def refused(message: str, bench: Bench, path: Path, board: Board, **more: Any) -> None:
    with pytest.raises(TinyctlError, match=message):
        flasher.flash(path, board, **more)
    assert bench.calls == []


def test_another_board(images: Callable[[str], Path], bench: Bench) -> None:
    refused(
        "built for board blackpill_f411ce, not nucleo_f446re",
        bench, images("blackpill_f411ce"), load_board("nucleo_f446re"),
    )  # fmt: skip


def test_another_graph(images: Callable[[str], Path], bench: Bench) -> None:
    path, board = images("nucleo_f446re"), load_board("nucleo_f446re")
    refused("holds graph [0-9a-f]{12}, not 000000000000", bench, path, board, graph_hash="0" * 64)


def test_boards_where_the_bare_image_does_not_start(images: Callable[[str], Path], bench: Bench) -> None:
    refused("does not start on crazyflie21", bench, images("crazyflie21"), load_board("crazyflie21"))


def test_not_a_program(tmp_path: Path, bench: Bench, firmware: Path) -> None:
    board = load_board("nucleo_f446re")
    (tmp_path / "text.elf").write_text("hello")
    refused("not an ELF file", bench, tmp_path / "text.elf", board)
    refused("cannot be read", bench, tmp_path / "none.elf", board)
    (tmp_path / "cut.elf").write_bytes(firmware.read_bytes()[:3000])
    refused("cut.elf", bench, tmp_path / "cut.elf", board)


def test_a_program_without_a_controller(tmp_path: Path, bench: Bench, firmware: Path) -> None:
    content = firmware.read_bytes().replace(b"tinyctl unit", b"somebody's u")
    (tmp_path / "other.elf").write_bytes(content)
    refused("holds no controller of tinyctl", bench, tmp_path / "other.elf", load_board("crazyflie21"))


def test_too_large_or_elsewhere(images: Callable[[str], Path], bench: Bench) -> None:
    board = load_board("nucleo_f446re")
    small = tuple((n, replace(r, length=4096) if n == board.link.code else r) for n, r in board.regions)
    refused("outside the 4,096 bytes", bench, images("nucleo_f446re"), replace(board, regions=small))
    moved = tuple((n, replace(r, origin=0x0810_0000) if n == board.link.code else r) for n, r in board.regions)
    refused("outside the", bench, images("nucleo_f446re"), replace(board, regions=moved))


def test_a_check_that_failed(images: Callable[[str], Path], bench: Bench) -> None:
    board = load_board("nucleo_f446re")
    slow = replace(board, firmware=replace(board.firmware, loop_rate_hz=1e6))
    refused("did not pass the check: worst case", bench, images("nucleo_f446re"), slow)


def test_the_report_of_another_file(images: Callable[[str], Path], bench: Bench, tmp_path: Path) -> None:
    path, board = images("nucleo_f446re"), load_board("nucleo_f446re")
    record = check(path, board).to_json()
    kept = tmp_path / "check.json"
    kept.write_text(json.dumps(record))
    assert flasher.flash(path, board, checked=kept, dry_run=True).time_us_worst == record["time_us_worst"]
    kept.write_text(json.dumps({**record, "image_sha256": "0" * 64}))
    refused("not the report of this very file", bench, path, board, checked=kept)
    kept.write_text(json.dumps({**record, "verdict": "fail", "reasons": ["too slow"]}))
    refused("did not pass the check: too slow", bench, path, board, checked=kept)
    kept.write_text("[1, 2")
    refused("check.json", bench, path, board, checked=kept)


# --- the Crazyflie --------------------------------------------------------------------------------------------------

PAGE = 1024


class FakeBootloader:
    """A Crazyflie behind its boot loader, its flash a bytearray."""

    battery = 3.9
    fault = ""
    flash_memory = bytearray()
    log: list[str] = []  # noqa: RUF012  (one for the whole test)

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._cload = self

    def start_bootloader(self, warm_boot: bool) -> bool:
        assert warm_boot
        self.log.append("boot loader")
        return self.fault != "out of reach"

    def flash(self, name: str, targets: list[Any]) -> None:
        (target,) = targets
        assert tuple(target) == ("cf2", "stm32", "fw", [], [])
        data = Path(name).read_bytes()
        self.log.append("write")
        if self.fault == "wrong target":
            raise Exception("Cannot flash: no STM32 found")
        self.flash_memory[:] = data[: len(data) // 2] if self.fault == "unplugged" else data
        if self.fault == "unplugged":
            raise Exception("Error during flash operation (code 0)")

    def get_target(self, number: int) -> Any:
        assert number == 0xFF
        return type("Target", (), {"page_size": PAGE, "start_page": 16})()

    def read_flash(self, address: int, page: int) -> bytes | None:
        assert address == 0xFF
        if self.fault == "silent":
            return None
        found = bytearray(self.flash_memory[(page - 16) * PAGE : (page - 15) * PAGE])
        if self.fault == "corrupt" and page == 17:
            found[3] ^= 0x80
        return bytes(found.ljust(PAGE, b"\xff"))

    def reset_to_firmware(self) -> bool:
        self.log.append("start")
        return True

    def close(self) -> None:
        self.log.append("close")


class _Connected:
    def __init__(self, *args: Any, **more: Any) -> None:
        pass

    def __enter__(self) -> _Connected:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        yield (0, {"pm.vbat": FakeBootloader.battery}, None)


@pytest.fixture
def crazyflie(monkeypatch: pytest.MonkeyPatch, require_package: Callable[[str], Any]) -> type[FakeBootloader]:
    """The fake in the place of cflib's connections."""
    require_package("cflib.crtp")
    made = type("One", (FakeBootloader,), {"flash_memory": bytearray(), "log": []})
    monkeypatch.setattr("cflib.bootloader.Bootloader", made)
    monkeypatch.setattr("cflib.crtp.init_drivers", lambda: None)
    monkeypatch.setattr("cflib.crazyflie.syncCrazyflie.SyncCrazyflie", _Connected)
    monkeypatch.setattr("cflib.crazyflie.syncLogger.SyncLogger", _Connected)
    monkeypatch.setattr(FakeBootloader, "battery", 3.9)
    return made


def test_crazyflie(crazyflie: type[FakeBootloader], firmware: Path, graph: Graph) -> None:
    board = load_board("crazyflie21")
    report = flasher.flash(firmware, board, graph_hash=graph.hash)
    assert (report.verified, report.battery_v, report.address) == (True, 3.9, 0x0800_4000)
    assert crazyflie.log == ["boot loader", "write", "start", "close"]
    assert graph.hash.encode() in bytes(crazyflie.flash_memory)
    assert bytes(crazyflie.flash_memory) == flasher.payload(firmware, board, report.image_sha256).data


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("out of reach", "no answer from the boot loader"),
        ("wrong target", "no STM32 found"),
        ("unplugged", "Error during flash operation"),
        ("silent", "reading back: no answer at page 1"),
        ("corrupt", "the byte at 0x08004403 is"),
    ],
)
def test_crazyflie_half_way(
    fault: str, message: str, crazyflie: type[FakeBootloader], firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crazyflie, "fault", fault)
    with pytest.raises(TinyctlError, match=message):
        flasher.flash(firmware, load_board("crazyflie21"))
    assert "start" not in crazyflie.log


def test_crazyflie_with_an_empty_battery(
    crazyflie: type[FakeBootloader], firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeBootloader, "battery", 3.2)
    with pytest.raises(TinyctlError, match=r"the battery has 3\.20 V of 3\.6 V; charge it first"):
        flasher.flash(firmware, load_board("crazyflie21"))
    assert crazyflie.log == []


# --- the flashers themselves ----------------------------------------------------------------------------------------


def test_every_flasher_says_what_it_would_do(tmp_path: Path) -> None:
    boards = {board.flasher: board for board in map(load_board, board_names())}
    assert set(boards) | {"uf2", "platformio"} == set(FLASHERS)
    boards |= {"uf2": load_board("pico"), "platformio": load_board("nucleo_f446re")}
    for name, board in boards.items():
        load = Payload(board.name, b"\x01" * 3000, board.code.origin)
        (tmp_path / name).mkdir()
        link = FLASHERS[name].link(load, "somewhere", tmp_path / name)
        steps = link.steps()
        assert any(step.startswith("write") for step in steps)
        assert any("read back" in step for step in steps) == link.reads
        assert any("somewhere" in step for step in steps) or name == "teensy_loader"
        assert not any("{" in step for step in steps)


def test_platformio_uploads_what_was_checked(images: Callable[[str], Path], bench: Bench) -> None:
    """It cannot read back, so nothing is called verified."""
    report = flasher.flash(images("nucleo_f446re"), load_board("nucleo_f446re"), flasher="platformio")
    assert (report.flasher, report.verified) == ("platformio", False)
    assert bench.calls == ["run -e upload -t nobuild -t upload"]
    bench.fail("absent")
    with pytest.raises(TinyctlError, match="pio failed"):
        flasher.flash(images("nucleo_f446re"), load_board("nucleo_f446re"), flasher="platformio")


def test_uf2(tmp_path: Path) -> None:
    """Microsoft's format: each block says where it goes; what they carry is the payload."""
    load = Payload("pico", bytes(range(256)) * 5 + b"end", 0x1000_0000)
    FLASHERS["uf2"].link(load, str(tmp_path), tmp_path).write(lambda text: None)
    content = (tmp_path / "image.uf2").read_bytes()
    assert len(content) == 6 * 512
    blocks = [struct.unpack("<8I476sI", content[at : at + 512]) for at in range(0, len(content), 512)]
    assert [block[3] for block in blocks] == [0x1000_0000 + 256 * k for k in range(6)]
    assert all(block[:3] == (0x0A324655, 0x9E5D5157, 0x2000) and block[9] == 0x0AB16F30 for block in blocks)
    assert all(block[4:8] == (256, k, 6, 0xE48BFF56) for k, block in enumerate(blocks))
    assert b"".join(block[8][:256] for block in blocks).startswith(load.data)
    for name, port in (("nucleo_f446re", "x"), ("pico", None)):
        with pytest.raises(TinyctlError, match="flasher uf2"):
            FLASHERS["uf2"].link(replace(load, board=name), port, tmp_path)


def test_unknown_flasher(images: Callable[[str], Path], bench: Bench) -> None:
    refused("no flasher is called 'jtag'", bench, images("nucleo_f446re"), load_board("nucleo_f446re"), flasher="jtag")


def test_intel_hex() -> None:
    """The example of the format's own description, and a payload that crosses 64 KiB."""
    lines = intel_hex(Payload("b", bytes.fromhex("214601360121470136007EFE09D21901"), 0x0100)).splitlines()
    assert lines == [":020000040000FA", ":10010000214601360121470136007EFE09D2190140", ":00000001FF"]
    assert ":020000046001" in intel_hex(Payload("b", b"\0" * 40, 0x6000_FFF0))
