"""Curve, int16: start and rise of a segment in one word; nodes with the same knots share them."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, content_name
from tinyctl.layers.curve import IntegerCurve, half


def kernel(layer: IntegerCurve, contract: Contract) -> Kernel:
    start, rise = (v.astype(np.uint16).astype(np.uint32) for v in (layer.knots[:-1], layer.rises))
    name = content_name("curve", layer.knots)
    down = layer.bits + layer.drop
    values = {
        "segments": name,
        "place_half": half(layer.shift),
        "down": down,
        "down_half": half(down),
        **{key: getattr(layer, key) for key in ("multiplier", "shift", "bits", "offset", "reach", "saturates")},
    }
    return Kernel(values=values, shared=(Table("uint32_t", name, start | rise << 16),))
