"""Normalization in the graph: the stages of `normalization.plan`, one after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from models.tokenizers.segments import WHITE_SPACE
from models.tokenizers.sentencepiece.charsmap import SHORT
from models.tokenizers.sentencepiece.graphemes import (
    CONJOINING,
    CONJUNCT,
    CONSONANT,
    EMOJI,
    EXTEND,
    JOIN,
    LF,
    LINKER,
    PICTOGRAPH,
    PREPEND,
    SPACING,
    ZWJ,
    pair_rules,
)
from models.tokenizers.sentencepiece.normalization import (
    BITS,
    Characters,
    Clustered,
    CodeStep,
    Mapped,
    Sorted,
    Stage,
    plan,
)
from models.tokenizers.sentencepiece.spans import PAGE, PagedTable, Spans
from models.tokenizers.sentencepiece.steps import Normalizer, Prepend, Replace, Strip

# What can put a character into the cluster of another one, in texts of which clusters of less than SHORT bytes matter.
JOINING = (EXTEND, CONJOINING, LINKER, ZWJ, SPACING, PREPEND, LF)


def normalize(texts: tf.Tensor, steps: Sequence[Normalizer]) -> tf.Tensor:
    """`["Ａ Café"]` -> `["a cafe"]`: string [n], valid UTF-8 -> string [n]."""
    for stage in plan(tuple(steps)):
        texts = _staged(texts, stage)
    return texts


def _staged(texts: tf.Tensor, stage: Stage) -> tf.Tensor:
    match stage:
        case Replace(pattern, content, is_regex):
            rewrite = content.replace("\\", "\\\\")
            return tf.strings.regex_replace(texts, pattern if is_regex else re.escape(pattern), rewrite)
        case Strip(left, right):
            ends = [f"^{WHITE_SPACE}"] * left + [f"{WHITE_SPACE}$"] * right
            return tf.strings.regex_replace(texts, "|".join(ends), "") if ends else texts
        case Prepend(text):
            return tf.where(texts == "", texts, tf.strings.join([text, texts]))
        case Characters():
            return _characters(texts, stage)


def _characters(texts: tf.Tensor, stage: Characters) -> tf.Tensor:
    """Texts that are not plain are decoded, looked up and encoded again."""
    plain = "".join(f"\\x{ord(c):02x}" for c in stage.plain)
    others = tf.where(tf.logical_not(tf.strings.regex_full_match(texts, f"[{plain}]*")))
    written = tf.strings.lower(texts) if stage.lowers else texts

    def with_others() -> tf.Tensor:
        decoded = tf.strings.unicode_decode(tf.gather_nd(texts, others), "UTF-8", errors="replace")
        codes, splits = decoded.flat_values, decoded.row_splits
        for step in stage.steps:
            codes, splits = _stepped(codes, splits, step)
        encoded = tf.strings.unicode_encode(
            tf.RaggedTensor.from_row_splits(codes, splits, validate=False), "UTF-8"
        )
        return tf.tensor_scatter_nd_update(written, others, encoded)

    return tf.cond(tf.size(others) > 0, with_others, lambda: tf.identity(written))


def _stepped(codes: tf.Tensor, splits: tf.Tensor, step: CodeStep) -> tuple[tf.Tensor, tf.Tensor]:
    """The code points of all texts after a step, int32 [m], and where each text begins, int64 [n + 1]."""
    match step:
        case Mapped(spans):
            return _expanded(codes, splits, looked_up(codes, spans.table), spans)
        case Sorted(classes):
            return _sorted(codes, splits, looked_up(codes, classes)), splits
        case Clustered():
            return _expanded(codes, splits, _cluster_numbers(codes, splits, step), step.spans)


def looked_up(codes: tf.Tensor, table: PagedTable) -> tf.Tensor:
    """The number of each code point: int32 [m] -> int32 [m]."""
    page = tf.gather(tf.constant(table.pages), tf.bitwise.right_shift(codes, PAGE.bit_length() - 1))
    return tf.gather(tf.constant(table.cells), page * PAGE + tf.bitwise.bitwise_and(codes, PAGE - 1))


def _expanded(
    codes: tf.Tensor, splits: tf.Tensor, numbers: tf.Tensor, spans: Spans
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each code point stays where its number is 0, or becomes the text with that number."""
    starts = tf.constant(spans.splits)
    lengths = tf.where(numbers > 0, tf.gather(starts, numbers + 1) - tf.gather(starts, numbers), 1)
    before = tf.concat([[0], tf.cumsum(lengths)], axis=0)
    # The texts stand behind the code points, so that one look-up finds both.
    source = tf.where(numbers > 0, tf.size(codes) + tf.gather(starts, numbers), tf.range(tf.size(codes)))
    index = tf.repeat(source - before[:-1], lengths) + tf.range(before[-1])
    found = tf.gather(tf.concat([codes, tf.constant(spans.codes)], axis=0), index)
    return found, tf.cast(tf.gather(before, splits), tf.int64)


