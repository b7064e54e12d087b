"""The pieces of a vocabulary as a trie that a graph can walk: a double array over characters. No TensorFlow here.

A node is a place in the arrays. From the node n, the character with the number c leads to the place t = base[n] + c if
check[t] is n. Characters that are in no piece have the number 1 and, like all others, lead from the root to a node, so
that every character is at least the unknown piece.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.tokenizers.sentencepiece.spans import CODE_POINTS, PagedTable, paged
from models.tokenizers.sentencepiece.spec import SentencepieceSpec

UNKNOWN_PENALTY = 10.0  # below the lowest score of a piece
ROOT = 1
FIRST_CHARACTER = 2  # numbers of characters: 0 is the end of a word, 1 is in no piece
_SEED = 0


@dataclass(frozen=True, eq=False)
class PieceTrie:
    """Of each node: int32 `base`, `check` and `ids`, float64 `scores`; all of the same length.

    `scores`: of the piece that ends at a node, -inf where none does. `characters`: the number of each code point.
    `depth`: characters of the longest piece.
    """

    base: npt.NDArray[np.int32]
    check: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    characters: PagedTable
    depth: int


@dataclass(frozen=True)
class _Edges:
    """Sorted by parent; `child[i]` is reached from `parent[i]` by the character `label[i]`. int64 [edges]."""

    parent: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    child: npt.NDArray[np.int64]


@functools.lru_cache(maxsize=4)
def piece_trie(spec: SentencepieceSpec) -> PieceTrie:
    """Half a second for 250,000 pieces, then kept."""
    pieces = [(piece, index) for index, piece in enumerate(spec.vocab) if piece]
    codes = np.frombuffer("".join(piece for piece, _ in pieces).encode("utf-32-le"), np.uint32)
    lengths = np.array([len(piece) for piece, _ in pieces])
    alphabet, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    # The most frequent characters have the lowest numbers, which keeps the children of most nodes together.
    numbers = np.empty(len(alphabet), np.int64)
    numbers[np.argsort(-counts, kind="stable")] = FIRST_CHARACTER + np.arange(len(alphabet))
    of_codes = np.full(CODE_POINTS, 1, np.int32)
    of_codes[alphabet] = numbers
    edges, ends = _trie(numbers[inverse], lengths, FIRST_CHARACTER + len(alphabet))
    base, place = _placed(edges)
    return _arrays(
        spec,
        edges,
        base,
        place,
        np.array([index for _, index in pieces]),
        ends,
        paged(of_codes),
        int(lengths.max()),
    )


def _trie(
    labels: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], characters: int
) -> tuple[_Edges, npt.NDArray[np.int64]]:
    """The edges of the trie, whose nodes are numbered from the root, 0; and the node where each piece ends.

    `labels`: the characters of all pieces. The root has an edge for every character.
    """
    starts = np.cumsum(lengths) - lengths
    node = np.zeros(len(lengths), np.int64)
    parents, of_edges = [], []
    active, nodes = np.arange(len(lengths)), 1
    for depth in range(lengths.max()):
        active = active[lengths[active] > depth]
        keys = node[active] * characters + labels[starts[active] + depth]
        listed = np.concatenate([keys, np.arange(1, characters)]) if depth == 0 else keys
        unique, inverse = np.unique(listed, return_inverse=True)
        parents.append(unique // characters)
        of_edges.append(unique % characters)
        node[active] = nodes + inverse[: len(active)]
        nodes += len(unique)
    parent, label = np.concatenate(parents), np.concatenate(of_edges)
    return _Edges(parent, label, np.arange(1, nodes)), node


def _placed(edges: _Edges) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The base of each node, and its place: int64 [nodes]. No two children have one place.

    Nodes with many children come first, at random bases that fit; those with a single one fill the gaps.
    """
    random = np.random.default_rng(_SEED)
    nodes = len(edges.child) + 1
    counts = np.bincount(edges.parent, minlength=nodes)
    first = np.cumsum(counts) - counts
    highest = int(edges.label.max())
    # A base is not negative, so nothing is placed below the highest label and the first gaps are enough for any label.
    size = nodes + 2 * highest + ROOT + 1
    used = np.zeros(size + highest + 1, bool)
    used[: highest + ROOT + 1] = True
    base = np.zeros(nodes, np.int64)
    for children in np.unique(counts[counts > 1])[::-1].tolist():
        todo = np.flatnonzero(counts == children)
        labels = edges.label[first[todo][:, np.newaxis] + np.arange(children)]
        while len(todo):
            tried = random.integers(1, size, len(todo))
            placed = _without_conflict(used, tried[:, np.newaxis] + labels)
            base[todo[placed]] = tried[placed]
            used[(tried[placed][:, np.newaxis] + labels[placed])] = True
            todo, labels = np.delete(todo, placed), np.delete(labels, placed, axis=0)
    single = np.flatnonzero(counts == 1)
    gaps = np.flatnonzero(~used)[: len(single)]
    base[single] = gaps - edges.label[first[single]]
    place = np.full(nodes, ROOT, np.int64)
    place[edges.child] = base[edges.parent] + edges.label
    return base, place


def _without_conflict(used: npt.NDArray[np.bool_], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows of `places` that are free and share no place with a row before them."""
    free = np.flatnonzero(~used[places].any(axis=1))
    _, first = np.unique(places[free], return_index=True)
    taken = np.zeros(places[free].size, bool)
    taken[first] = True
    return free[taken.reshape(-1, places.shape[1]).all(axis=1)]


def _arrays(
    spec: SentencepieceSpec,
    edges: _Edges,
    base: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    characters: PagedTable,
    depth: int,
) -> PieceTrie:
    size = int(place.max()) + int(edges.label.max()) + 1
    trie = PieceTrie(
        base=np.zeros(size, np.int32),
        check=np.zeros(size, np.int32),
        ids=np.full(size, spec.unk_id, np.int32),
        scores=np.full(size, -np.inf),
        characters=characters,
        depth=depth,
    )
    trie.base[place] = base
    trie.check[place[edges.child]] = place[edges.parent]
    # A character that is no piece is the unknown one.
    trie.scores[place[edges.child[edges.parent == 0]]] = min(spec.scores) - UNKNOWN_PENALTY
    trie.scores[place[ends]] = np.array(spec.scores)[ids]
    trie.ids[place[ends]] = ids
    return trie
