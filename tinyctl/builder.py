"""From an emitted unit to a firmware image: compile, audit the symbols, link, say what was made."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tinyctl import bare, toolchains
from tinyctl.audit import audit_object
from tinyctl.bare import Wire
from tinyctl.boards import Board, Flags
from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.files import write_atomically
from tinyctl.image import Descriptor, read_image
from tinyctl.jsons import canonical_json
from tinyctl.sims.mcu import microbench
from tinyctl.templates import template
from tinyctl.unit import FACTS, Unit, load_unit

Toolchain = Literal["gcc", "zig"]
FLASH, RAM = "flash", "ram"  # with the code, with the data
UNIT_OBJECT = "*unit.o"  # the linker's pattern
BESIDE = "tinyctl_beside_"  # and a part's name: steps a part beside the controller, void f(const float *, float *)

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Werror")
# Which line code comes from, for `check`; changes no byte that is loaded.
LINE_TABLE = {"gcc": "-g1", "zig": "-gline-tables-only"}


@dataclass(frozen=True)
class Image:
    """A firmware image for one board. `toolchain` names compiler and version; `flags` are those of the unit."""

    path: Path
    name: str
    board: str
    toolchain: str
    flags: tuple[str, ...]
    n_obs: int
    n_act: int
    rate_hz: float
    contract_hash: str
    graph_hash: str
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """The record as written beside the ELF: no folder names in it."""
        return {"schema": 1, **asdict(self), "path": self.path.name, "flags": list(self.flags)}


def build(
    unit_dir: str | Path,
    board: Board,
    toolchain: Toolchain | None = None,
    *,
    out: str | Path,
    program: bare.Program = "loop",
    hooks: Path | None = None,
    place: str = FLASH,
) -> Image:
    """Build the unit in `unit_dir` into the ELF file `out` for `board`; its record goes beside it, as `.json`.

    `program` is what the firmware does with the controller: the control loop, or service behind a link. `hooks` is a C
    file with the sensors and actuators (docs/hil.md). `place` is where the unit's constants lie when it runs: `flash`
    with the code, `ram` with the data, else a region of the board that can be written; the start-up code copies them
    there. `toolchain` None takes gcc where installed, else zig. Raises `TinyctlError` when the unit does not compile
    without a warning, or needs anything that is not in it (soft float, double, libm, heap).
    """
    folder, out = Path(unit_dir), Path(out)
    unit = load_unit(folder)
    if unit.name.startswith("tinyctl"):
        raise TinyctlError(f"name {unit.name!r} begins as the firmware's own names do", where=folder / FACTS)
    region = _place(board, place)
    compiler = Compiler.choose(board, toolchain)
    with tempfile.TemporaryDirectory(prefix="tinyctl-build-") as name:
        work = Path(name)
        gather(work, folder, unit, board, compiler, region)
        compiler.compile(work, f"{unit.name}.c", "unit.o", _constants(unit, board, region))
        audit_object(work / "unit.o", board, unit.name)
        compiler.compile(work, f"{unit.name}_selftest.c", "selftest.o")
        objects = ["unit.o", "selftest.o", *_firmware(work, board, compiler, program)]
        for part in unit.beside:
            objects += [f"{part}_unit.o", f"firmware/{part}_unit.o"]
            compiler.compile(work, f"{unit.name}_{part}.c", objects[-2])
            audit_object(work / objects[-2], board, f"{unit.name}_{part}", known=(f"{unit.name}_step",))
            compiler.compile(work, f"firmware/{part}.c", objects[-1])
        if hooks is not None:
            objects.append("firmware/user_hooks.o")
            _copy(hooks, work / "firmware" / "user_hooks.c")
            compiler.compile(work, "firmware/user_hooks.c", objects[-1])
        compiler.link(work, objects, "image.elf")
        return finish(work / "image.elf", unit, board, compiler, out)


def finish(elf: Path, unit: Unit, board: Board, compiler: Compiler, out: Path) -> Image:
    """Check a linked image, and write it and its record to `out`."""
    image = read_image(elf)
    if image.undefined:
        raise TinyctlError(f"symbol {image.undefined[0]!r} is undefined", where=f"linking {unit.name}")
    record = Image(
        out,
        unit.name,
        board.name,
        compiler.label,
        (*compiler.flags.cpu, *compiler.flags.flags),
        unit.n_obs,
        unit.n_act,
        unit.rate_hz,
        unit.contract_hash,
        unit.graph_hash,
        image.sha256,
    )
    _check_said(unit, image.descriptor)
    write_atomically(out, elf.read_bytes())
    write_atomically(out.with_suffix(".json"), canonical_json(record.to_json()) + "\n")
    return record


def benchmarks(board: Board) -> tuple[microbench.MicroBenchmark, ...]:
    """The micro-benchmarks that the board's core can run; raises `TinyctlError` where there are none."""
    found = tuple(one for one in microbench.of_core(board.core) if board.fpu != "none" or not one.uses_fpu)
    if not found:
        raise TinyctlError(f"no micro-benchmarks for core {board.core} yet", where=f"board {board.name}")
    return found


