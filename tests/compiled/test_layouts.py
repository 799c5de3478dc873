"""Every layout is taken by its ecosystem: its own parser where that is a Python package, else its build system."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import kconfiglib
import networks
import pytest
import yaml
from platformio.package.manifest import parser, schema

from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.layouts import ADAPTERS, layout_names
from tinyctl.unit import load_unit

# What Arduino's library specification requires, and the categories it knows.
ARDUINO_KEYS = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
ARDUINO_STUB = """
#include <stdint.h>
#include <stdio.h>
static uint32_t now;
static inline uint32_t micros(void) { return now += 1000; }
struct Port {
  void begin(long) {}
  void print(uint32_t v) { printf("%u", (unsigned)v); }
  void print(char c) { printf("%c", c); }
  void println(uint32_t v) { printf("%u\\n", (unsigned)v); }
  void println(const char *text) { printf("%s\\n", text); }
} Serial;
"""
ARDUINO_MAIN = "\nint main() { setup(); for (int i = 0; i < 100; i++) loop(); return 0; }\n"
ZEPHYR_STUB = """
cmake_minimum_required(VERSION 3.20)
project(stub LANGUAGES C)
set(CONFIG_TINYCTL_HOVER y)
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(current ${name})
endmacro()
function(zephyr_library_sources)
  target_sources(${current} PRIVATE ${ARGV})
endfunction()
function(zephyr_library_compile_options)
  target_compile_options(${current} PRIVATE ${ARGV})
endfunction()
function(zephyr_include_directories)
  include_directories(${ARGV})
endfunction()
add_subdirectory(${MODULE} module)
add_executable(app app.c)
target_link_libraries(app PRIVATE hover)
"""


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`laid_out(layout)`: the folder of the unit `hover` in that layout."""
    graph = networks.in_format(networks.tiny(), "w16a16")

    def make(layout: str) -> Path:
        folder = tmp_path_factory.mktemp(layout)
        emit(graph, folder, "hover", layout)
        return folder

    return make


def cmake(require_tool: Callable[[str], str], source: Path, build: Path) -> None:
    tool = require_tool("cmake")
    for words in ((tool, "-S", source, "-B", build), (tool, "--build", build)):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in (done.stdout + done.stderr).lower()


def test_every_layout_has_a_test_here() -> None:
    """That of the Crazyflie has a file of its own, tests/target/test_crazyflie.py."""
    assert layout_names() == ["plain", "arduino", "cmake", "crazyflie", "platformio", "zephyr"]


def test_a_layout_holds_the_unit(laid_out: Callable[[str], Path]) -> None:
    """The same C in all of them, and nothing unlabelled beside it."""
    plain = laid_out("plain")
    for layout in (name for name in layout_names()[1:] if name not in ADAPTERS):
        folder = laid_out(layout)
        unit = load_unit(folder / "src")
        for name in unit.files:
            assert (folder / "src" / name).read_bytes() == (plain / name).read_bytes()
        with pytest.raises(TinyctlError, match="src"):  # the folder itself is not the unit, and the message says where
            load_unit(folder)


