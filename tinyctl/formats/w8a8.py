"""8-bit weights and activations, both symmetric: the smallest, and the least exact."""

from tinyctl.formats.base import Format

FORMAT = Format("w8a8", weight="int8", activation="int8", title="int8 weights and activations, int32 sums")
