"""The Crazyflie by radio or USB, through the boot loader that lies below the firmware: the package cflib (GPLv3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinyctl.errors import TinyctlError, ToolMissing
from tinyctl.flashers.base import Link, Payload, Progress

BARE = False  # the controller flies inside the stock firmware: `emit --layout crazyflie`
START = 0x0800_4000  # the first 16 KiB are the boot loader
URI = "radio://0/80/2M/E7E7E7E7E7"  # as a Crazyflie leaves the factory


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    return CrazyflieLink(payload, port or URI, folder)


class CrazyflieLink:
    """One Crazyflie. Nothing is sent before `battery_v` or `write`."""

    reads = True

    def __init__(self, payload: Payload, uri: str, folder: Path) -> None:
        self.payload, self.uri, self.folder = payload, uri, folder
        self._loader: Any = None

    def steps(self) -> list[str]:
        return [
            f"read the battery's voltage over {self.uri}",
            "restart the Crazyflie into its boot loader",
            f"write: {len(self.payload.data):,} bytes to the STM32 from {self.payload.address:#010x}",
            "read back: every page written",
            "start: restart into the firmware",
        ]

    def battery_v(self) -> float | None:
        try:
            from cflib.crazyflie import Crazyflie
            from cflib.crazyflie.log import LogConfig
            from cflib.crazyflie.syncCrazyflie import SyncCrazyflie
            from cflib.crazyflie.syncLogger import SyncLogger
        except ImportError as error:
            raise _missing(error) from None
        _drivers()
        config = LogConfig(name="battery", period_in_ms=100)
        config.add_variable("pm.vbat", "float")
        told = _told("reading the battery's voltage")
        with told, SyncCrazyflie(self.uri, cf=Crazyflie()) as connected, SyncLogger(connected, config) as log:
            return float(next(iter(log))[1]["pm.vbat"])

    def write(self, progress: Progress) -> None:
        try:
            from cflib.bootloader import Bootloader, Target
        except ImportError as error:
            raise _missing(error) from None
        _drivers()
        progress("restarting into the boot loader")
        image = self.folder / "image.bin"
        image.write_bytes(self.payload.data)
        with _told("starting the boot loader"):
            self._loader = Bootloader(self.uri)
            self._loader.progress_cb = lambda text, percent: progress(f"{text} {percent} %")
            if not self._loader.start_bootloader(warm_boot=True):
                raise TinyctlError("no answer from the boot loader", where=self.uri, fix="is it on, and in reach?")
        with _told("writing", "its program is not to be trusted now: flash again"):
            self._loader.flash(str(image), [Target("cf2", "stm32", "fw", [], [])])

    def read(self, progress: Progress) -> bytes:
        from cflib.bootloader.boottypes import TargetTypes

        found = bytearray()
        with _told("reading back", "its program is not to be trusted now: flash again"):
            target = self._loader.get_target(TargetTypes.STM32)
            pages = math.ceil(len(self.payload.data) / target.page_size)
            for page in range(pages):
                progress(f"reading back page {page + 1} of {pages}")
                content = self._loader._cload.read_flash(TargetTypes.STM32, target.start_page + page)
                if content is None:
                    raise TinyctlError(f"no answer at page {page + 1} of {pages}")
                found += content
        return bytes(found[: len(self.payload.data)])

    def start(self) -> None:
        with _told("starting the firmware"):
            if not self._loader.reset_to_firmware():
                raise TinyctlError("the boot loader does not start the firmware", fix="switch it off and on")
            self._loader.close()


@contextmanager
def _told(what: str, fix: str | None = None) -> Iterator[None]:
    """Whatever cflib raises in here (it raises plain exceptions) becomes one line that says what was being done."""
    try:
        yield
    except Exception as error:
        raise TinyctlError(str(error) or type(error).__name__, where=what, fix=fix) from None


def _drivers() -> None:
    import cflib.crtp

    cflib.crtp.init_drivers()


def _missing(error: ImportError) -> ToolMissing:
    return ToolMissing(f"the Python package {error.name} is not installed", fix="pip install 'tinyctl[flash]'")
