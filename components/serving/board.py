"""How the workers of one server know of each other: a byte of shared memory for each."""

from __future__ import annotations

import enum
import json
import mmap
import os
from dataclasses import asdict, dataclass


class State(enum.IntEnum):
    """Of one worker."""

    STARTING = 0  # with the server: nobody is ready before it is
    LISTENING = 1  # takes requests and has no version yet: they get 503
    READY = 2
    AWAY = 3  # ended and being replaced: takes no requests, so readiness does not wait for it


class Board:
    """The states of all workers; every process that has the descriptor sees a change at once.

    Args:
        descriptor: of a file with a byte per worker, see `make_board`.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._cells = mmap.mmap(descriptor, 0)

    def __getitem__(self, worker: int) -> State:
        return State(self._cells[worker])

    def __setitem__(self, worker: int, state: State) -> None:
        self._cells[worker] = state

    def states(self) -> list[State]:
        """Of every worker, in their order."""
        return [State(cell) for cell in self._cells[:]]

    def is_ready(self) -> bool:
        """Whether every worker that takes requests has a version to answer them with."""
        states = set(self.states())
        return State.READY in states and states <= {State.READY, State.AWAY}


def make_board(workers: int) -> Board:
    """A board on which all are STARTING, in memory that lives as long as somebody has it open."""
    descriptor = os.memfd_create("serving-workers")
    os.ftruncate(descriptor, workers)
    return Board(descriptor)


@dataclass(frozen=True)
class Place:
    """What a worker is told about the server that it is one of.

    Attributes:
        worker: its number, from 0.
        rest: descriptor of the bound socket that all workers share.
        board: descriptor of the board.
        metrics: folder where prometheus_client adds up the metrics of all.
    """

    worker: int
    rest: int
    board: int
    metrics: str

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))
