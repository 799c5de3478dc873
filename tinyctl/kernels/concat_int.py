"""Concat: as in float32, values are only moved."""

from tinyctl.kernels.concat_f32 import kernel

__all__ = ["kernel"]
