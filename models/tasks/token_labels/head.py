"""Loss and scores of a head that gives each token the logits of all tags.

Each word counts once, whatever the length of its text. What is past `max_length` has no tokens: such words count as tagged O,
so that scores do not rise where texts are cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.features import WORD_INDEX
from models.tasks.token_labels.decoding import by_word, first_pieces, row_span_counts, tags_of_tokens
from models.tasks.token_labels.spans import NO_TAG, OUTSIDE, span_figures
from models.tasks.token_labels.tags import TagTable

TAG_IDS = "tag_ids"  # int32 [rows, words]: line numbers in the label list, NO_TAG where a row has no word

FIRST_PIECES, ALL_PIECES = "first_pieces", "all_pieces"  # the tokens of a word that the loss is of


def word_losses(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], pieces: str = FIRST_PIECES, smoothing: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The sum of each row's cross-entropies, float32 [rows], and how many there are, float32 [rows].

    Args:
        logits: float32 [rows, tokens, tags].
        batch: with WORD_INDEX int32 [rows, tokens] and TAG_IDS int32 [rows, words].
        pieces: FIRST_PIECES, one for each word, or ALL_PIECES, one for each token of a word.
        smoothing: share of the target that is spread over all tags.
    """
    target = tags_of_tokens(batch[TAG_IDS], batch[WORD_INDEX])
    counts = target != NO_TAG
    if pieces == FIRST_PIECES:
        counts &= first_pieces(batch[WORD_INDEX])
    one_hot = tf.one_hot(target, tf.shape(logits)[-1])
    smoothed = one_hot * (1.0 - smoothing) + smoothing / tf.cast(tf.shape(logits)[-1], tf.float32)
    losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
    weights = tf.cast(counts, tf.float32)
    return tf.reduce_sum(losses * weights, axis=1), tf.reduce_sum(weights, axis=1)


def predicted_tags(logits: tf.Tensor, word_index: tf.Tensor, words: tf.Tensor, table: TagTable) -> tf.Tensor:
    """The most probable tag of each word's first token, int32 [rows, words]; O for words without tokens.

    Args:
        logits: float32 [rows, tokens, tags].
        word_index: int32 [rows, tokens].
        words: int32 scalar, the most words of a row.
        table: of the label list, which has O.
    """
    outside = table.prefixes.index(OUTSIDE)
    return by_word(tf.argmax(logits, -1, tf.int32), word_index, words, outside)


def score_sums(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor, table: TagTable
) -> tf.Tensor:
    """float32 [7]: cross-entropy, words with tokens, right words, words, then correct, predicted and labelled spans.

    Args:
        logits, batch: as for `word_losses`.
        weights: float32 [rows]; rows of weight 0 do not count.
        table: of the label list.
    """
    labelled = batch[TAG_IDS]
    predicted = predicted_tags(logits, batch[WORD_INDEX], tf.shape(labelled)[1], table)
    predicted = tf.where(labelled == NO_TAG, NO_TAG, predicted)
    has_tag = tf.cast(labelled != NO_TAG, tf.float32)
    right = tf.cast(labelled == predicted, tf.float32) * has_tag
    of_rows = [*word_losses(logits, batch), tf.reduce_sum(right, 1), tf.reduce_sum(has_tag, 1)]
    sums = tf.concat([tf.stack(of_rows, axis=1), row_span_counts(labelled, predicted, table)], axis=1)
    return tf.linalg.matvec(sums, weights, transpose_a=True)


def scores(sums: Sequence[float]) -> dict[str, float]:
    """`[5, 10, 9, 12, 2, 4, 3]` -> loss 0.5, token accuracy 9/12, span precision 2/4, recall 2/3, F1 4/7."""
    loss, with_tokens, right, words = (float(value) for value in sums[:4])
    spans = span_figures(list(sums[4:]))
    return {
        "span_f1": spans.f1,
        "span_precision": spans.precision,
        "span_recall": spans.recall,
        "token_accuracy": right / words if words else 0.0,
        "loss": loss / with_tokens if with_tokens else 0.0,
    }
