"""The cores whose cycles can be predicted, by the name that a board's TOML gives."""

from __future__ import annotations

from tinyctl.sims.mcu import cortex_m4
from tinyctl.sims.mcu.pipeline import Core

CORES: dict[str, Core] = {module.CORE.name: module.CORE for module in (cortex_m4,)}
