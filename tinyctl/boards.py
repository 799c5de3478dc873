"""Boards: what the builder, the cycle model and the flasher must know about a target, read from one TOML file.

A board is given by the name of a file in `boards/` or by the path of a user's own. Such a file is hostile until
checked: its names enter a linker script and its flags a compiler's command line, so both are held to short lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from tinyctl.contract import check_identifier
from tinyctl.errors import TinyctlError
from tinyctl.files import read_toml
from tinyctl.jsons import record_from_json
from tinyctl.schedule import Task, tasks_of

Core = Literal["cortex_m0plus", "cortex_m3", "cortex_m4", "cortex_m7", "cortex_m33", "hazard3", "rv32imc"]
RISCV = ("rv32imc", "hazard3")  # the others are Cortex-M
Fpu = Literal["none", "single", "double"]
Access = Literal["rx", "rw", "rwx"]
Family = Literal["none", "stm32f4"]
MemoryModel = Literal[
    "zero_wait",
    "every_access",
    "first_load",
    "stm32f4_art",
    "stm32l4_art",
    "m7_cache_8k",
    "m7_cache_16k",
    "m7_cache_32k",
    "xip_cache",
    "unknown",
]

FOLDER = Path(__file__).parent / "boards"
SCHEMA = 1
MAX_FILE_BYTES = 65536
MOST_WAIT_STATES = 1000  # of core cycles; a serial flash needs some hundred
HIGHEST_ADDRESS = 0x9000_0000  # ARMv7-M: normal memory ends at 0xA000_0000; the emulator keeps the last part for itself

# Every flag a board may set. A compiler's other flags load plugins, write files or run programs.
FLAG = re.compile(
    r"-mcpu=[a-z0-9_+-]{1,60}|-mthumb|-march=rv32[a-z_]{1,30}|-mabi=ilp32|-mfloat-abi=(soft|softfp|hard)|-mfpu=[a-z0-9-]{1,30}|-O[0123s]"
    r"|-ffp-contract=off|-funroll-loops|-fomit-frame-pointer"
    r"|-fno-(tree-loop-distribute-patterns|ipa-icf|unwind-tables|strict-aliasing|math-errno|trapping-math)"
    r"|-fno-(schedule-insns2?|tree-vectorize|tree-slp-vectorize|unroll-loops)"
)
TARGET = re.compile(r"thumb[a-z0-9.]{0,20}-(none|freestanding)-eabi(hf)?|riscv32-(unknown|freestanding)-(elf|none)")
PIN = re.compile(r"P[A-I](\d|1[0-5])")
USARTS = (0, 1, 2, 3, 6)
MACHINES = ("", "netduinoplus2")
PLAIN_TEXT = re.compile(r"[A-Za-z0-9 ,.;:()+/_-]{0,120}")


@dataclass(frozen=True)
class Region:
    """A range of addresses: bytes from `origin`, who may access it, and the model that times it.

    `wait_states` are the cycles added to an access that the model does not hide. Model `unknown`: the region's timing
    is not modelled, and cycles are refused where code or data lie in it.
    """

    origin: int
    length: int
    access: Access
    model: MemoryModel
    wait_states: int

    @property
    def end(self) -> int:
        return self.origin + self.length

    def contains(self, address: int) -> bool:
        return self.origin <= address < self.end


@dataclass(frozen=True)
class Link:
    """The names of the regions that hold code with constants, and data with the stack."""

    code: str
    data: str


@dataclass(frozen=True)
class Firmware:
    """What a controller may use beside the firmware it is built into, and the period of the loop that calls it."""

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    loop_rate_hz: float


@dataclass(frozen=True)
class Bare:
    """What `firmware/bare` sets up beyond core and memory; nothing where the family is `none`.

    `crystal_hz` is 0 where there is none, `crystal_bypass` true where a clock comes from outside instead. The serial
    line of the link is USART number `usart` (0: none) on the pins `tx` and `rx`. `qemu` is the machine of
    qemu-system-arm that runs its images, if one does.
    """

    family: Family = "none"
    crystal_hz: int = 0
    crystal_bypass: bool = False
    over_drive: bool = False
    usart: int = 0
    tx: str = ""
    rx: str = ""
    baud: int = 460_800
    qemu: str = ""


@dataclass(frozen=True)
class Flags:
    """One compiler's words for this board: target triple, core and FPU, and how to translate."""

    target: str
    cpu: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """A target. Clocks in Hz; `regions` in the file's order; `toolchains` by name ("gcc", "zig"), none where no
    compiler is known for the core; `tasks` of its stock firmware, where they are known."""

    name: str
    title: str
    core: Core
    fpu: Fpu
    clock_hz: int
    reset_clock_hz: int
    platformio: str
    flasher: str
    source: str
    regions: tuple[tuple[str, Region], ...]
    link: Link
    firmware: Firmware
    toolchains: tuple[tuple[str, Flags], ...]
    bare: Bare = Bare()
    tasks: tuple[Task, ...] = ()

    @property
    def riscv(self) -> bool:
        return self.core in RISCV

    @property
    def code(self) -> Region:
        return dict(self.regions)[self.link.code]

    @property
    def data(self) -> Region:
        return dict(self.regions)[self.link.data]

    @property
    def loop_period_us(self) -> float:
        return 1e6 / self.firmware.loop_rate_hz

    def toolchain(self, name: str) -> Flags:
        flags = dict(self.toolchains).get(name)
        if flags is None:
            known = ", ".join(known for known, _ in self.toolchains)
            raise TinyctlError(f"no flags for toolchain {name!r}", where=f"board {self.name}", fix=f"it has {known}")
        return flags

    def region_of(self, address: int) -> tuple[str, Region] | None:
        """The name and the region that holds `address`, if any does."""
        return next(((name, region) for name, region in self.regions if region.contains(address)), None)


