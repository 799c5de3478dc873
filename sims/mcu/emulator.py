"""The controller of an image, stepped in the emulator: the very machine code that will be flashed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from unicorn import arm_const, unicorn_const

from tinyctl.boards import Board, load_board
from tinyctl.errors import TinyctlError
from tinyctl.image import read_image
from tinyctl.sims.mcu.engine import HOST, Machine

F32 = np.float32
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

ARENA = 0x9100_0000  # the structs, observations, actions and statuses of a batch
PARAMETERS = HOST + 0x400
DRIVER_END = 36
# Calls one function for each row of a batch: r4 rows left, r5 struct, r6 observation, r7 action, r8 status,
# r10 the words function, struct stride, observation stride, action stride.
DRIVER = bytes.fromhex(
    "2846"  # loop: mov   r0, r5
    "3146"  #       mov   r1, r6
    "3a46"  #       mov   r2, r7
    "daf80030"  #       ldr.w r3, [r10]
    "9847"  #       blx   r3
    "48f8040b"  #       str   r0, [r8], #4
    "dae90101"  #       ldrd  r0, r1, [r10, #4]
    "daf80c20"  #       ldr.w r2, [r10, #12]
    "0544"  #       add   r5, r0
    "0e44"  #       add   r6, r1
    "1744"  #       add   r7, r2
    "013c"  #       subs  r4, #1
    "eed1"  #       bne   loop
    "00bf"  # end:  nop
)
ROW_REGISTERS = tuple(arm_const.UC_ARM_REG_R4 + i for i in range(5))


class Emulator:
    """Steps the controller of one image, one plant at a time or many.

    A controller's memory is the bytes of its struct. `step` works on the emulator's own; `step_batch` on rows of an
    array `(n, struct_bytes)` that the caller keeps, so one emulator flies any number of episodes.
    """

    def __init__(self, image: str | Path, board: Board | None = None, limit_s: float = 60.0) -> None:
        self.image = read_image(image)
        self.descriptor = descriptor = self.image.descriptor
        self.board = board or load_board(descriptor.board)
        if self.board.name != descriptor.board:
            raise TinyctlError(f"built for board {descriptor.board}, not {self.board.name}", where=self.image.path)
        self._machine = Machine(self.image, self.board, limit_s)
        verbs = ("init", "reset", "step", "set_applied", "selftest", "step_q")
        symbols = {f"{descriptor.name}_{verb}": verb for verb in verbs}
        self._functions = {symbols[f.name]: f.start for f in self.image.functions if f.name in symbols}
        self._machine.host[: len(DRIVER)] = np.frombuffer(DRIVER, np.uint8)
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
        self._parameters[:] = (self._functions[verb] | 1, self._stride, row_bytes, 4 * self.n_act)
        self._machine.run(
            HOST,
            HOST + DRIVER_END,
            [*zip(ROW_REGISTERS, (n, *self._addresses), strict=True), (arm_const.UC_ARM_REG_R10, PARAMETERS)],
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
