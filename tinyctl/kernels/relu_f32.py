"""ReLU, float32."""

from tinyctl.kernels.base import no_constants as kernel

__all__ = ["kernel"]
