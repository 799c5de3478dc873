"""A microcontroller's core with a board's memories and one image in them, run by the Unicorn emulator.

Memory is NumPy arrays that the emulator works on in place, so data enters and leaves without a call. A fault of the
image (an access outside the board's regions, an undefined instruction, no end) is a `TinyctlError` that says where.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import unicorn
from numpy.typing import NDArray
from unicorn import arm_const, unicorn_const

from tinyctl.boards import Board, Region
from tinyctl.debug import Lines
from tinyctl.errors import TinyctlError
from tinyctl.image import ImageFile
from tinyctl.sims.mcu.isa import ISAS

Bytes = NDArray[np.uint8]

HOST = 0x9000_0000  # above every board's regions (tinyctl.boards.HIGHEST_ADDRESS): the emulator's own memory
HOST_BYTES = 0x1000
RETURN = HOST + 0x800  # where a call returns to, and the run stops

FPU_FULL_ACCESS = 0xF << 20  # CPACR: coprocessors 10 and 11 (ARM DDI 0403, B3.2.20)
FPU_ENABLE = 1 << 30  # the emulator's own switch

_FAULTS = {
    unicorn_const.UC_MEM_READ_UNMAPPED: "reads {address} outside the board's memory",
    unicorn_const.UC_MEM_WRITE_UNMAPPED: "writes {address} outside the board's memory",
    unicorn_const.UC_MEM_FETCH_UNMAPPED: "jumps to {address} outside the board's memory",
    unicorn_const.UC_MEM_READ_PROT: "reads {address} which is not readable",
    unicorn_const.UC_MEM_WRITE_PROT: "writes {address} which is not writable",
    unicorn_const.UC_MEM_FETCH_PROT: "jumps to {address} which holds no code",
}


class Machine:
    """One emulated core. Memory starts as after the reset handler: segments at their run-time addresses, the rest 0."""

    def __init__(self, image: ImageFile, board: Board, limit_s: float = 60.0) -> None:
        if board.core not in ISAS:
            raise TinyctlError(f"core {board.core} is not emulated", where=f"board {board.name}")
        self.isa = isa = ISAS[board.core]
        if image.riscv != board.riscv:
            raise TinyctlError(f"not for core {board.core}", where=image.path)
        self.image = image
        self.board = board
        self.limit_s = limit_s
        self._fault: str | None = None
        self._uc = uc = unicorn.Uc(isa.arch, isa.mode)
        uc.ctl_set_cpu_model(isa.models[board.core])
        self._memory: list[tuple[int, Bytes]] = []
        for _, region in board.regions:
            self._memory.append((region.origin, self.map(region.origin, region.length, _protection(region))))
        self.host = self.map(HOST, HOST_BYTES, unicorn_const.UC_PROT_ALL)
        self._memory.append((HOST, self.host))
        if board.fpu != "none":
            access = uc.reg_read(arm_const.UC_ARM_REG_C1_C0_2)
            uc.reg_write(arm_const.UC_ARM_REG_C1_C0_2, access | FPU_FULL_ACCESS)
            uc.reg_write(arm_const.UC_ARM_REG_FPEXC, FPU_ENABLE)
        uc.hook_add(unicorn_const.UC_HOOK_MEM_INVALID, self._on_invalid)
        self.load()

    def load(self) -> None:
        """Put the image into memory again, as after a reset."""
        for _, memory in self._memory[:-1]:
            memory[:] = 0
        for segment in self.image.segments:
            region = self.board.region_of(segment.address)
            if region is None or segment.address + segment.size > region[1].end:
                what = (
                    "lie in no region" if region is None else f"do not fit the {region[1].length} bytes of {region[0]}"
                )
                raise TinyctlError(
                    f"{segment.size} bytes at {segment.address:#010x} {what} of {self.board.name}",
                    where=self.image.path,
                )
            self.view(segment.address, segment.size)[: len(segment.data)] = np.frombuffer(segment.data, np.uint8)

    def map(self, address: int, size: int, protection: int) -> Bytes:
        """Map `size` bytes (a multiple of 4096) of fresh memory; the array is that memory."""
        memory = np.zeros(size, np.uint8)
        self._uc.mem_map_ptr(address, size, protection, memory.ctypes.data)
        return memory

    def unmap(self, address: int, size: int) -> None:
        self._uc.mem_unmap(address, size)

    def view(self, address: int, count: int) -> Bytes:
        """The `count` bytes of memory at `address`, in place."""
        for origin, memory in self._memory:
            if origin <= address and address + count <= origin + len(memory):
                return memory[address - origin : address - origin + count]
        raise TinyctlError(
            f"{count} bytes at {address:#010x} are outside the regions of {self.board.name}", where=self.image.path
        )

    def call(self, address: int, *arguments: int) -> int:
        """Call the function at `address` with up to four words, on an empty stack, and return its result."""
        registers = [*zip(self.isa.arguments, arguments, strict=False), (self.isa.link, RETURN | self.isa.mark)]
        self.run(address, RETURN, registers)
        return int(self._uc.reg_read(self.isa.arguments[0]))

    def run(self, begin: int, until: int, registers: list[tuple[int, int]]) -> None:
        """Set registers and run from `begin` to `until`, both even. Raises `TinyctlError` when the image faults."""
        uc = self._uc
        uc.reg_write_batch([(self.isa.stack, self.board.data.end), *registers])
        self._fault = None
        token = _Watchdog.arm(uc, self.limit_s)
        try:
            uc.emu_start(begin | self.isa.mark, until)
        except unicorn.UcError as error:
            raise self.error(self._fault or f"stops: {error}") from None
        finally:
            _Watchdog.disarm(token)
        if uc.reg_read(self.isa.pc) != until:
            raise self.error(self._fault or f"does not come to an end within {self.limit_s:g} s")

    def fault(self, text: str) -> None:
        """For hooks: stop the run and let it fail with this text."""
        self._fault = text
        self._uc.emu_stop()

    @contextmanager
    def hooked(self, kind: int, callback: Callable[..., Any], begin: int = 1, end: int = 0) -> Iterator[None]:
        """With a hook. Blocks translated before carry no hook, and after it keep it: both times the translations are
        dropped."""
        handle = self._uc.hook_add(kind, callback, None, begin, end)
        self._uc.ctl_flush_tb()
        try:
            yield
        finally:
            self._uc.hook_del(handle)
            self._uc.ctl_flush_tb()

    @contextmanager
    def natively_hooked(self, kind: int, function: int, data: int, begin: int = 1, end: int = 0) -> Iterator[None]:
        """With a hook that is machine code at address `function`, which gets `data`."""
        handle = ctypes.c_size_t()
        failed = _native().uc_hook_add(
            self._uc._uch,
            ctypes.byref(handle),
            ctypes.c_int(kind),
            ctypes.c_void_p(function),
            ctypes.c_void_p(data),
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
        )
        if failed:
            raise TinyctlError(f"the emulator refuses a hook (error {failed})")
        self._uc.ctl_flush_tb()
        try:
            yield
        finally:
            _native().uc_hook_del(self._uc._uch, handle)
            self._uc.ctl_flush_tb()

    def register(self, number: int) -> int:
        return int(self._uc.reg_read(number))

    def _on_invalid(self, uc: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        self._fault = _FAULTS.get(access, "accesses {address} wrongly").format(address=f"{address:#010x}")
        return False

    def error(self, text: str) -> TinyctlError:
        """That the program does so, and where it stands: function and offset, and the source line where it is known."""
        pc = int(self._uc.reg_read(self.isa.pc))
        line = Lines(self.image.path).at(pc)
        place = self.image.place(pc) + (f" ({line})" if line else "")
        return TinyctlError(f"the program at {place} {text}", where=self.image.path)


def _protection(region: Region) -> int:
    bits = {"r": unicorn_const.UC_PROT_READ, "w": unicorn_const.UC_PROT_WRITE, "x": unicorn_const.UC_PROT_EXEC}
    return sum(bits[letter] for letter in region.access)


@cache
def _native() -> ctypes.CDLL:
    """The emulator's library, already in this process, without the binding's own ideas of argument types."""
    from unicorn.unicorn_py3 import unicorn as binding

    return ctypes.CDLL(binding.uclib._name)


def native(name: str) -> int:
    """The address of one of the emulator's functions, for hooks in C."""
    return ctypes.cast(getattr(_native(), name), ctypes.c_void_p).value or 0


class _Watchdog:
    """Stops runs that last too long. Unicorn's own time limit starts a polling thread for every run, and its
    instruction limit makes every instruction slow; this is one sleeping thread for the whole process."""

    PERIOD_S = 0.1
    _running: dict[int, tuple[float, Any]] = {}  # noqa: RUF012  (shared on purpose)
    _thread: threading.Thread | None = None
    _next = 0

    @classmethod
    def arm(cls, uc: Any, limit_s: float) -> int:
        if cls._thread is None or not cls._thread.is_alive():  # also in a forked child
            cls._thread = threading.Thread(target=cls._watch, name="tinyctl-watchdog", daemon=True)
            cls._thread.start()
        cls._next = token = cls._next + 1
        cls._running[token] = (time.monotonic() + limit_s, uc)
        return token

    @classmethod
    def disarm(cls, token: int) -> None:
        cls._running.pop(token, None)

    @classmethod
    def _watch(cls) -> None:
        while True:
            time.sleep(cls.PERIOD_S)
            now = time.monotonic()
            for token, (deadline, uc) in list(cls._running.items()):
                if now > deadline and token in cls._running:
                    uc.emu_stop()
