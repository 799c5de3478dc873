"""The controller of an image, stepped in the emulator: the very machine code that will be flashed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from unicorn import unicorn_const

from tinyctl.boards import Board, load_board
from tinyctl.errors import TinyctlError
from tinyctl.image import ImageFile, ImageNode, read_image
from tinyctl.sims.mcu.engine import HOST, Machine

F32 = np.float32
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

NODE_TYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype(np.float32), "i16": np.dtype(np.int16), "i8": np.dtype(np.int8)}
ARENA = 0x9100_0000  # the structs, observations, actions and statuses of a batch
PARAMETERS = HOST + 0x400


class Emulator:
    """Steps the controller of one image, one plant at a time or many.

    A controller's memory is the bytes of its struct. `step` works on the emulator's own; `step_batch` on rows of an
    array `(n, struct_bytes)` that the caller keeps, so one emulator flies any number of episodes.
    """

    def __init__(self, image: str | Path | ImageFile, board: Board | None = None, limit_s: float = 60.0) -> None:
        self.image = image if isinstance(image, ImageFile) else read_image(image)
        self.descriptor = descriptor = self.image.descriptor
        self.board = board or load_board(descriptor.board)
        if self.board.name != descriptor.board:
            raise TinyctlError(f"built for board {descriptor.board}, not {self.board.name}", where=self.image.path)
        self._machine = Machine(self.image, self.board, limit_s)
        verbs = ("init", "reset", "step", "set_applied", "selftest", "step_q")
        symbols = {f"{descriptor.name}_{verb}": verb for verb in verbs}
        self._functions = {symbols[f.name]: f.start for f in self.image.functions if f.name in symbols}
        self._isa = self._machine.isa
        self._machine.host[: len(self._isa.driver)] = np.frombuffer(self._isa.driver, np.uint8)
        self._parameters = self._machine.view(PARAMETERS, 16).view(np.uint32)
        self._capacity = 0
        self._arena: Bytes = np.zeros(0, np.uint8)
        self._stride = -(-descriptor.struct_bytes // 16) * 16
        self._reserve(1)
        self._own = self.initial(1)

    @property
    def n_obs(self) -> int:
        return self.descriptor.n_obs

    @property
    def n_act(self) -> int:
        return self.descriptor.n_act

    def reset(self) -> None:
        """Initialise the controller: every stateful layer at its initial value."""
        self._own = self.initial(1)

    def step(self, obs: Floats) -> tuple[Floats, int]:
        """One step on `obs` (n_obs,) float32: the action (n_act,) and the status word."""
        act, status = self.step_batch(self._own, np.asarray(obs, F32).reshape(1, -1))
        return act[0], int(status[0])

    def trace(self, obs: Floats) -> tuple[dict[str, NDArray[Any]], Floats, NDArray[np.uint32]]:
        """Steps on the rows of `obs` (n, n_obs): what every node returned, by name, (n, its columns) in its own type,
        as `Graph.trace` gives it; the actions (n, n_act) and the status words (n,), as `step` gives them.

        The values are read from outside, from the struct, when a node's function returns: the image is the one that is
        flown, and what it computes is not touched. Raises `TinyctlError` where a node has no function of its own.
        """
        entries = self._node_entries()
        values: dict[str, list[NDArray[Any]]] = {node.name: [] for node in entries.values()}
        back, running = 0, next(iter(entries.values()))

        def on_entry(uc: Any, address: int, size: int, data: Any) -> None:
            nonlocal back, running
            back, running = self._machine.register(self._isa.link) & ~1, entries[address]

        def on_step(uc: Any, address: int, size: int, data: Any) -> None:
            nonlocal back
            if address == back:
                back = 0
                dtype = NODE_TYPES[running.type]
                held = self._structs[0, running.offset : running.offset + running.count * dtype.itemsize]
                values[running.name].append(held.view(dtype).copy())

        step = self.image.function(f"{self.descriptor.name}_step")
        code = unicorn_const.UC_HOOK_CODE
        with ExitStack() as hooks:
            for start in entries:
                hooks.enter_context(self._machine.hooked(code, on_entry, start, start))
            hooks.enter_context(self._machine.hooked(code, on_step, step.start, step.end - 1))
            results = [self.step(row) for row in np.asarray(obs, F32)]
        return (
            {name: np.array(rows) for name, rows in values.items()},
            np.array([act for act, _ in results], F32).reshape(-1, self.n_act),
            np.array([status for _, status in results], np.uint32),
        )

    def _node_entries(self) -> dict[int, ImageNode]:
        """The nodes by the addresses of their functions."""
        starts = {f.name.split(".")[0]: f.start for f in self.image.functions}  # gcc: NAME.isra.0
        lost = next((node.name for node in self.descriptor.nodes if node.symbol not in starts), None)
        if lost is not None:
            raise TinyctlError(f"node {lost} has no function of its own", where=self.image.path)
        return {starts[node.symbol]: node for node in self.descriptor.nodes}

    def set_applied(self, act: Floats) -> None:
        """Tell the controller which action (n_act,) was applied instead of its own."""
        self.set_applied_batch(self._own, np.asarray(act, F32).reshape(1, -1))

    def state_bytes(self) -> bytes:
        """The leading bytes of the struct that are state."""
        return self._own[0, : self.descriptor.state_bytes].tobytes()

    def snapshot(self) -> Bytes:
        """A copy of the struct (struct_bytes,), for `restore`."""
        return np.array(self._own[0])

    def restore(self, snapshot: Bytes) -> None:
        self._own[0] = snapshot

    def selftest(self) -> int:
        """What the self-test on the target returns; 0 is good."""
        return self._machine.call(self._functions["selftest"])

    def initial(self, n: int) -> Bytes:
        """The structs of `n` freshly initialised controllers, (n, struct_bytes)."""
        structs = np.zeros((n, self.descriptor.struct_bytes), np.uint8)
        self._run("init", structs, None)
        return structs

    def step_batch(self, structs: Bytes, obs: Floats) -> tuple[Floats, NDArray[np.uint32]]:
        """One step of each controller: `structs` (n, struct_bytes) is updated in place, `obs` is (n, n_obs) float32.

        Returns the actions (n, n_act) and the status words (n,).
        """
        n = self._run("step", structs, self._rows(structs, obs, self.n_obs))
        return self._actions[:n].copy(), self._statuses[:n].copy()

    def step_q_batch(
        self, structs: Bytes, obs_q: NDArray[Any], act_type: str
    ) -> tuple[NDArray[Any], NDArray[np.uint32]]:
        """One step of each controller's integer entry: `obs_q` is (n, n_obs) int8 or int16, the actions `act_type`."""
        n = self._run("step_q", structs, obs_q)
        actions = self._actions[:n].view(act_type)[:, : self.n_act]
        return actions.copy(), self._statuses[:n].copy()

    def set_applied_batch(self, structs: Bytes, act: Floats) -> None:
        """`set_applied` for each controller, with the rows of `act` (n, n_act)."""
        self._run("set_applied", structs, self._rows(structs, act, self.n_act))

    def _rows(self, structs: Bytes, rows: Floats, width: int) -> Floats:
        rows = np.asarray(rows, F32)
        if rows.shape != (len(structs), width):
            raise TinyctlError(f"array of shape {rows.shape}, expected {(len(structs), width)}", where="emulator")
        return rows

    def _run(self, verb: str, structs: Bytes, rows: NDArray[Any] | None) -> int:
        n = len(structs)
        if structs.shape != (n, self.descriptor.struct_bytes) or structs.dtype != np.uint8:
            raise TinyctlError(
                f"structs of shape {structs.shape}, expected {(n, self.descriptor.struct_bytes)} bytes",
                where="emulator",
            )
        if n == 0:
            return 0
        self._reserve(n)
        row_bytes = 0
        if rows is not None:
            row_bytes = rows.shape[1] * rows.itemsize
            self._inputs[: n * row_bytes] = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        self._structs[:n, : structs.shape[1]] = structs
        if verb not in self._functions:
            raise TinyctlError(f"no function {self.descriptor.name}_{verb}", where=self.image.path)
        self._parameters[:] = (self._functions[verb] | self._isa.mark, self._stride, row_bytes, 4 * self.n_act)
        self._machine.run(
            HOST,
            HOST + self._isa.driver_end,
            [*zip(self._isa.rows, (n, *self._addresses), strict=True), (self._isa.parameters, PARAMETERS)],
        )
        structs[:] = self._structs[:n, : structs.shape[1]]
        return n

    def _reserve(self, n: int) -> None:
        """Lay out an arena for `n` rows: structs, inputs, actions, statuses."""
        if n <= self._capacity:
            return
        if self._capacity:
            self._machine.unmap(ARENA, len(self._arena))
        widest = max(self.n_obs, self.n_act)
        sizes = [n * self._stride, 4 * n * widest, 4 * n * self.n_act, 4 * n]
        starts = np.cumsum([0, *(-(-size // 16) * 16 for size in sizes)])
        self._arena = self._machine.map(
            ARENA, -(-int(starts[-1]) // 4096) * 4096, unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_WRITE
        )
        parts = [self._arena[start : start + size] for start, size in zip(starts, sizes, strict=False)]
        self._structs = parts[0].reshape(n, self._stride)
        self._inputs = parts[1]
        self._actions = parts[2].view(F32).reshape(n, self.n_act)
        self._statuses = parts[3].view(np.uint32)
        self._addresses = tuple(ARENA + int(start) for start in starts[:4])
        self._capacity = n
