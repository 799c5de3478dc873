"""Ways to write a program into a board, found by listing this folder: `dfu.py` serves boards whose flasher is "dfu".

Each file has `link(payload, port, folder) -> Link` and says with `BARE` whether tinyctl's own bare image starts on such
a board, or only a program that the platform's own build made.
"""

from __future__ import annotations

import sys

from tinyctl.folders import modules

FLASHERS = modules(sys.modules[__name__])
