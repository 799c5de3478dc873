"""IEEE 754 single precision, every operation rounded."""

from tinyctl.formats.base import Format

FORMAT = Format("f32", weight="float32", activation="float32", title="float32, exact order of operations")
