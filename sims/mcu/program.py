"""An image's code as decoded instructions and blocks, and the parts of it that cycles are attributed to."""

from __future__ import annotations

from tinyctl.image import ImageFile
from tinyctl.sims.mcu.decode import THUMB, Decoder, Instruction

STEP = -1  # the step function itself, and what runs before the first node
INHERIT = -2  # any other function: it works for whoever called it


class Program:
    """Decodes on demand and keeps what it decoded: equal addresses give the same `Instruction` object."""

    def __init__(self, image: ImageFile, step: str | None = None, decoder: Decoder = THUMB) -> None:
        """`step` names the function that is called; by default one of the entries of the image's controller."""
        self.image = image
        self.decoder = decoder
        entry = f"{image.descriptor.name}_step"
        self._entries = (entry, f"{entry}_q") if step is None else (step,)
        self._instructions: dict[int, Instruction] = {}
        self._blocks: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        self._parts: dict[int, int] = {}
        nodes = image.descriptor.nodes if step is None else ()
        self._nodes = {node.symbol: index for index, node in enumerate(nodes)}

    @property
    def n_nodes(self) -> int:
        return len(self._nodes)

    def instruction(self, address: int) -> Instruction:
        found = self._instructions.get(address)
        if found is None:
            first = int.from_bytes(self.image.read(address, 2), "little")
            code = self.image.read(address, self.decoder.size(first))
            found = self._instructions[address] = self.decoder.block(code, address)[0]
        return found

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        """The instructions of the `size` bytes at `address`."""
        found = self._blocks.get((address, size))
        if found is None:
            listed = []
            at = address
            while at < address + size:
                listed.append(self.instruction(at))
                at = listed[-1].end
            found = self._blocks[address, size] = tuple(listed)
        return found

    def part(self, address: int) -> int:
        """Which part of a step the code at `address` is: a node's index, `STEP` or `INHERIT`."""
        found = self._parts.get(address)
        if found is None:
            function = self.image.function_at(address)
            name = "" if function is None else function.name.split(".")[0]  # gcc: NAME.isra.0, NAME.constprop.0
            found = self._parts[address] = self._nodes.get(name, STEP if name in self._entries else INHERIT)
        return found
