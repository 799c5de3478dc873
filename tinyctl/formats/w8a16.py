"""8-bit weights, 16-bit activations: half the flash of w16a16, and fewer cycles where flash is slow."""

from tinyctl.formats.base import Format

FORMAT = Format("w8a16", weight="int8", activation="int16", title="int8 weights, int16 activations, int32 sums")
