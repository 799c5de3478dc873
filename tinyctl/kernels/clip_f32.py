"""Clip to a range by columns."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, limit_runs, spans_zero
from tinyctl.layers.clip import Clip


def kernel(layer: Clip, contract: Contract) -> Kernel:
    limits = limit_runs(np.stack([layer.low, layer.high, layer.low], axis=1))  # nothing has to be replaced
    quick = spans_zero(layer.low, layer.high)
    return Kernel(
        (Table("uint32_t", "limits", limits),),
        {"clip": "clip" if quick else "screen_any"},
        helpers=("bits", "screen_any", *(("clip",) if quick else ())),
    )
