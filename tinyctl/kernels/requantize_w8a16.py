"""Requantize: as in w16a16, only weights are narrower."""

from tinyctl.kernels.requantize_w16a16 import kernel

__all__ = ["kernel"]