def _sorted(codes: tf.Tensor, splits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Code points with the marks between two others in the order of their classes; equal ones keep their order."""
    is_start = (classes == 0) | _is_first(codes, splits)
    run = tf.cumsum(tf.cast(is_start, tf.int64))
    order = run * 256 + tf.cast(classes, tf.int64)
    is_sorted = tf.reduce_all(order[1:] >= order[:-1])
    return tf.cond(
        is_sorted, lambda: tf.identity(codes), lambda: tf.gather(codes, tf.argsort(order, stable=True))
    )


def _is_first(codes: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
    """Which code points begin a text: bool [m]."""
    texts = tf.math.unsorted_segment_sum(tf.ones_like(splits, tf.int32), splits, tf.size(codes, tf.int64) + 1)
    return texts[:-1] > 0


# --- grapheme clusters ------------------------------------------------------------------------------------


def _cluster_numbers(codes: tf.Tensor, splits: tf.Tensor, step: Clustered) -> tf.Tensor:
    """The number of the text that each code point becomes: int32 [m] -> int32 [m]; 0: it stays."""
    alone = looked_up(codes, step.spans.table)
    categories = looked_up(codes, step.categories)
    joins = np.isin(np.arange(len(pair_rules())), JOINING)
    return tf.cond(
        tf.reduce_any(tf.gather(tf.constant(joins), categories)),
        lambda: _of_clusters(codes, _is_first(codes, splits), alone, categories, step),
        lambda: tf.identity(alone),
    )


def _of_clusters(
    codes: tf.Tensor, is_first: tf.Tensor, alone: tf.Tensor, categories: tf.Tensor, step: Clustered
) -> tf.Tensor:
    begins = _cluster_starts(is_first, categories)
    cluster = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    first = tf.where(begins)[:, 0]
    lengths = tf.concat([first[1:], tf.size(codes, tf.int64)[tf.newaxis]], axis=0) - first
    utf8_bytes = sum(tf.cast(codes >= least, tf.int32) for least in (0, 0x80, 0x800, 0x10000))
    is_short = (tf.math.unsorted_segment_sum(utf8_bytes, cluster, tf.size(first)) < SHORT) & (lengths > 1)
    whole = tf.where(is_short, _of_whole(codes, first, lengths, tf.gather(alone, first), step), 0)
    is_whole = tf.gather(whole, cluster) > 0
    return tf.where(is_whole, tf.where(begins, tf.gather(whole, cluster), step.spans.empty), alone)


def _of_whole(
    codes: tf.Tensor, first: tf.Tensor, lengths: tf.Tensor, of_first: tf.Tensor, step: Clustered
) -> tf.Tensor:
    """The number of the text that a short cluster becomes; 0: it is replaced character by character. int32 [clusters].

    The shortest text of the map that the cluster begins with counts: one character, else two, else three.
    """
    if not len(step.keys):
        return of_first
    padded = tf.cast(tf.concat([codes, [0, 0]], axis=0), tf.int64)
    one, two, three = (tf.gather(padded, first + i) for i in range(3))
    pair = one * (1 << 2 * BITS) + two * (1 << BITS)
    of_pair, of_three = (_found(key, step) for key in (pair, pair + three))
    longer = tf.where(of_pair > 0, of_pair, tf.where(lengths > 2, of_three, 0))
    return tf.where(of_first > 0, of_first, longer)


def _found(keys: tf.Tensor, step: Clustered) -> tf.Tensor:
    """The numbers of clusters, 0 of those that the map has not: int64 [n] -> int32 [n]."""
    known = tf.constant(step.keys)
    place = tf.minimum(tf.searchsorted(known, keys), len(step.keys) - 1)
    return tf.where(tf.gather(known, place) == keys, tf.gather(tf.constant(step.numbers), place), 0)


def _cluster_starts(is_first: tf.Tensor, categories: tf.Tensor) -> tf.Tensor:
    """Which code points begin a grapheme cluster: bool [m]."""
    before = tf.concat([[0], categories[:-1]], axis=0)
    rule = tf.gather_nd(tf.constant(pair_rules()), tf.stack([before, categories], axis=1))
    stays = (
        (rule == JOIN)
        | ((rule == EMOJI) & _after_emoji(is_first, categories))
        | ((rule == CONJUNCT) & _after_conjunct(is_first, categories))
    )
    return is_first | tf.logical_not(stays)


def _after_emoji(is_first: tf.Tensor, categories: tf.Tensor) -> tf.Tensor:
    """Whether a joiner before a code point, with what extends it, follows a pictograph: bool [m]."""

    def passed(category: tf.Tensor) -> tf.Tensor:
        return (category == EXTEND) | (category == CONJOINING) | (category == LINKER)

    base = _last(tf.logical_not(passed(categories)) | is_first, categories)
    # Two back: the joiner itself is between.
    return tf.logical_not(_shifted(is_first)) & (_shifted(_shifted(base)) == PICTOGRAPH)


def _after_conjunct(is_first: tf.Tensor, categories: tf.Tensor) -> tf.Tensor:
    """Whether a consonant with at least one linker is before a code point: bool [m]."""
    passed = (categories == CONJOINING) | (categories == LINKER) | (categories == ZWJ)
    is_base = tf.logical_not(passed) | is_first
    base = _last(is_base, categories)
    linkers = tf.cumsum(tf.cast(categories == LINKER, tf.int32))
    since = linkers - _last(is_base, linkers)
    return (_shifted(base) == CONSONANT) & (_shifted(since) > 0)


def _last(is_base: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The value at the last place up to each one where `is_base`; the first place is one."""
    places = tf.where(is_base)[:, 0]
    return tf.gather(values, tf.gather(places, tf.cumsum(tf.cast(is_base, tf.int32)) - 1))


def _shifted(values: tf.Tensor) -> tf.Tensor:
    """`[1, 2, 3]` -> `[0, 1, 2]`."""
    return tf.concat([tf.zeros_like(values[:1]), values[:-1]], axis=0)
