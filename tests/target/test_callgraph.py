"""The static call graph: frames as gcc states them, what it cannot know, and the call sites of costly things."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tinyctl import builder, toolchains
from tinyctl.boards import Board, load_board
from tinyctl.builder import build
from tinyctl.callgraph import reachable, static_stack
from tinyctl.checker import check
from tinyctl.debug import Lines
from tinyctl.image import read_image, read_program

SOURCE = """
#define KEEP __asm__ volatile("")
float tanhf(float x) { KEEP; return x; }
static float kept;
void *malloc(unsigned n) { (void)n; KEEP; return &kept; }
double twice(double x) { KEEP; return x; }
double __aeabi_dmul(double a, double b) { (void)b; KEEP; return a; }
extern float (*volatile chosen)(float);
float (*volatile chosen)(float);
__attribute__((noinline)) int fold(int n) {
    volatile int room[4]; room[n & 3] = n; return n ? fold(n - 1) + room[0] : 1; }
__attribute__((noinline)) int pick(int n) {
    switch (n) { case 0: return 7; case 1: __asm__ volatile("nop"); return fold(2); case 2: return 5;
                 case 3: return n * n; case 4: __asm__ volatile("wfi"); return 2; case 5: return 9;
                 default: return 0; } }
void costly(const float *o, float *a) {
    a[0] = tanhf(o[0]);
    *(float *)malloc(4u) = 1.0f;
    a[1] = (float)((int)o[1] / ((int)o[2] | 1));
    a[2] = (float)__aeabi_dmul(twice(2.0), 3.0); }
void open(const float *o, float *a) { a[0] = chosen(o[0]); a[1] = (float)pick((int)o[1]); }
void grows(const float *o, float *a) {
    volatile float room[((int)o[0] & 15) + 1]; room[0] = o[1]; a[0] = room[0]; }
int main(void) { return 0; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("costly")
    (folder / "user.c").write_text(SOURCE)
    (folder / "user.ld").write_text(
        "SECTIONS { .text 0x08000000 : { *(.text* .rodata*) } .bss 0x20000000 (NOLOAD) : { *(.bss* .data*) }"
        " /DISCARD/ : { *(.ARM* .comment) } }"
    )
    cpu = ["-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"]
    flags = ["-O1", "-g", "-fno-unwind-tables", "-fno-inline", "-fno-builtin", "-c", "user.c", "-o", "user.o"]
    toolchains.run([*toolchains.zig(), "cc", *cpu, *flags], what="test", cwd=folder)
    words = [*toolchains.zig(), "ld.lld", "-T", "user.ld", "--entry=main", "user.o", "-o", "user.elf"]
    toolchains.run(words, what="test", cwd=folder)
    return folder / "user.elf"


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(SOURCE.splitlines(), 1) if text in line)


def test_call_sites_are_named(program: Path, board: Board) -> None:
    report = check(program, board, function="costly", n_obs=3, n_act=3, samples=4)
    assert report.verdict == "pass"  # what a user's program holds is the user's affair
    said = {(f.symbol, f.source) for f in report.findings}
    assert said >= {
        ("tanhf", f"user.c:{line_of('tanhf(o[0])')}"),
        ("malloc", f"user.c:{line_of('malloc(4u)')}"),
        ("a division instruction", f"user.c:{line_of('/ ((int)')}"),
        ("__aeabi_dmul", f"user.c:{line_of('__aeabi_dmul(twice')}"),
    }
    assert {finding.caller for finding in report.findings} == {"costly"}
    assert all(finding.address for finding in report.findings)


def test_what_a_static_stack_cannot_know(program: Path) -> None:
    image = read_program(program)
    found = {}
    for name in ("open", "grows", "costly"):
        root = image.function(name)
        found[name] = static_stack(image, reachable(image, root), root)
    assert any("fold calls fold again: recursion" in line for line in found["open"].left_out)  # through a table branch
    assert any(re.match(r"open\+0x\w+ goes to an address from a register", line) for line in found["open"].left_out)
    assert found["open"].chain == ("open", "pick", "fold")
    assert found["grows"].left_out == ("grows takes stack by an amount known only when it runs",)
    assert found["costly"].left_out == ()


