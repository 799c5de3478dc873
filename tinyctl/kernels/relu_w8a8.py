"""Relu, int8."""

from tinyctl.kernels.relu_w16a16 import kernel

__all__ = ["kernel"]
