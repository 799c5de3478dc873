"""The cores whose cycles can be predicted, by the name that a board's TOML gives."""

from __future__ import annotations

from tinyctl.boards import Board
from tinyctl.sims.mcu import cortex_m0plus, cortex_m3, cortex_m4, cortex_m7, cortex_m33, hazard3
from tinyctl.sims.mcu.pipeline import Core

MODULES = (cortex_m0plus, cortex_m3, cortex_m4, cortex_m7, cortex_m33, hazard3)
CORES: dict[str, Core] = {module.CORE.name: module.CORE for module in MODULES}


def unmodelled(board: Board) -> str | None:
    """Why the cycles of a board cannot be predicted, in one line; None where they can."""
    if board.core not in CORES:
        return f"no cycle model for core {board.core} yet: memory and stack are reported, time is not"
    for name in (board.link.code, board.link.data):
        if dict(board.regions)[name].model == "unknown":
            return f"no timing model for memory {name} of {board.name} yet: memory and stack are reported, time is not"
    return None