def test_frames_are_those_that_gcc_states(
    unit: Path, board: Board, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    gcc = require_tool("arm-none-eabi-gcc")
    flags = board.toolchain("gcc")
    words = [gcc, *flags.cpu, *flags.flags, "-ffreestanding", f"-I{unit}", "-fcallgraph-info=su"]
    toolchains.run([*words, "-c", unit / "sample.c", "-o", "unit.o"], what="test", cwd=tmp_path)
    said = (tmp_path / "unit.ci").read_text()
    stated = {name: int(size) for name, size in re.findall(r'label: "(\w+)\\n[^"]*\\n(\d+) bytes \(static\)', said)}
    image = read_image(build(unit, board, "gcc", out=tmp_path / "image.elf").path)
    root = image.function("sample_step")
    bodies = reachable(image, root)
    assert len(bodies) >= 7
    for body in bodies.values():
        assert body.depth == stated[body.function.name]
        assert not body.dynamic


def test_static_stack_covers_the_painted_one(each_image: Path, board: Board) -> None:
    report = check(each_image, board, samples=8)
    assert 0 < report.stack_painted_bytes <= report.stack_static_bytes <= report.stack_painted_bytes + 64
    assert report.stack_chain[0] == "sample_step"
    assert report.stack_left_out == ()


@pytest.mark.parametrize("name", ["pico", "pico2_riscv", "teensy41"])
def test_other_instruction_sets_alike(unit: Path, name: str, tmp_path: Path) -> None:
    """Thumb without the wide forms and soft float, RV32, and a core that issues two instructions."""
    other = load_board(name)
    report = check(build(unit, other, "zig", out=tmp_path / "image.elf").path, other, samples=8)
    assert 0 < report.stack_painted_bytes <= report.stack_static_bytes <= report.stack_painted_bytes + 64
    assert report.findings == ()
    assert sum(row.cycles for row in report.lines) == report.cycles_typical
    assert {row.file for row in report.lines if row.function.startswith("sample_")} == {"sample.c"}


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_lines_cost_nothing(
    unit: Path, board: Board, tmp_path: Path, toolchain: builder.Toolchain, require_tool: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Line information changes no byte that is loaded, and every function of the unit has its line."""
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    path = build(unit, board, toolchain, out=tmp_path / "with.elf").path
    monkeypatch.setitem(builder.LINE_TABLE, toolchain, "-g0")
    without = build(unit, board, toolchain, out=tmp_path / "without.elf").path
    assert loaded(path) == loaded(without)
    assert Lines(without).at(read_image(without).function("sample_step").start) is None
    image, lines = read_image(path), Lines(path)
    for function in image.functions:
        if function.name.startswith("sample_"):
            assert str(lines.at(function.start)).startswith(("sample.c:", "sample_selftest.c:"))


def loaded(path: Path) -> list[tuple[int, bytes]]:
    with path.open("rb") as file:
        return [(s["p_vaddr"], s.data()) for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]


def test_damaged_lines_are_no_lines(image: Path, tmp_path: Path) -> None:
    content = image.read_bytes()
    with image.open("rb") as file:
        places = [(s["sh_offset"], s["sh_size"]) for s in ELFFile(file).iter_sections() if "debug" in s.name]
    address = read_image(image).function("sample_step").start
    for start, size in places:
        damaged = tmp_path / "damaged.elf"
        damaged.write_bytes(content[:start] + b"\xff" * size + content[start + size :])
        Lines(damaged).at(address)
    assert places


def test_calls_out_of_the_image_are_left_out(program: Path, tmp_path: Path, board: Board) -> None:
    """A call into a chip's boot ROM, say: it is named, and the rest is still told."""
    content = bytearray(program.read_bytes())
    image = read_program(program)
    root = image.function("costly")
    call = next(c for c in reachable(image, root)[root.start].calls if c.target == image.function("tanhf").start)
    offset = content.index(image.read(call.address - 8, 16)) + 8
    content[offset : offset + 4] = bytes.fromhex("fff7fefb")  # bl to 2 KiB before it, where nothing is
    (tmp_path / "out.elf").write_bytes(content)
    damaged = read_program(tmp_path / "out.elf")
    found = static_stack(damaged, reachable(damaged, damaged.function("costly")), damaged.function("costly"))
    assert any("could be read" in line for line in found.left_out)