def test_cmake(laid_out: Callable[[str], Path], require_tool: Callable[[str], str], tmp_path: Path) -> None:
    cmake(require_tool, laid_out("cmake"), tmp_path)
    done = subprocess.run([require_tool("ctest"), "--test-dir", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "100% tests passed" in done.stdout
    assert "out of 1" in done.stdout


def test_cmake_as_a_part(laid_out: Callable[[str], Path], require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """Inside another project it adds its library alone."""
    (tmp_path / "app.c").write_text('#include "hover.h"\nint main(void) { return (int)hover_selftest(); }\n')
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.21)\nproject(app C)\nadd_subdirectory({laid_out('cmake')} hover)\n"
        "add_executable(app app.c)\ntarget_link_libraries(app PRIVATE hover)\n"
    )
    cmake(require_tool, tmp_path, tmp_path / "build")
    assert subprocess.run([tmp_path / "build" / "app"], check=False).returncode == 0
    assert not list((tmp_path / "build").rglob("hover_example"))


def test_zephyr(laid_out: Callable[[str], Path], require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """Its module file, its Kconfig by Zephyr's own parser, its CMake file over stand-ins for Zephyr's functions."""
    folder = laid_out("zephyr")
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert module == {"name": "hover", "build": {"cmake": ".", "kconfig": "Kconfig"}}
    for place in (folder / module["build"]["cmake"] / "CMakeLists.txt", folder / module["build"]["kconfig"]):
        assert place.is_file()
    options = kconfiglib.Kconfig(str(folder / "Kconfig"), warn_to_stderr=False)
    assert options.warnings == []
    assert options.syms["TINYCTL_HOVER"].type == kconfiglib.BOOL
    (tmp_path / "CMakeLists.txt").write_text(ZEPHYR_STUB.replace("${MODULE}", str(folder)))
    (tmp_path / "app.c").write_text("int hover_selftest(void);\nint main(void) { return hover_selftest() != 0; }\n")
    cmake(require_tool, tmp_path, tmp_path / "build")
    assert subprocess.run([tmp_path / "build" / "app"], check=False).returncode == 0


def test_arduino(laid_out: Callable[[str], Path], require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """The properties its specification asks for, and its example run over stand-ins for Arduino's functions."""
    folder = laid_out("arduino")
    lines = (folder / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    assert properties.keys() >= ARDUINO_KEYS
    assert all(properties[key] for key in ARDUINO_KEYS)
    assert (folder / "src" / properties["includes"]).is_file()
    (sketch,) = (folder / "examples").glob("*/*.ino")
    assert sketch.stem == sketch.parent.name
    (tmp_path / "sketch.cpp").write_text(ARDUINO_STUB + sketch.read_text() + ARDUINO_MAIN)
    for name in ("hover", "hover_selftest"):
        words = [require_tool("gcc"), "-Os", "-c", folder / "src" / f"{name}.c", "-o", tmp_path / f"{name}.o"]
        subprocess.run(words, check=True)
    words = [require_tool("g++"), "-Wall", "-Werror", f"-I{folder / 'src'}", *tmp_path.glob("*.o")]
    subprocess.run([*words, tmp_path / "sketch.cpp", "-o", tmp_path / "sketch"], check=True)
    who, *said = subprocess.run([tmp_path / "sketch"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert who.startswith("tinyctl unit hover 2 1 ")
    assert len(said) >= 5  # at 50 Hz, of 100 calls a millisecond apart
    assert all(line.startswith("0 ") for line in said)


def test_platformio(
    laid_out: Callable[[str], Path],
    require_tool: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Its manifest by PlatformIO's own parser and schema, and its example."""
    folder = laid_out("platformio")
    # The list of licences is fetched from the network, where there is one.
    monkeypatch.setattr(schema.ManifestSchema, "load_spdx_licenses", lambda self: {"licenses": [{"licenseId": "0BSD"}]})
    manifest = parser.ManifestParserFactory.new_from_file(str(folder / "library.json")).as_dict()
    checked = schema.ManifestSchema().load_manifest(manifest)
    assert (checked["name"], checked["license"], checked["headers"]) == ("hover", "0BSD", ["hover.h"])
    (example,) = checked["examples"]
    sources = [folder / example["base"] / name for name in example["files"]]
    words = [require_tool("gcc"), *manifest["build"]["flags"], f"-I{folder / 'src'}", *sources]
    subprocess.run([*words, *(folder / "src").glob("*.c"), "-o", tmp_path / "example"], check=True)
    assert subprocess.run([tmp_path / "example"], check=False).returncode == 0


def test_unknown_layout(tmp_path: Path) -> None:
    graph = networks.in_format(networks.tiny(), "f32")
    with pytest.raises(TinyctlError, match=r"no layout is called '\.\./zephyr'"):
        emit(graph, tmp_path / "out", "hover", "../zephyr")
    assert not (tmp_path / "out").exists()
