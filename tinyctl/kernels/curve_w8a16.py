"""Curve, int16."""

from tinyctl.kernels.curve_w16a16 import kernel

__all__ = ["kernel"]
