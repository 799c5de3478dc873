"""PlatformIO's own upload, for probes and boards that it knows; its platform comes from its registry."""

from __future__ import annotations

from pathlib import Path

from tinyctl.boards import load_board
from tinyctl.flashers.base import CommandLink, Link, Payload

BARE = True
PROJECT = """[env:upload]
platform = ststm32@^19.6.0
board = {board}
"""


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    build = folder / ".pio" / "build" / "upload"
    build.mkdir(parents=True)
    for name in ("firmware.bin", "firmware.elf"):  # the target `nobuild` uploads what lies there
        (build / name).write_bytes(payload.data if name.endswith("bin") else payload.elf)
    (folder / "platformio.ini").write_text(PROJECT.format(board=load_board(payload.board).platformio))
    return CommandLink(
        "pio",
        "pip install 'tinyctl[platformio]'",
        payload,
        folder,
        writing=("run", "-e", "upload", "-t", "nobuild", "-t", "upload", *(("--upload-port", port) if port else ())),
    )
