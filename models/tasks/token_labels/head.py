"""Loss and scores of a head that gives each token the logits of all tags.

Each word counts once, whatever the length of its text. What is past `max_length` has no tokens: such words count as tagged O,
so that scores do not rise where texts are cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.features import NO_WORD, WORD_INDEX
from models.tasks.objective import PLAIN, Constants, Objective
from models.tasks.token_labels.answers import answers as word_outputs
from models.tasks.token_labels.decoding import (
    first_pieces,
    predicted_tags,
    row_span_counts,
    tags_of_tokens,
)
from models.tasks.token_labels.labels import TAG_IDS
from models.tasks.token_labels.spans import NO_TAG, span_figures
from models.tasks.token_labels.tags import tag_table

__all__ = ["word_outputs"]

FIRST_PIECES, ALL_PIECES = "first_pieces", "all_pieces"  # the tokens of a word that the loss is of


def size(labels: Sequence[str]) -> int:
    """Number of logits of a token."""
    return len(labels)


def constants(label_counts: Sequence[float], rows: int) -> Constants:
    """None: the answer needs nothing but the weights."""
    del label_counts, rows
    return {}


def chosen(sums: Sequence[float]) -> Constants:
    """None, as `constants`."""
    del sums
    return {}


def row_losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], objective: Objective = PLAIN) -> tf.Tensor:
    """Cross-entropy per row, the mean over its words (or their tokens), float32 [rows]; 0 for a row without any.

    Args:
        logits: float32 [rows, tokens, tags].
        batch: with WORD_INDEX int32 [rows, tokens or fewer] and TAG_IDS int32 [rows, words].
        objective: loss FIRST_PIECES, or ALL_PIECES for all tokens of a word; smoothing.
    """
    return tf.math.divide_no_nan(
        *word_losses(logits, batch, objective.loss or FIRST_PIECES, objective.smoothing)
    )


def _word_index(logits: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """WORD_INDEX for all tokens: batches may have more padding than their longest row needs."""
    index = batch[WORD_INDEX]
    return tf.pad(index, [[0, 0], [0, tf.shape(logits)[1] - tf.shape(index)[1]]], constant_values=NO_WORD)


def word_losses(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], pieces: str = FIRST_PIECES, smoothing: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The sum of each row's cross-entropies, float32 [rows], and how many there are, float32 [rows].

    Args:
        logits: float32 [rows, tokens, tags].
        batch: as for `row_losses`.
        pieces: FIRST_PIECES, one for each word, or ALL_PIECES, one for each token of a word.
        smoothing: share of the target that is spread over all tags.
    """
    words = _word_index(logits, batch)
    target = tags_of_tokens(batch[TAG_IDS], words)
    counts = target != NO_TAG
    if pieces == FIRST_PIECES:
        counts &= first_pieces(words)
    one_hot = tf.one_hot(target, tf.shape(logits)[-1])
    smoothed = one_hot * (1.0 - smoothing) + smoothing / tf.cast(tf.shape(logits)[-1], tf.float32)
    losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
    weights = tf.cast(counts, tf.float32)
    return tf.reduce_sum(losses * weights, axis=1), tf.reduce_sum(weights, axis=1)


def score_sums(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor, objective: Objective = PLAIN
) -> tf.Tensor:
    """float32 [7]: cross-entropy, words with tokens, right words, words, then correct, predicted and labelled spans.

    Args:
        logits, batch: as for `row_losses`.
        weights: float32 [rows]; rows of weight 0 do not count. A row's words count by themselves, so other weights are as 1.
        objective: only its label list counts: scores are without smoothing.
    """
    table, labelled = tag_table(objective.labels), batch[TAG_IDS]
    words = _word_index(logits, batch)
    predicted = predicted_tags(logits, words, tf.shape(labelled)[1], table)
    predicted = tf.where(labelled == NO_TAG, NO_TAG, predicted)
    has_tag = tf.cast(labelled != NO_TAG, tf.float32)
    right = tf.cast(labelled == predicted, tf.float32) * has_tag
    of_rows = [*word_losses(logits, batch), tf.reduce_sum(right, 1), tf.reduce_sum(has_tag, 1)]
    sums = tf.concat([tf.stack(of_rows, axis=1), row_span_counts(labelled, predicted, table)], axis=1)
    return tf.linalg.matvec(sums, tf.cast(weights > 0.0, tf.float32), transpose_a=True)


def scores(sums: Sequence[float], objective: Objective = PLAIN) -> dict[str, float]:
    """`[5, 10, 9, 12, 2, 4, 3]` -> loss 0.5, token accuracy 9/12, span precision 2/4, recall 2/3, F1 4/7."""
    del objective
    loss, with_tokens, right, words = (float(value) for value in sums[:4])
    spans = span_figures(list(sums[4:]))
    return {
        "span_f1": spans.f1,
        "span_precision": spans.precision,
        "span_recall": spans.recall,
        "token_accuracy": right / words if words else 0.0,
        "loss": loss / with_tokens if with_tokens else 0.0,
    }
