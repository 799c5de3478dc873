"""Decode, int8."""

from tinyctl.kernels.decode_w16a16 import kernel

__all__ = ["kernel"]
