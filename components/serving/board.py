"""Shares the states of a server's workers: one byte of shared memory per worker."""

from __future__ import annotations

import enum
import json
import mmap
import os
from dataclasses import asdict, dataclass


class State(enum.IntEnum):
    """The state of one worker."""

    STARTING = 0  # starting with the server, which is not ready before this worker is
    LISTENING = 1  # accepts requests but has no version yet: they get 503
    READY = 2
    AWAY = 3  # ended and being replaced: accepts no requests, so readiness does not wait for it


class Board:
    """The states of all workers; every process that has the descriptor sees a change immediately.

    Args:
        descriptor: descriptor of a file with one byte per worker, see `make_board`.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._cells = mmap.mmap(descriptor, 0)

    def __getitem__(self, worker: int) -> State:
        return State(self._cells[worker])

    def __setitem__(self, worker: int, state: State) -> None:
        self._cells[worker] = state

    def states(self) -> list[State]:
        """The states of all workers, in order."""
        return [State(cell) for cell in self._cells[:]]

    def is_ready(self) -> bool:
        """Whether every worker that accepts requests has loaded a version."""
        states = set(self.states())
        return State.READY in states and states <= {State.READY, State.AWAY}


def make_board(workers: int) -> Board:
    """A board on which all workers are STARTING, in memory that exists as long as a process has it open."""
    descriptor = os.memfd_create("serving-workers")
    os.ftruncate(descriptor, workers)
    return Board(descriptor)


@dataclass(frozen=True)
class Place:
    """What a worker needs to know about its server.

    Attributes:
        worker: number of the worker, from 0.
        rest: descriptor of the bound socket that all workers share.
        board: descriptor of the board.
        metrics: folder where prometheus_client aggregates the metrics of all workers.
    """

    worker: int
    rest: int
    board: int
    metrics: str

    def as_json(self) -> str:
        """JSON for the command line."""
        return json.dumps(asdict(self))
