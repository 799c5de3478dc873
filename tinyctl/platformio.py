"""PlatformIO: the firmware around a controller as a project of it, built without its registry where there is none.

PlatformIO fetches its own build tool, SCons, as a package from the registry. PyPI has the same SCons: a folder that
names itself `tool-scons` and runs it serves as that package.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tinyctl import bare, builder
from tinyctl.boards import Board
from tinyctl.builder import Image
from tinyctl.errors import TinyctlError, ToolMissing
from tinyctl.files import write_atomically
from tinyctl.templates import template
from tinyctl.toolchains import cache_folder
from tinyctl.unit import load_unit
from tinyctl.version import VERSION

PLATFORM = Path(__file__).parent / "firmware" / "platformio"
UPLOADS = {"dfu": "dfu", "stlink": "stlink", "cflib": "dfu"}  # of the platform ststm32, by the board's flasher
TIMEOUT_S = 300
SCONS_PACKAGE = """\"\"\"The SCons of this Python, in the place of PlatformIO's package of it.\"\"\"

from SCons.Script.Main import main

main()
"""


def write_project(unit_dir: Path, board: Board, folder: Path) -> None:
    """Write a project into `folder`: sources, linker script, `platformio.ini`, a platform and a test of its own.

    Raises `TinyctlError` for boards without a platform that builds bare metal (all but STM32), and for a folder that
    holds anything else.
    """
    if board.flasher not in UPLOADS:
        raise TinyctlError(
            "PlatformIO builds the bare image for STM32 boards only",
            where=f"board {board.name}",
            fix="use `tinyctl emit --layout platformio` in a project of that board's platform",
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / "platformio.ini").is_file():
        raise TinyctlError("is not empty and no project of PlatformIO", where=folder)
    unit, compiler = load_unit(unit_dir), builder.Compiler.choose(board, "gcc")
    folder.mkdir(parents=True, exist_ok=True)
    builder.gather(folder, unit_dir, unit, board, compiler, unit_object=f"*/{unit.name}.o")
    common = [f"{unit.name}.c", f"{unit.name}_selftest.c", "hooks.c"]  # the last, where the user has one
    firmware = [f"firmware/{name}" for name in ("image.c", *bare.sources(board, "loop"))]
    values: dict[str, Any] = {
        "unit": unit.name,
        "version": VERSION,
        "board": board.name,
        "title": board.title,
        "core": board.core.replace("_", "-"),
        "clock_hz": board.clock_hz,
        "ram": board.data.length,
        "flash": board.code.length,
        "platformio": board.platformio,
        "upload": UPLOADS[board.flasher],
        "sources": [*common, *firmware],
        "test_sources": [*common, *(name for name in firmware if not name.endswith("/loop.c"))],
        "cpu": list(compiler.flags.cpu),
        "flags": [*compiler.flags.flags, *builder.WARNINGS, "-ffreestanding", "-g0"],
        "defines": [word.removeprefix("-D") for word in compiler.defines],
    }
    for name, path in (
        ("platformio.ini", "platformio.ini"),
        ("flags.py", "flags.py"),
        ("board.json", f"platform/boards/{board.name}.json"),
        ("test_main.c", "test/test_selftest/test_main.c"),
        ("test_custom_runner.py", "test/test_custom_runner.py"),
    ):
        write_atomically(folder / path, template(f"platformio/{name}.j2").render(values))
    for path in ("platform.json", "builder/main.py"):
        write_atomically(folder / "platform" / path, (PLATFORM / path).read_bytes())


def build(
    unit_dir: str | Path, board: Board, *, out: str | Path, hooks: Path | None = None, project: Path | None = None
) -> Image:
    """Build the unit into the ELF file `out` by PlatformIO, offline. In the folder `project` it can be worked on;
    `hooks` is a C file with the sensors and actuators."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-pio-") as scratch:
        folder = project or Path(scratch)
        write_project(Path(unit_dir), board, folder)
        if hooks is not None:
            write_atomically(folder / "hooks.c", hooks.read_bytes())
        run(folder, "run", "-e", "offline")
        elf = folder / ".pio" / "build" / "offline" / "firmware.elf"
        compiler = builder.Compiler.choose(board, "gcc")
        return builder.finish(elf, load_unit(Path(unit_dir)), board, compiler, Path(out))


def run(folder: Path, *words: str) -> str:
    """Run PlatformIO in a project, with packages of its own kept in tinyctl's cache; its output."""
    if importlib.util.find_spec("platformio") is None or importlib.util.find_spec("SCons") is None:
        raise ToolMissing("PlatformIO is not installed", fix="pip install 'tinyctl[platformio]'")
    home = _core_folder()
    where = {
        **os.environ,
        "PLATFORMIO_CORE_DIR": str(home),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "9999",
        "PLATFORMIO_NO_ANSI": "true",
    }
    command = [sys.executable, "-m", "platformio", *words]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **where},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TinyctlError(
            f"no answer in {TIMEOUT_S} s", where=f"pio {words[0]}", fix="does it wait for its registry?"
        ) from None
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
        complaint = next((line for line in lines if "rror" in line), lines[-1] if lines else "no message")
        raise TinyctlError(complaint, where=f"pio {' '.join(words)}")
    return done.stdout


def _core_folder() -> Path:
    """PlatformIO's own folder, with PyPI's SCons as the package it wants."""
    version = importlib.metadata.version("scons")
    package = cache_folder() / "platformio" / "packages" / "tool-scons"
    wanted = _scons_version()
    if not (package / ".piopm").is_file() or json.loads((package / ".piopm").read_text())["version"] != wanted:
        shutil.rmtree(package, ignore_errors=True)
        spec = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
        about = {"name": "tool-scons", "version": wanted, "description": f"SCons {version} of this Python"}
        write_atomically(package / "package.json", json.dumps(about))
        write_atomically(package / "scons.py", SCONS_PACKAGE)
        write_atomically(package / ".piokeep", "")
        write_atomically(
            package / ".piopm", json.dumps({"type": "tool", "name": "tool-scons", "version": wanted, "spec": spec})
        )
    return cache_folder() / "platformio"


def _scons_version() -> str:
    """A version of the package that this PlatformIO accepts: it asks for `~4.41101.0` and the like."""
    from platformio.dependencies import get_core_dependencies

    return str(get_core_dependencies()["tool-scons"]).lstrip("~^=")
