"""The emitted C in somebody else's project: no warning, C++ too, nothing needed from outside, same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cases
import networks
import pytest
from elftools.elf.elffile import ELFFile

from tinyctl import toolchains
from tinyctl.builder import WARNINGS
from tinyctl.emitter import emit
from tinyctl.unit import load_unit

FILES = ("units.c", "selftests.c")
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


@pytest.fixture(scope="module")
def everything(case_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sources that include all cases: their C, and their self-tests."""
    folder = tmp_path_factory.mktemp("everything")
    for file, ending in zip(FILES, (".c", "_selftest.c"), strict=True):
        lines = [f'#include "{path / name}{ending}"\n' for name, path in case_folders.items()]
        (folder / file).write_text("".join(lines))
    return folder


def step_q(case_folders: dict[str, Path]) -> tuple[str, ...]:
    """The integer entries too, which a machine with FPU has not."""
    return tuple(f"-D{name.upper()}_STEP_Q=1" for name in case_folders)


@pytest.mark.parametrize("name", COMPILERS)
@pytest.mark.parametrize("file", FILES)
def test_compiles_without_a_warning(
    everything: Path,
    case_folders: dict[str, Path],
    name: str,
    file: str,
    tmp_path: Path,
    require_tool: Callable[[str], str],
) -> None:
    flags = (*WARNINGS, "-O2", *step_q(case_folders))
    compile_one(compiler(name, require_tool), flags, everything / file, tmp_path / "x.o")


@pytest.mark.parametrize("name", ["g++", "zig"])
@pytest.mark.parametrize("file", FILES)
def test_compiles_as_cplusplus(
    everything: Path,
    case_folders: dict[str, Path],
    name: str,
    file: str,
    tmp_path: Path,
    require_tool: Callable[[str], str],
) -> None:
    command = (*toolchains.zig(), "c++") if name == "zig" else (require_tool(name),)
    flags = (*CPLUSPLUS, "-O1", *step_q(case_folders))
    found = symbols(compile_one(command, flags, everything / file, tmp_path / "x.o"))
    ending = "_selftest" if file == FILES[1] else "_step"
    assert {f"{case}{ending}" for case in case_folders} <= found  # not mangled


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
def test_needs_nothing_from_outside_and_keeps_no_data(
    everything: Path, case_folders: dict[str, Path], name: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    path = compile_one(compiler(name, require_tool), BARE[name], everything / FILES[0], tmp_path / "x.o")
    assert symbols(path, undefined=True) == set()
    verbs = ("init", "reset", "step", "set_applied")
    assert symbols(path) == {f"{case}_{verb}" for case in case_folders for verb in verbs}
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


def test_structs_are_as_large_as_promised(
    case_folders: dict[str, Path], tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    lines = ["#include <stddef.h>"]
    for name, folder in case_folders.items():
        unit = load_unit(folder)
        lines += [
            f'#include "{folder / name}.h"',
            f"typedef char {name}_whole[sizeof(struct {name}) == {unit.struct_bytes} ? 1 : -1];",
            f"typedef char {name}_state[offsetof(struct {name}, work0) == {unit.state_bytes} ? 1 : -1];",
            f"typedef char {name}_same[{name.upper()}_STATE_BYTES == {unit.state_bytes} ? 1 : -1];",
        ]
    (tmp_path / "size.c").write_text("\n".join([*lines, ""]))
    compile_one((require_tool("gcc"),), (), tmp_path / "size.c", tmp_path / "x.o")


def test_no_double_no_library_no_heap(case_folders: dict[str, Path]) -> None:
    for name, folder in case_folders.items():
        local = rf"\b(double|malloc|free|static (?!const|inline|{name.upper()}_NOINLINE|uint32_t|struct))\b"
        for ending in (".c", ".h", "_selftest.c"):
            text = re.sub(r"/\*.*?\*/", "", (folder / f"{name}{ending}").read_text(), flags=re.DOTALL)
            assert set(re.findall(r"#include\s+(\S+)", text)) <= {f'"{name}.h"', "<stdint.h>"}
            assert not re.search(local, text)
            assert not re.search(r"(?<![\w.])\d+\.\d*(e[+-]?\d+)?(?![\d.ef])", text)  # a literal without its f


def test_same_graph_same_bytes(case_folders: dict[str, Path], tmp_path: Path) -> None:
    for name, folder in case_folders.items():
        emit(cases.graph(name), tmp_path / name, name)
        assert {p.name for p in folder.iterdir()} == {p.name for p in (tmp_path / name).iterdir()}
        for path in folder.iterdir():
            text = path.read_text()
            assert text == (tmp_path / name / path.name).read_text()
            assert str(folder) not in text
            assert not re.search(r"20[2-9]\d-|\b\d\d:\d\d|/home/|/tmp/", text)