def benchmarks_hash(board: Board) -> str:
    """SHA-256 of the board's micro-benchmarks: what the calibration firmware names in place of a graph."""
    return hashlib.sha256(microbench.assembly(benchmarks(board)).encode()).hexdigest()


def build_calibration(board: Board, link: Wire, toolchain: Toolchain | None = None, *, out: Path) -> None:
    """Build the calibration firmware for `board` into the ELF file `out`: micro-benchmarks behind the link."""
    chosen = benchmarks(board)
    compiler = Compiler.choose(board, toolchain)
    symbols = [microbench.symbol(one, count) for one in chosen for count in (microbench.FEW, microbench.MANY)]
    with tempfile.TemporaryDirectory(prefix="tinyctl-build-") as scratch:
        work = Path(scratch)
        _gather_firmware(work, board, bare.facts(board, board.firmware.loop_rate_hz, 0, 0))
        (work / "benchmarks.s").write_text(microbench.assembly(chosen))
        table = template("benchmarks.c.j2").render(core=board.core, symbols=symbols, hash=benchmarks_hash(board))
        (work / "firmware" / "image.c").write_text(table)
        compiler.assemble(work, "benchmarks.s", "benchmarks.o")
        firmware = _firmware(work, board, compiler, bare.program("calibrate", link))
        compiler.link(work, ["benchmarks.o", *firmware], "image.elf")
        write_atomically(out, (work / "image.elf").read_bytes())


def _firmware(work: Path, board: Board, compiler: Compiler, program: bare.Program) -> list[str]:
    """Compile the firmware's sources and the generated table of what it holds; returns the objects."""
    objects = []
    for name in ("image.c", *bare.sources(board, program)):
        objects.append(f"firmware/{name[:-2]}.o")
        compiler.compile(work, f"firmware/{name}", objects[-1])
    return objects


@dataclass(frozen=True)
class Compiler:
    """One toolchain set up for one board. Everything runs inside the work folder with relative names: no path of
    this machine can reach the image."""

    name: Toolchain
    label: str
    command: tuple[str, ...]
    flags: Flags
    fpu: bool
    family: str

    @staticmethod
    def choose(board: Board, wanted: Toolchain | None) -> Compiler:
        gcc = toolchains.cross_gcc(board.riscv)
        if wanted == "gcc" and gcc is None:
            raise ToolMissing(f"no gcc for core {board.core} is installed", fix="install it, or take --toolchain zig")
        if wanted not in (None, "gcc", "zig"):
            raise TinyctlError(f"toolchain {wanted!r:.40} is neither gcc nor zig")
        known = {name for name, _ in board.toolchains}
        if not known:
            raise TinyctlError(f"no compiler for core {board.core} yet", where=f"board {board.name}")
        if wanted == "gcc" or (wanted is None and gcc is not None and "gcc" in known):
            assert gcc is not None
            number = toolchains.run([*gcc, "-dumpfullversion"], what="the compiler's version").strip()
            flags = board.toolchain("gcc")
            command = (*gcc, *flags.cpu)
            return Compiler("gcc", f"gcc {number}", command, flags, board.fpu != "none", board.bare.family)
        number = toolchains.run([*toolchains.zig(), "version"], what="the compiler's version").strip()
        flags = board.toolchain("zig")
        command = (*toolchains.zig(), "cc", "-target", flags.target, *flags.cpu)
        return Compiler("zig", f"zig {number}", command, flags, board.fpu != "none", board.bare.family)

    @property
    def defines(self) -> list[str]:
        names = ["TINYCTL_FPU"] * self.fpu + [f"TINYCTL_{self.family.upper()}"] * (self.family != "none")
        return [f"-D{name}" for name in names]

    def compile(self, work: Path, source: str, target: str, *defines: str) -> None:
        words = [
            *self.command,
            *self.flags.flags,
            *WARNINGS,
            *self.defines,
            *defines,
            "-ffreestanding",
            LINE_TABLE[self.name],
            f"-fdebug-prefix-map={work}=.",
            "-I.",
            "-Ifirmware",
        ]
        toolchains.run([*words, "-c", source, "-o", target], what=f"compiling {source} with {self.label}", cwd=work)

    def assemble(self, work: Path, source: str, target: str) -> None:
        words = [*self.command, "-c", source, "-o", target]
        toolchains.run(words, what=f"assembling {source} with {self.label}", cwd=work)

    def link(self, work: Path, objects: list[str], target: str) -> None:
        common = ["-T", "link.ld", "--build-id=none", "-z", "max-page-size=4096", "--fatal-warnings"]
        if self.name == "gcc":
            library = [] if self.fpu else ["-lgcc"]  # with an FPU nothing may come from it
            words = [*self.command, "-nostdlib", "-Wl," + ",".join(common), *objects, *library, "-o", target]
        else:
            runtime = [] if self.fpu else [str(toolchains.zig_runtime(self.flags.target, self.flags.cpu))]
            library = ["--gc-sections", *runtime] if runtime else []  # the runtime is one object with all functions
            words = [*toolchains.zig(), "ld.lld", *common, *objects, *library, "-o", target]
        toolchains.run(words, what=f"linking with {self.label}", cwd=work)


