"""`check --function` on programs that tinyctl never emitted, the baseline, and bad input told in one line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tinyctl import cli, toolchains
from tinyctl.baseline import compare, parse_tolerance
from tinyctl.boards import Board
from tinyctl.checker import check
from tinyctl.cli import app
from tinyctl.errors import TinyctlError
from tinyctl.image import read_program
from tinyctl.sims.mcu.cortex_m4 import CORE
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.fast import FastTracer
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import PythonTracer

MOVES = """
push {r4, r5, r6, r7, lr}; vpush {d8, d9}; str.w r8, [sp, #-4]!; movs r2, #8; ldr r3, [r0]; ldr r3, [r0, #4]!
ldr r3, [r0], #4; ldr.w r3, [r0, r2, lsl #2]; ldr r3, [r0, #-8]; ldrb r3, [r0, r2]; ldrh r3, [r0, #2]
ldrsb r3, [r0, #1]; ldrsh.w r3, [r0, r2, lsl #1]; ldrd r4, r5, [r0]; ldrd r4, r5, [r0], #8
ldm r0, {r4, r5, r6}; ldmdb r0!, {r4, r5}; ldr r3, [r0, #1]; ldrh r3, [r0, #1]; ldrex r3, [r0]
ldr r3, =0x12345678; vldr s0, [r0, #4]; vldr d1, [r0]; vldmia r0!, {s4-s6}; vldmdb r0!, {d2}; str r3, [r1]
strb r3, [r1, #3]; strh r3, [r1, r2]; strd r4, r5, [r1, #8]; str r3, [r1], #4; stmdb sp!, {r4, r5}; add sp, #8
stm r1!, {r4, r5}; vstr s0, [r1]; vstr d1, [r1, #8]; vstmia r1, {d1-d2}; cmp r2, #9; ittt eq; ldreq r3, [r0]
streq r3, [r1]; vldmiaeq r0, {s0-s3}; movs r3, #1; tbb [pc, r3]; 0: .byte 1, 1; tbh [pc, r3, lsl #1]
1: .hword 2, 2; ldr.w r8, [sp], #4; vpop {d8, d9}; pop {r4, r5, r6, r7, pc}; .ltorg
"""
SOURCE = """
static const float weights[8] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f};
static volatile float last;
void plain(const float *o, float *a) { float s = last; for (int i = 0; i < 8; i++) s += weights[i] * o[i]; *a = s; }
void keeps(const float *o, float *a) { last = o[0]; a[0] = last; }
void forks(const float *o, float *a) { if (o[0] > 0.0f) for (volatile int i = 0; i < 9; i++) { } a[0] = 1.0f; }
void stays(const float *o, float *a) { for (;;) { *(volatile float *)a = o[0]; } }
void jumps(const float *o, float *a) { (void)o; a[0] = 0.0f; *(volatile int *)0x40023800 = 1; }
__attribute__((noinline)) float dig(float x, int n) {
    volatile float room[64]; room[n & 63] = x; return n ? dig(x + room[n & 63], n - 1) + room[0] : x; }
void falls(const float *o, float *a) { a[0] = dig(o[0], 2000); }
__attribute__((naked)) void moves(const float *o, float *a) { __asm__ volatile(MOVES); }
int main(void) { return 0; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Code in flash, data in RAM, no vectors: what the linker of any firmware leaves of a program."""
    return linked(tmp_path_factory.mktemp("program"), "0x08000000")


def linked(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    text_of_moves = json.dumps(MOVES.strip().replace("; ", "\n"))
    (folder / "user.c").write_text(SOURCE.replace("MOVES", text_of_moves))
    cpu = ["-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"]
    compile_only = ["-O2", "-g", "-fno-unwind-tables", "-c", "user.c", "-o", "user.o"]
    toolchains.run([*toolchains.zig(), "cc", *cpu, *compile_only], what="test", cwd=folder)
    (folder / "user.ld").write_text(
        f"SECTIONS {{ .text {text} : {{ *(.text* .rodata*) }} .bss 0x20000000 (NOLOAD) : {{ *(.bss* .data*) }}"
        " /DISCARD/ : { *(.ARM* .comment) } }"
    )
    words = [*toolchains.zig(), "ld.lld", "-T", "user.ld", "--entry=main", "user.o", "-o", "user.elf"]
    toolchains.run(words, what="test", cwd=folder)
    return folder / "user.elf"


def test_a_users_function(program: Path, board: Board) -> None:
    report = check(program, board, function="plain", n_obs=8, n_act=1)
    assert (report.verdict, report.single_path, report.constant_time, report.paths) == ("pass", True, True, 1)
    assert 30 < report.cycles_zero_wait <= report.cycles_typical < report.cycles_worst < 400
    assert [layer.name for layer in report.layers] == ["plain"]
    assert report.cycles_fastest == report.cycles_slowest == report.cycles_typical
    assert report.ram_bytes == 4
    forks = check(program, board, function="forks", n_obs=1, n_act=1)
    assert forks.paths == 2
    assert forks.cycles_slowest > forks.cycles_fastest + 40
    assert all(place.startswith("forks+") for place in forks.parting)
    assert check(program, board, function="keeps", n_obs=1, n_act=1).single_path


def test_accesses_are_found_from_registers(program: Path, board: Board) -> None:
    """Every form of address: what the tracer in C works out is what the emulator reports to the one in Python."""
    image = read_program(program)
    machine, code = Machine(image, board), Program(image, "moves")
    start, data = image.function("moves").start, board.data.origin + 0x1000
    python, fast = PythonTracer(machine, code, CORE), FastTracer(machine, code, CORE)
    with python.walks() as record:
        slow_walk = record(start, data, data + 0x400)
    with fast.walks() as record:
        walk = record(start, data, data + 0x400)
    expected = [(a.address, a.size, a.write) for listed in slow_walk.accesses.values() for a in listed]
    assert len(expected) >= 60
    assert [(int(a["address"]), int(a["size"]) >> 1, bool(a["size"] & 1)) for a in walk.accesses] == expected
    slow, quick = python.memories(), fast.memories()
    for _ in range(2):
        assert python.time_walk(slow_walk, slow) == fast.time_walk(walk, quick)
    paths = []
    for tracer in (python, fast):
        with tracer.paths() as record:
            paths.append(record(start, data, data + 0x400))
    assert len(paths[0].lines) >= 2
    assert (paths[0].digest, paths[0].lines_digest) == (paths[1].digest, paths[1].lines_digest)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        ("plane", "no function 'plane'; did you mean plain"),
        ("stays", "stays+0x.* is still running after 100000 instructions"),
        ("jumps", "jumps+0x.* writes 0x40023800 outside the board's memory"),
        ("falls", "the stack of falls grows through all .* into the program's data"),
    ],
)
def test_bad_programs(
    program: Path, board: Board, function: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinyctl.sims.mcu.trace.MAX_INSTRUCTIONS", 100_000)
    with pytest.raises(TinyctlError, match=complaint.replace("+0x", r"\+0x")) as caught:
        check(program, board, function=function, n_obs=1, n_act=1)
    assert "\n" not in str(caught.value)


def test_bad_files(tmp_path: Path, board: Board, program: Path) -> None:
    text = tmp_path / "text.elf"
    text.write_text("hello")
    other = tmp_path / "other.elf"
    content = bytearray(program.read_bytes())
    content[18:20] = (62).to_bytes(2, "little")  # e_machine
    other.write_bytes(content)
    relocatable = tmp_path / "relocatable.elf"
    content = bytearray(program.read_bytes())
    content[16:18] = (1).to_bytes(2, "little")  # e_type
    relocatable.write_bytes(content)
    for path, complaint in (
        (text, "not an ELF file"),
        (other, "X86_64, not for"),
        (relocatable, "not linked"),
        (linked(tmp_path / "a", "0x080ffff0"), "bytes at 0x080ffff0 do not fit the 1048576 bytes of flash"),
        (linked(tmp_path / "b", "0x00100000"), "lie in no region of crazyflie21"),
    ):
        with pytest.raises(TinyctlError, match=complaint):
            check(path, board, function="plain", n_obs=8, n_act=1)
    with pytest.raises(TinyctlError, match="name it with --function"):
        check(program, board)
    with pytest.raises(TinyctlError, match="no room"):
        check(program, board, function="plain", n_obs=60000, n_act=1)


def test_each_mistake_is_one_line_and_status_2(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command line: what is wrong is named, with the source line where code faults."""
    monkeypatch.setattr("tinyctl.sims.mcu.trace.MAX_INSTRUCTIONS", 100_000)
    (tmp_path / "text.elf").write_text("hello")
    shutil.copyfile(sys.executable, tmp_path / "host")
    line = next(n for n, text in enumerate(SOURCE.splitlines(), 1) if "0x40023800" in text)
    call = ["--obs", "1", "--act", "1", "--function"]
    for words, complaint in (
        ([tmp_path / "text.elf"], "text.elf: not an ELF file"),
        ([tmp_path / "host"], "host: for a 64-bit"),
        ([tmp_path / "absent.elf"], "cannot be read"),
        ([program], "name it with --function"),
        ([program, *call, "plane"], "no function 'plane'; did you mean plain"),
        ([linked(tmp_path / "large", "0x080ffff0"), *call, "plain"], "do not fit the 1048576 bytes of flash"),
        ([program, *call, "stays"], "still running after 100000 instructions"),
        ([program, *call, "jumps"], f"(user.c:{line}) writes 0x40023800 outside the board's memory"),
        ([program, *call, "falls"], "grows through all"),
        ([program, *call, "plain", "--tasks", tmp_path / "absent.toml"], "absent.toml: no such file"),
    ):
        monkeypatch.setattr(sys, "argv", ["tinyctl", "check", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        assert (ended.value.code, told.out) == (2, "")
        assert told.err.startswith("tinyctl: ")
        assert complaint in told.err
        assert told.err.count("\n") == 1


def test_baseline(program: Path, tmp_path: Path) -> None:
    kept = tmp_path / "timing.json"
    words = ["check", str(program), "--function", "plain", "--obs", "8", "--act", "1", "--json"]
    run = CliRunner().invoke(app, [*words, "--out", str(kept)])
    assert run.exit_code == 0
    assert CliRunner().invoke(app, [*words, "--baseline", str(kept)]).exit_code == 0
    record = json.loads(kept.read_text())
    slower = {**record, "cycles_worst": int(record["cycles_worst"] / 1.03), "layers": []}
    kept.write_text(json.dumps(slower))
    run = CliRunner().invoke(app, [*words, "--baseline", str(kept)])
    assert run.exit_code == 1
    assert [row["what"] for row in json.loads(run.stdout)["grown"]] == ["cycles_worst"]
    assert CliRunner().invoke(app, [*words, "--baseline", str(kept), "--tolerance", "5%"]).exit_code == 0
    assert "cycles_worst" in CliRunner().invoke(app, [*words[:-1], "--baseline", str(kept)]).stdout
    for text, complaint in (
        ("[]", "not a timing report"),
        (json.dumps({**slower, "board": "other"}), "made for board 'other'"),
        (json.dumps({**slower, "ram_bytes": "many"}), "not a timing report"),
    ):
        kept.write_text(text)
        with pytest.raises(TinyctlError, match=complaint):
            compare(record, kept)
    assert parse_tolerance("2%") == parse_tolerance(" 0.02 ") == 0.02
    with pytest.raises(TinyctlError, match="tolerance"):
        parse_tolerance("a lot")
