"""The emitted C in somebody else's project: no warning, C++ too, nothing needed from outside, same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import networks
import pytest
from elftools.elf.elffile import ELFFile

from tinyctl import toolchains
from tinyctl.builder import WARNINGS
from tinyctl.emitter import emit, render
from tinyctl.graph import Graph
from tinyctl.unit import load_unit

FILES = ("policy.c", "policy_selftest.c")
STEP_Q = "-DPOLICY_STEP_Q=1"  # the integer entry, which a machine with FPU has not
COMPILERS = ("gcc", "zig")
CPLUSPLUS = (*(w for w in WARNINGS if w != "-std=c99"), "-std=c++11", "-x", "c++")
# Loops stay loops: neither compiler may put in a call of memset or memcpy.
BARE = {
    "gcc": ("-O3", "-ffreestanding", "-fno-tree-loop-distribute-patterns"),
    "zig": ("-O3", "-ffreestanding", "-fno-builtin", "-fno-unwind-tables", "-fno-stack-check", "-fno-stack-protector"),
}


def compiler(name: str, require_tool: Callable[[str], str]) -> tuple[str, ...]:
    return (*toolchains.zig(), "cc") if name == "zig" else (require_tool(name),)


def compile_one(command: tuple[str, ...], flags: tuple[str, ...], source: Path, target: Path) -> Path:
    toolchains.run([*command, *flags, "-c", source, "-o", target], what="compiling")
    return target


def test_the_builder_has_the_promised_warnings() -> None:
    promised = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror"
    assert set(promised.split()) <= set(WARNINGS)


@pytest.mark.parametrize("name", COMPILERS)
def test_compiles_without_a_warning(
    case: tuple[Graph, Path], name: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    for file in FILES:
        compile_one(compiler(name, require_tool), (*WARNINGS, "-O3", STEP_Q), case[1] / file, tmp_path / "x.o")


@pytest.mark.parametrize("name", ["g++", "zig"])
def test_compiles_as_cplusplus(
    case: tuple[Graph, Path], name: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    command = (*toolchains.zig(), "c++") if name == "zig" else (require_tool(name),)
    for file in FILES:
        path = compile_one(command, (*CPLUSPLUS, "-O1", STEP_Q), case[1] / file, tmp_path / "x.o")
    assert "policy_selftest" in symbols(path)  # not mangled


def symbols(path: Path, undefined: bool = False) -> set[str]:
    """Names of global symbols that an object file defines, or of those it needs."""
    with path.open("rb") as file:
        rows = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return {
            s.name
            for s in rows
            if s.name and s["st_info"]["bind"] != "STB_LOCAL" and (s["st_shndx"] == "SHN_UNDEF") == undefined
        }


@pytest.mark.parametrize("name", COMPILERS)
def test_needs_nothing_from_outside(
    case: tuple[Graph, Path], name: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    path = compile_one(compiler(name, require_tool), BARE[name], case[1] / "policy.c", tmp_path / "x.o")
    assert symbols(path, undefined=True) == set()
    assert symbols(path) == {f"policy_{verb}" for verb in ("init", "reset", "step", "set_applied")}


def test_keeps_no_data_of_its_own(case: tuple[Graph, Path], tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    path = compile_one(compiler("zig", require_tool), BARE["zig"], case[1] / "policy.c", tmp_path / "x.o")
    with path.open("rb") as file:
        writable = {s.name: s["sh_size"] for s in ELFFile(file).iter_sections() if s["sh_flags"] & 0x3 == 0x3}
    assert sum(writable.values()) == 0, writable


@pytest.mark.parametrize("name", COMPILERS)
def test_two_controllers_in_one_program(tmp_path: Path, name: str, require_tool: Callable[[str], str]) -> None:
    command = compiler(name, require_tool)
    objects = []
    for unit, format_name in (("alpha", "f32"), ("beta", "w16a16")):
        emit(networks.in_format(networks.tiny(), format_name), tmp_path, unit)
        for file in (f"{unit}.c", f"{unit}_selftest.c"):
            objects.append(compile_one(command, (*WARNINGS, "-O2", "-fPIC"), tmp_path / file, tmp_path / f"{file}.o"))
    (tmp_path / "main.c").write_text(
        '#include "alpha.h"\n#include "beta.h"\nint main(void) { struct alpha a; struct beta b; alpha_init(&a);'
        " beta_init(&b); return (int)(alpha_selftest() | beta_selftest() | (a.applied[0] != b.applied[0])); }\n"
    )
    main = compile_one(command, (*WARNINGS, "-fPIC"), tmp_path / "main.c", tmp_path / "main.o")
    toolchains.run([*command, *objects, main, "-o", tmp_path / "main"], what="linking")
    toolchains.run([tmp_path / "main"], what="running")


def test_constants_can_be_placed_in_a_section(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    unit = emit(networks.in_format(networks.all_layers(), "w16a16"), tmp_path)
    define = '-DPOLICY_CONSTANTS=__attribute__((section(".ccm")))'
    path = compile_one(compiler("gcc", require_tool), ("-O0", define), tmp_path / "policy.c", tmp_path / "x.o")
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".ccm")
        assert 0 <= section["sh_size"] - unit.const_bytes < 4 * 3 * len(unit.nodes)  # alignment between tables


def test_struct_is_as_large_as_promised(
    case: tuple[Graph, Path], tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    unit = load_unit(case[1])
    (tmp_path / "size.c").write_text(
        f'#include <stddef.h>\n#include "policy.h"\n'
        f"typedef char whole[sizeof(struct policy) == {unit.struct_bytes} ? 1 : -1];\n"
        f"typedef char state[offsetof(struct policy, work0) == {unit.state_bytes} ? 1 : -1];\n"
        f"typedef char same[POLICY_STATE_BYTES == {unit.state_bytes} ? 1 : -1];\n"
    )
    compile_one((require_tool("gcc"),), (f"-I{case[1]}",), tmp_path / "size.c", tmp_path / "x.o")


def test_no_double_no_library_no_heap(case: tuple[Graph, Path]) -> None:
    for file in ("policy.c", "policy.h", "policy_selftest.c"):
        text = re.sub(r"/\*.*?\*/", "", (case[1] / file).read_text(), flags=re.DOTALL)
        assert set(re.findall(r"#include\s+(\S+)", text)) <= {'"policy.h"', "<stdint.h>"}
        assert not re.search(r"\b(double|malloc|free|static (?!const|inline|POLICY_NOINLINE|struct))\b", text)
        assert not re.search(r"(?<![\w.])\d+\.\d*(e[+-]?\d+)?(?![\d.ef])", text)  # a literal without its f


def test_same_graph_same_bytes(case: tuple[Graph, Path], tmp_path: Path) -> None:
    graph, folder = case
    emit(graph, tmp_path)
    assert {p.name for p in folder.iterdir()} == {p.name for p in tmp_path.iterdir()}
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
        text = path.read_text()
        assert str(folder) not in text
        assert not re.search(r"20[2-9]\d-|\b\d\d:\d\d|/home/|/tmp/", text)


@pytest.mark.parametrize("format_name", ["f32", "w16a16"])
def test_golden_text(format_name: str, golden: Callable[[str, str], None]) -> None:
    """The whole C of the tiny network, to be read when it changes."""
    _, texts = render(networks.in_format(networks.tiny(), format_name), "tiny")
    golden(f"tiny_{format_name}.h", texts["tiny.h"])
    golden(f"tiny_{format_name}.c", texts["tiny.c"])
    golden(f"tiny_{format_name}_selftest.c", texts["tiny_selftest.c"])
