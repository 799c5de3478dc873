"""16-bit weights and activations: two products an instruction on cores with the DSP extension."""

from tinyctl.formats.base import Format

FORMAT = Format("w16a16", weight="int16", activation="int16", title="int16 weights and activations, int32 sums")
