"""A firmware image as its ELF tells it: segments, functions, and the descriptor in section `.tinyctl`.

The descriptor's layout is `struct tinyctl_descriptor` of `firmware/bare/tinyctl_image.h`. An ELF is hostile until
checked: every pointer in it is followed inside the file's own segments only.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tinyctl.errors import FileError, TinyctlError

ELF_MAGIC = b"\x7fELF"
MAX_ELF_BYTES = 64 << 20
MAX_SEGMENT_BYTES = 16 << 20
MAX_COUNT = 4096
MAGIC = (0x594E4954, 0x314C5443)
VERSION = 2
NODE = struct.Struct("<7I")
NODE_TYPES = {"f32": 4, "i16": 2, "i8": 1}  # bytes
DESCRIPTOR = struct.Struct("<2I2I5I2f5I4I5I")


@dataclass(frozen=True)
class Segment:
    """Bytes that stand at `address` when the firmware runs; the rest up to `size` is zero."""

    address: int
    data: bytes
    size: int


@dataclass(frozen=True)
class Function:
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Section:
    name: str
    address: int
    size: int
    loaded: bool  # it has bytes in the image


@dataclass(frozen=True)
class ImageNode:
    """A node's function, and its value: `count` numbers of `type` (f32, i16, i8), `offset` bytes into the struct."""

    name: str
    kind: str
    format: str
    symbol: str
    type: str
    offset: int
    count: int


@dataclass(frozen=True)
class Descriptor:
    """What the image says about itself. Addresses are the controller's struct and the two float32 buffers."""

    name: str
    board: str
    toolchain: str
    contract_hash: str
    graph_hash: str
    rate_hz: float
    latency_s: float
    n_obs: int
    n_act: int
    struct_bytes: int
    state_bytes: int
    nodes: tuple[ImageNode, ...]
    self_address: int
    observation_address: int
    action_address: int


@dataclass(frozen=True)
class ImageFile:
    """An image that was read. `functions` are sorted by address; `undefined` names what the link left open; `objects`
    has the address and the bytes of each variable."""

    path: Path
    sha256: str
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    functions: tuple[Function, ...]
    undefined: tuple[str, ...]
    entry: int
    riscv: bool
    descriptor: Descriptor
    objects: Mapping[str, tuple[int, int]]

    def function(self, name: str) -> Function:
        """The function of this name; raises `TinyctlError` when there is none."""
        found = next((f for f in self.functions if f.name == name), None)
        if found is None:
            near = get_close_matches(name, [f.name for f in self.functions], 3)
            fix = f"did you mean {', '.join(near)}?" if near else None
            raise TinyctlError(f"no function {name!r:.80}", where=self.path, fix=fix)
        return found

    def function_at(self, address: int) -> Function | None:
        """The function that holds this address."""
        index = bisect_right(self.functions, address, key=lambda f: f.start) - 1
        if index >= 0 and self.functions[index].start <= address < self.functions[index].end:
            return self.functions[index]
        return None

    def place(self, address: int) -> str:
        """`address` as a person finds it again: function and offset."""
        function = self.function_at(address)
        return f"{address:#010x}" if function is None else f"{function.name}+{address - function.start:#x}"

    def section_bytes(self, name: str) -> int:
        return sum(section.size for section in self.sections if section.name == name)

    def read(self, address: int, count: int) -> bytes:
        """`count` bytes of the segments at `address`; raises `FileError` outside of them."""
        for segment in self.segments:
            offset = address - segment.address
            if offset >= 0 and offset + count <= segment.size:
                return segment.data[offset : offset + count].ljust(count, b"\0")
        raise FileError(f"{count} bytes at {address:#x} are outside the image's segments", where=self.path)


def printable(name: str) -> str:
    """A name from a file, in characters that a terminal and a page can show."""
    return "".join(c if c.isprintable() else "?" for c in name)


def is_elf(path: Path) -> bool:
    """Whether the file begins as an ELF file does."""
    try:
        with path.open("rb") as file:
            return file.read(len(ELF_MAGIC)) == ELF_MAGIC
    except OSError:
        return False


def read_image(path: str | Path) -> ImageFile:
    """Read and check an image. Raises `FileError` for anything that is not a tinyctl image for a 32-bit core."""
    image = read_program(path)
    place = next((s for s in image.sections if s.name == ".tinyctl"), None)
    if place is None or place.size < DESCRIPTOR.size:
        raise FileError(
            "no descriptor: this is not an image made by tinyctl build",
            where=image.path,
            fix="to time a function of any program, name it with --function",
        )
    return replace(image, descriptor=_descriptor(image, place.address))