def _place(board: Board, place: str) -> str:
    """The name of the region that the unit's constants lie in. Raises `TinyctlError` when there is none."""
    writable = {name: name for name, region in board.regions if "w" in region.access}
    able = {FLASH: board.link.code, RAM: board.link.data} | writable
    if place not in able:
        raise TinyctlError(
            f"constants cannot be placed in {place!r:.40}",
            where=f"board {board.name}",
            fix=f"choose one of {', '.join(able)}",
        )
    return able[place]


def _constants(unit: Unit, board: Board, region: str) -> str:
    """The macro that gives the unit's constants a section of their own, unless they stay with the code."""
    section = "" if region == board.link.code else '__attribute__((section(".tinyctl_constants")))'
    return f"-D{unit.name.upper()}_CONSTANTS={section}"


def gather(
    work: Path,
    folder: Path,
    unit: Unit,
    board: Board,
    compiler: Compiler,
    place: str | None = None,
    unit_object: str = UNIT_OBJECT,
) -> None:
    """Put all sources into the work folder: the unit's three, the start-up code, the generated two.

    The constants of the unit go to the region `place`, by default that of the code; `unit_object` is the linker's
    pattern for the object of the unit.
    """
    for name in unit.files:
        if name.endswith((".c", ".h")):
            _copy(folder / name, work / name)
    _gather_firmware(work, board, bare.facts(board, unit.rate_hz, unit.n_obs, unit.n_act), place, unit_object)
    (work / "firmware" / "image.c").write_text(
        template("image.c.j2").render(
            name=unit.name,
            nodes=unit.nodes,
            board=board.name,
            toolchain=compiler.label,
            periods=[bare.period(clock, unit.rate_hz) for clock in (board.reset_clock_hz, board.clock_hz)],
        )
    )
    for part in unit.beside:
        symbol = BESIDE + part
        reads = f"&{symbol}_state, observation, observation + {unit.n_obs}"
        calls = {"monitor": f"{unit.name}_monitor_step({reads})", "player": f"{unit.name}_act(&{symbol}_state, action)"}
        text = template("beside_image.c.j2").render(unit=unit.name, part=part, symbol=symbol, call=calls[part])
        (work / "firmware" / f"{part}.c").write_text(text)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=source) from None


def _gather_firmware(
    work: Path, board: Board, facts: dict[str, str], place: str | None = None, unit_object: str = UNIT_OBJECT
) -> None:
    """Put the firmware's sources into the work folder, its facts of the board, and the linker script."""
    firmware = work / "firmware"
    firmware.mkdir(exist_ok=True)
    for path in (*bare.FOLDER.glob("*.c"), *bare.FOLDER.glob("*.h")):
        shutil.copyfile(path, firmware / path.name)
    (firmware / "tinyctl_board.h").write_text(template("board.h.j2").render(board=board.name, facts=facts))
    (work / "link.ld").write_text(link_script(board, place, unit_object))


def link_script(board: Board, place: str | None = None, unit_object: str = UNIT_OBJECT) -> str:
    """The linker script of a board, with the unit's constants in the region `place` where it names one."""
    regions = [
        {"name": name, "access": region.access, "origin": f"{region.origin:#010x}", "length": f"{region.length:#x}"}
        for name, region in board.regions
    ]
    return template("link.ld.j2").render(
        board=board.name,
        regions=regions,
        code=board.link.code,
        data=board.link.data,
        constants=place or board.link.code,
        unit_object=unit_object,
    )


def _check_said(unit: Unit, said: Descriptor) -> None:
    """The header made the descriptor; `unit.json` must say the same."""
    for key in ("contract_hash", "graph_hash", "n_obs", "n_act", "struct_bytes", "state_bytes"):
        if getattr(unit, key) != getattr(said, key):
            raise TinyctlError(f"{FACTS} and the C disagree about {key}", where=f"unit {unit.name}", fix="emit again")