def board_names() -> list[str]:
    """The boards that come with tinyctl, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_board(name_or_path: str | Path) -> Board:
    """The board called so, or described by the TOML file at this path. Raises `TinyctlError`."""
    path = Path(name_or_path)
    if path.suffix != ".toml" and str(name_or_path) in board_names():
        path = FOLDER / f"{name_or_path}.toml"
    elif path.suffix != ".toml":
        raise TinyctlError(
            f"no board is called {str(name_or_path)!r}",
            fix=f"take one of {', '.join(board_names())}, or give the path of a .toml file",
        )
    return _board(read_toml(path, MAX_FILE_BYTES), str(path))


def _board(record: dict[str, Any], where: str) -> Board:
    row = dict(record)
    if row.pop("schema", None) != SCHEMA:
        raise TinyctlError(f"schema is not {SCHEMA}", where=where)
    parts: dict[str, Any] = {
        "regions": tuple(
            (check_identifier(name, "memory region"), _region(value, f"{where}: memory.{name}"))
            for name, value in _table(row, "memory", where).items()
        ),
        "link": record_from_json(Link, _table(row, "link", where), where=f"{where}: link"),
        "firmware": record_from_json(Firmware, _table(row, "firmware", where), where=f"{where}: firmware"),
        "toolchains": tuple(
            (name, _flags(value, f"{where}: toolchain.{name}"))
            for name, value in (_table(row, "toolchain", where) if "toolchain" in row else {}).items()
        ),
    }
    if "bare" in row:
        parts["bare"] = record_from_json(Bare, _table(row, "bare", where), where=f"{where}: bare")
    if "task" in row:
        parts["tasks"] = tasks_of(row.pop("task"), where)
    plain = {f.name for f in fields(Board)} - {*parts, "bare", "tasks"}
    for word, names in (("unknown", set(row) - plain), ("missing", plain - set(row))):
        if names:
            raise TinyctlError(f"{word} key {', '.join(map(repr, sorted(names)))}", where=where)
    board = replace(record_from_json(Board, {**row, **parts, "regions": (), "toolchains": ()}, where=where), **parts)
    _check(board, where)
    return board


def _table(row: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = row.pop(key, None)
    if not isinstance(value, dict) or not 0 < len(value) <= 16:
        raise TinyctlError(f"no table [{key}] with 1 to 16 entries", where=where)
    return value


def _region(value: Any, where: str) -> Region:
    if not isinstance(value, dict):
        raise TinyctlError("not a table", where=where)
    region = record_from_json(Region, value, where=where)
    if not (region.origin >= 0 and region.length >= 4096 and region.end <= HIGHEST_ADDRESS):
        raise TinyctlError(f"origin and length leave 0..{HIGHEST_ADDRESS:#x}, or length is below 4096", where=where)
    if region.origin % 4096 or region.length % 4096:
        raise TinyctlError("origin or length is no multiple of 4096", where=where)
    if not 0 <= region.wait_states <= MOST_WAIT_STATES:
        raise TinyctlError(f"wait_states {region.wait_states} is not between 0 and {MOST_WAIT_STATES}", where=where)
    if region.model == "zero_wait" and region.wait_states:
        raise TinyctlError("model zero_wait has wait states", where=where)
    return region


def _flags(value: Any, where: str) -> Flags:
    if not isinstance(value, dict):
        raise TinyctlError("not a table", where=where)
    flags = record_from_json(Flags, value, where=where)
    if not TARGET.fullmatch(flags.target):
        raise TinyctlError(f"target {flags.target!r:.60} is not a bare-metal Thumb or RV32 target", where=where)
    for flag in (*flags.cpu, *flags.flags):
        if not FLAG.fullmatch(flag):
            raise TinyctlError(f"flag {flag!r:.60} is not one that a board may set", where=where)
    if "-ffp-contract=off" not in flags.flags:
        raise TinyctlError("flags lack -ffp-contract=off, without which outputs differ from the host's", where=where)
    return flags


def _check(board: Board, where: str) -> None:
    check_identifier(board.name, "board")
    for key in ("title", "platformio", "flasher", "source"):
        if not PLAIN_TEXT.fullmatch(getattr(board, key)):
            raise TinyctlError(f"{key} is longer than 120 characters or has unusual ones", where=where)
    for key in ("clock_hz", "reset_clock_hz"):
        if not 100_000 <= getattr(board, key) <= 2_000_000_000:
            raise TinyctlError(f"{key} is not between 0.1 MHz and 2 GHz", where=where)
    regions = dict(board.regions)
    for key, access in (("code", "x"), ("data", "w")):
        name = getattr(board.link, key)
        if name not in regions or access not in regions[name].access:
            raise TinyctlError(f"link.{key} {name!r:.60} is no region with access {access!r}", where=where)
    if board.link.code == board.link.data:
        raise TinyctlError("link.code and link.data are the same region", where=where)
    ordered = sorted(board.regions, key=lambda item: item[1].origin)
    for (name, region), (other, following) in pairwise(ordered):
        if region.end > following.origin:
            raise TinyctlError(f"memory regions {name} and {other} overlap", where=where)
    budget = board.firmware
    for key, limit in (
        ("flash_bytes", board.code.length),
        ("ram_bytes", board.data.length),
        ("stack_bytes", board.data.length),
    ):
        if not 0 < getattr(budget, key) <= limit:
            raise TinyctlError(f"firmware.{key} is not between 1 and {limit}", where=where)
    if not 0.1 <= budget.loop_rate_hz <= 1e6:
        raise TinyctlError("firmware.loop_rate_hz is not between 0.1 and 1e6", where=where)
    _check_bare(board, f"{where}: bare")
    unknown = {name for name, _ in board.toolchains} - {"gcc", "zig"}
    if unknown:
        raise TinyctlError(f"unknown toolchain {sorted(unknown)[0]!r:.60}", where=where, fix="gcc and zig are known")


def _check_bare(board: Board, where: str) -> None:
    bare = board.bare
    if bare.crystal_hz and not 1_000_000 <= bare.crystal_hz <= 50_000_000:
        raise TinyctlError("crystal_hz is neither 0 nor between 1 and 50 MHz", where=where)
    for key, value, known in (("usart", bare.usart, USARTS), ("qemu", bare.qemu, MACHINES)):
        if value not in known:
            raise TinyctlError(f"{key} {value!r:.40} is not one of {', '.join(map(repr, known))}", where=where)
    if bare.usart and not (PIN.fullmatch(bare.tx) and PIN.fullmatch(bare.rx)):
        raise TinyctlError("tx and rx are not pins such as PA9", where=where)
    if not 1200 <= bare.baud <= 4_000_000:
        raise TinyctlError(f"baud {bare.baud} is not between 1200 and 4,000,000", where=where)
    if bare.family == "stm32f4" and board.code.wait_states > 15:  # RM0090 section 3.9.1: four bits
        raise TinyctlError("more than 15 wait states for the code", where=where)
    if bare.family == "none" and bare != Bare():
        raise TinyctlError("settings without a family", where=where, fix="family = 'stm32f4' is known")
