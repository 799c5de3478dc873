"""From an emitted unit to a firmware image: compile, audit the symbols, link, say what was made."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jinja2
from elftools.elf.elffile import ELFFile

from tinyctl import toolchains
from tinyctl.boards import Board, Flags
from tinyctl.contract import check_identifier
from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.image import read_image
from tinyctl.jsons import canonical_json, parse_json

Toolchain = Literal["gcc", "zig"]

HERE = Path(__file__).parent
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Werror")
BARE = ("boot.c", "main.c", "tinyctl_image.h")
SYSTICK_MAX = 1 << 24  # ARM DDI 0403, B3.3.5: the reload value has 24 bits

# What an object for a core without FPU may leave to the compiler's own library.
ARITHMETIC_HELPER = re.compile(
    r"__aeabi_(f|i2f|ui2f|l2f|ul2f|cf|lmul|idiv|uidiv|llsl|llsr|lasr|mem)\w*|__\w*sf\w*|mem(cpy|set|move)")
REASONS = (
    (re.compile(r"__aeabi_(d|\w*2d)\w*|__\w*df\w*"), "arithmetic in double"),
    (re.compile(r"__aeabi_(f|\w*2f|f2|cf)\w*|__\w*sf\w*"), "soft float on a core with an FPU"),
    (re.compile(r"_?(malloc|calloc|realloc|free|sbrk)(_r)?"), "the heap"),
    (re.compile(r"mem(cpy|set|move|cmp)|__aeabi_mem\w*"), "a memory routine the compiler put in for a loop or a copy"),
    (re.compile(r"(a?(sin|cos|tan)h?|atan2|exp[2m1]*|log(10|2|1p)?|pow|sqrt|fmin|fmax|fabs|floor|ceil|fmod|hypot)f?"),
     "the mathematical library"),
)


@dataclass(frozen=True)
class UnitNode:
    name: str
    kind: str
    format: str
    symbol: str


@dataclass(frozen=True)
class UnitFacts:
    """What `unit.json` says about an emitted unit, checked."""

    name: str
    n_obs: int
    n_act: int
    rate_hz: float
    contract_hash: str
    graph_hash: str
    nodes: tuple[UnitNode, ...]


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


def read_unit(folder: Path) -> UnitFacts:
    """Read `unit.json` of an emitted unit. Every text in it may enter C source, so each is held to a pattern."""
    path = folder / "unit.json"
    try:
        record = parse_json(path.read_bytes(), where=path)
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path,
                        fix="give the folder that tinyctl emit made") from None
    if not isinstance(record, dict):
        raise FileError("not an object", where=path)

    def text(row: Any, key: str, pattern: str) -> str:
        value = row.get(key) if isinstance(row, dict) else None
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise FileError(f"{key} {value!r:.60} is not of the form {pattern}", where=path)
        return value

    def count(key: str) -> int:
        value = record.get(key)
        if type(value) is not int or not 0 < value <= 4096:
            raise FileError(f"{key} {value!r:.60} is not a number from 1 to 4096", where=path)
        return value

    rate_hz, rows = record.get("rate_hz"), record.get("nodes")
    if type(rate_hz) not in (int, float) or not (math.isfinite(rate_hz) and 0.001 <= rate_hz <= 1e6):
        raise FileError(f"rate_hz {rate_hz!r:.60} is not between 0.001 and 1e6", where=path)
    if not isinstance(rows, list) or not 0 < len(rows) <= 4096:
        raise FileError("nodes is not a list of 1 to 4096 objects", where=path)
    nodes = tuple(UnitNode(text(row, "name", r"[A-Za-z0-9_]{1,63}"), text(row, "kind", r"[a-z0-9_]{1,63}"),
                           text(row, "format", r"[a-z0-9_]{1,32}"), text(row, "symbol", r"[A-Za-z][A-Za-z0-9_]{0,199}"))
                  for row in rows)
    return UnitFacts(check_identifier(text(record, "name", r"\w{1,63}"), "unit"), count("n_obs"), count("n_act"),
                     float(rate_hz), text(record, "contract_hash", "[0-9a-f]{64}"),
                     text(record, "graph_hash", "[0-9a-f]{64}"), nodes)


def build(unit_dir: str | Path, board: Board, toolchain: Toolchain | None = None, *, out: str | Path) -> Image:
    """Build the unit in `unit_dir` into the ELF file `out` for `board`; its record goes beside it, as `.json`.

    `toolchain` None takes gcc where installed, else zig. Raises `TinyctlError` when the unit does not compile without
    a warning, or needs anything that is not in it (soft float, double, libm, heap).
    """
    folder, out = Path(unit_dir), Path(out)
    facts = read_unit(folder)
    compiler = _Compiler.choose(board, toolchain)
    with tempfile.TemporaryDirectory(prefix="tinyctl-build-") as name:
        work = Path(name)
        _gather(work, folder, facts, board, compiler)
        objects = []
        for source, target in ((f"{facts.name}.c", "unit.o"), (f"{facts.name}_selftest.c", "selftest.o"),
                               ("image.c", "image.o"), ("boot.c", "boot.o"), ("main.c", "main.o")):
            compiler.compile(work, source, target)
            objects.append(target)
            if target == "unit.o":
                audit_object(work / target, board, facts.name)
        compiler.link(work, objects, "image.elf")
        image = read_image(work / "image.elf")
        if image.undefined:
            raise TinyctlError(f"symbol {image.undefined[0]!r} is undefined", where=f"linking {facts.name}")
        record = Image(out, facts.name, board.name, compiler.label, (*compiler.flags.cpu, *compiler.flags.flags),
                       facts.n_obs, facts.n_act, facts.rate_hz, facts.contract_hash, facts.graph_hash, image.sha256)
        _check_said(record, image.descriptor.contract_hash, image.descriptor.graph_hash)
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(out, (work / "image.elf").read_bytes())
        _write(out.with_suffix(".json"), (canonical_json(record.to_json()) + "\n").encode())
    return record


def audit_object(path: Path, board: Board, unit: str) -> None:
    """Refuse an object of a unit that needs a symbol from outside, or keeps data of its own in RAM.

    With an FPU nothing may be missing; without one the compiler's float and integer helpers may.
    """
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = [s for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name]
        undefined = sorted(str(s.name) for s in symbols if s["st_shndx"] == "SHN_UNDEF")
        writable = sum(int(s["sh_size"]) for s in elf.iter_sections() if s["sh_flags"] & 0x3 == 0x3)  # WRITE | ALLOC
    for symbol in undefined:
        if board.fpu == "none" and ARITHMETIC_HELPER.fullmatch(symbol):
            continue
        reason = next((text for pattern, text in REASONS if pattern.fullmatch(symbol)), "a symbol from outside")
        raise TinyctlError(f"the object needs {symbol}: {reason}", where=f"unit {unit} on {board.name}")
    if writable:
        raise TinyctlError(f"the object has {writable} bytes of writable data outside the caller's struct",
                           where=f"unit {unit}")


@dataclass(frozen=True)
class _Compiler:
    """One toolchain set up for one board. Everything runs inside the work folder with relative names: no path of
    this machine can reach the image."""

    name: Toolchain
    label: str
    flags: Flags
    fpu: bool

    @staticmethod
    def choose(board: Board, wanted: Toolchain | None) -> _Compiler:
        gcc = toolchains.arm_gcc()
        if wanted == "gcc" and gcc is None:
            raise ToolMissing("arm-none-eabi-gcc is not installed", fix="install it, or build with --toolchain zig")
        if wanted not in (None, "gcc", "zig"):
            raise TinyctlError(f"toolchain {wanted!r:.40} is neither gcc nor zig")
        known = {name for name, _ in board.toolchains}
        if wanted == "gcc" or (wanted is None and gcc is not None and "gcc" in known):
            assert gcc is not None
            number = toolchains.run([*gcc, "-dumpfullversion"], what="the compiler's version").strip()
            return _Compiler("gcc", f"gcc {number}", board.toolchain("gcc"), board.fpu != "none")
        number = toolchains.run([*toolchains.zig(), "version"], what="the compiler's version").strip()
        return _Compiler("zig", f"zig {number}", board.toolchain("zig"), board.fpu != "none")

    @property
    def _command(self) -> list[str]:
        if self.name == "gcc":
            return [*(toolchains.arm_gcc() or ()), *self.flags.cpu]
        return [*toolchains.zig(), "cc", "-target", self.flags.target, *self.flags.cpu]

    def compile(self, work: Path, source: str, target: str) -> None:
        define = ["-DTINYCTL_FPU"] if self.fpu else []
        toolchains.run([*self._command, *self.flags.flags, *WARNINGS, *define, "-ffreestanding", "-g0", "-I.",
                        "-c", source, "-o", target], what=f"compiling {source} with {self.label}", cwd=work)

    def link(self, work: Path, objects: list[str], target: str) -> None:
        common = ["-T", "link.ld", "--build-id=none", "-z", "max-page-size=4096", "--fatal-warnings"]
        if self.name == "gcc":
            library = [] if self.fpu else ["-lgcc"]  # with an FPU nothing may come from it
            words = [*self._command, "-nostdlib", "-Wl," + ",".join(common), *objects, *library, "-o", target]
        else:
            words = [*toolchains.zig(), "ld.lld", *common, *objects, "-o", target]
        toolchains.run(words, what=f"linking with {self.label}", cwd=work)


def _gather(work: Path, folder: Path, facts: UnitFacts, board: Board, compiler: _Compiler) -> None:
    """Put all sources into the work folder: the unit's three, the start-up code, the generated two."""
    for name in (f"{facts.name}.c", f"{facts.name}.h", f"{facts.name}_selftest.c"):
        try:
            shutil.copyfile(folder / name, work / name)
        except OSError as error:
            raise FileError(f"cannot be read ({error.strerror})", where=folder / name) from None
    for name in BARE:
        shutil.copyfile(HERE / "firmware" / "bare" / name, work / name)
    cycles = board.reset_clock_hz / facts.rate_hz
    ticks_per_step = max(1, math.ceil(cycles / SYSTICK_MAX))
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "codegen"), undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    (work / "image.c").write_text(environment.get_template("image.c.j2").render(
        name=facts.name, n_obs=facts.n_obs, n_act=facts.n_act, nodes=facts.nodes, board=board.name,
        toolchain=compiler.label, tick_reload=max(1, round(cycles / ticks_per_step) - 1),
        ticks_per_step=ticks_per_step))
    regions = {key: {"name": getattr(board.link, key), "origin": f"{region.origin:#010x}",
                     "length": f"{region.length:#x}"} for key, region in (("code", board.code), ("data", board.data))}
    (work / "link.ld").write_text(environment.get_template("link.ld.j2").render(board=board.name, **regions))


def _check_said(image: Image, contract_hash: str, graph_hash: str) -> None:
    if (image.contract_hash, image.graph_hash) != (contract_hash, graph_hash):
        raise TinyctlError("unit.json and the header disagree about the hashes", where=f"unit {image.name}",
                           fix="emit it again")


def _write(path: Path, content: bytes) -> None:
    """Write through a temporary name, so that a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{hashlib.sha256(content).hexdigest()[:8]}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