def read_program(path: str | Path) -> ImageFile:
    """Read and check any linked program for a 32-bit ARM or RISC-V core; its descriptor says nothing."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_ELF_BYTES:
            raise FileError(f"larger than {MAX_ELF_BYTES} bytes", where=path)
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None
    try:
        return _parse(path, content)
    except TinyctlError:
        raise
    except Exception as error:  # pyelftools and its parts raise whatever a damaged file leads them to
        raise FileError(f"not a readable ELF file ({type(error).__name__}: {error})", where=path) from None


def _parse(path: Path, content: bytes) -> ImageFile:
    if not content.startswith(ELF_MAGIC):
        raise FileError("not an ELF file", where=path)
    elf = ELFFile(io.BytesIO(content))
    header = elf.header
    if header["e_machine"] not in ("EM_ARM", "EM_RISCV") or elf.elfclass != 32 or not elf.little_endian:
        machine = str(header["e_machine"]).removeprefix("EM_")
        known = "a little-endian 32-bit ARM or RISC-V core"
        raise FileError(f"for a {elf.elfclass}-bit {machine}, not for {known}", where=path)
    if header["e_type"] != "ET_EXEC":
        raise FileError("not linked: an object file or a shared library, not a program", where=path)
    segments = tuple(
        Segment(int(s["p_vaddr"]), bytes(s.data()), int(s["p_memsz"]))
        for s in elf.iter_segments()
        if s["p_type"] == "PT_LOAD" and s["p_memsz"]
    )
    for segment in segments:
        if len(segment.data) > segment.size or segment.size > MAX_SEGMENT_BYTES:
            raise FileError(f"segment at {segment.address:#x} has an impossible size", where=path)
    sections = tuple(
        Section(str(s.name), int(s["sh_addr"]), int(s["sh_size"]), s["sh_type"] != "SHT_NOBITS")
        for s in elf.iter_sections()
        if s["sh_flags"] & 0x2
    )  # SHF_ALLOC
    functions, undefined, objects = [], [], {}
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table is not None else ():
        if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name:
            undefined.append(printable(str(symbol.name)))
        elif symbol["st_info"]["type"] == "STT_FUNC":
            start = int(symbol["st_value"]) & ~1  # bit 0 marks Thumb code
            functions.append(Function(printable(str(symbol.name)), start, start + int(symbol["st_size"])))
        elif symbol["st_info"]["type"] == "STT_OBJECT":
            objects[printable(str(symbol.name))] = int(symbol["st_value"]), int(symbol["st_size"])
    functions.sort(key=lambda f: (f.start, f.name))
    return ImageFile(
        path,
        hashlib.sha256(content).hexdigest(),
        segments,
        sections,
        tuple(functions),
        tuple(undefined),
        int(header["e_entry"]),
        header["e_machine"] == "EM_RISCV",
        _NO_DESCRIPTOR,
        objects,
    )


def _descriptor(image: ImageFile, address: int) -> Descriptor:
    where = f"{image.path}: descriptor"
    (
        magic0,
        magic1,
        version,
        size,
        name,
        board,
        toolchain,
        contract_hash,
        graph_hash,
        rate_hz,
        latency_s,
        n_obs,
        n_act,
        struct_bytes,
        state_bytes,
        n_nodes,
        nodes,
        self_address,
        observation,
        action,
        *_,
    ) = DESCRIPTOR.unpack(image.read(address, DESCRIPTOR.size))
    if (magic0, magic1) != MAGIC or version != VERSION or size != DESCRIPTOR.size:
        raise FileError("not a descriptor that this version of tinyctl knows", where=where)
    for value, what in ((n_obs, "n_obs"), (n_act, "n_act"), (n_nodes, "n_nodes")):
        if not 0 < value <= MAX_COUNT:
            raise FileError(f"{what} {value} is not between 1 and {MAX_COUNT}", where=where)
    if not (state_bytes <= struct_bytes and 0 < struct_bytes <= MAX_SEGMENT_BYTES):
        raise FileError(f"{state_bytes} bytes of state in a struct of {struct_bytes}", where=where)
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        raise FileError(f"rate_hz {rate_hz} is not positive", where=where)
    if not (math.isfinite(latency_s) and latency_s >= 0):
        raise FileError(f"latency_s {latency_s} is not a time", where=where)
    for start, count in ((self_address, struct_bytes), (observation, 4 * n_obs), (action, 4 * n_act)):
        image.read(start, count)
    rows = [NODE.unpack(image.read(nodes + NODE.size * i, NODE.size)) for i in range(n_nodes)]
    hashes = [_text(image, pointer, r"[0-9a-f]{64}", where) for pointer in (contract_hash, graph_hash)]
    return Descriptor(
        _text(image, name, r"[A-Za-z][A-Za-z0-9_]*", where),
        _text(image, board, r"[A-Za-z][A-Za-z0-9_]*", where),
        _text(image, toolchain, r"[A-Za-z0-9 .,()+-]*", where),
        hashes[0],
        hashes[1],
        rate_hz,
        latency_s,
        n_obs,
        n_act,
        struct_bytes,
        state_bytes,
        tuple(_node(image, row, struct_bytes, where) for row in rows),
        self_address,
        observation,
        action,
    )


def _node(image: ImageFile, row: tuple[int, ...], struct_bytes: int, where: str) -> ImageNode:
    name, kind, form, symbol = (_text(image, pointer, r"[A-Za-z0-9_ .+-]+", where) for pointer in row[:4])
    node = ImageNode(name, kind, form, symbol, _text(image, row[4], "|".join(NODE_TYPES), where), row[5], row[6])
    if not node.count > 0 or node.offset + node.count * NODE_TYPES[node.type] > struct_bytes:
        raise FileError(f"the value of node {node.name} lies outside the struct", where=where)
    return node


def _text(image: ImageFile, address: int, pattern: str, where: str, limit: int = 200) -> str:
    raw = b""
    while len(raw) < limit:
        byte = image.read(address + len(raw), 1)
        if byte == b"\0":
            break
        raw += byte
    text = raw.decode("ascii", "replace")
    if not re.fullmatch(pattern, text):
        raise FileError(f"text {text!r:.60} is not what belongs there", where=where)
    return text


_NO_DESCRIPTOR = Descriptor("", "", "", "", "", 1.0, 0.0, 0, 0, 0, 0, (), 0, 0, 0)
