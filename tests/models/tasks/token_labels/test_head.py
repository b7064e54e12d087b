"""Loss, scores and answers in the graph: from logits of tokens to words, tags and spans of the raw text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

from models import features
from models.checkpoints.classifier import load_classifier
from models.encoders.families import logits_of
from models.features import WORD_INDEX
from models.tasks.objective import Objective
from models.tasks.text_words import TextWords
from models.tasks.token_labels import evaluation
from models.tasks.token_labels.decoding import by_word, first_pieces
from models.tasks.token_labels.head import (
    ALL_PIECES,
    row_losses,
    score_sums,
    scores,
    word_losses,
    word_outputs,
)
from models.tasks.token_labels.labels import TAG_IDS, row_weights
from models.tasks.token_labels.spans import NO_TAG
from models.tokenizers.family import family_of, word_spec
from models.tokenizers.words import encode_words, find_words
from tests.models.tasks.token_labels.test_spans import ALL, ids
from tests.support.tiny_encoders import write_encoder
from tests.support.tokenizers import write_bert_tokenizer

LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
OBJECTIVE = Objective(labels=tuple(LABELS))
WORD_OF_TOKEN = [[-1, 0, 0, 1, 3, -1], [-1, 0, 1, -1, -1, -1]]  # word 2 of the first row has no token


def of_tags(tokens: list[list[int]]) -> tf.Tensor:
    """Logits whose highest value is at these tags."""
    return tf.one_hot(tokens, len(LABELS)) * 8.0


def batch_of(index: list[list[int]], tags: list[list[int]]) -> dict[str, tf.Tensor]:
    return {WORD_INDEX: tf.constant(index, tf.int32), TAG_IDS: tf.constant(tags, tf.int32)}


def test_first_pieces_begin_words() -> None:
    index = tf.constant(WORD_OF_TOKEN)
    assert first_pieces(index).numpy().tolist() == [[0, 1, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0]]
    values = tf.constant([[9, 1, 2, 3, 4, 9], [9, 5, 6, 9, 9, 9]])
    assert by_word(values, index, 4, 7).numpy().tolist() == [[1, 3, 7, 4], [5, 6, 7, 7]]
    assert by_word(values, index, 1, 7).numpy().tolist() == [[1], [5]]


def test_loss_is_of_the_first_piece_of_each_word_or_of_all() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 6, 4)).astype(np.float32)
    batch = batch_of(WORD_OF_TOKEN, [[1, 2, 0, 3], [0, NO_TAG, NO_TAG, NO_TAG]])

    def cross_entropy(row: int, token: int, tag: int) -> float:
        return float(np.log(np.exp(logits[row, token]).sum()) - logits[row, token, tag])

    first = [cross_entropy(0, 1, 1), cross_entropy(0, 3, 2), cross_entropy(0, 4, 3)]
    losses, counts = word_losses(logits, batch)
    np.testing.assert_allclose(losses, [sum(first), cross_entropy(1, 1, 0)], rtol=1e-5)
    assert counts.numpy().tolist() == [3.0, 1.0]
    losses, counts = word_losses(logits, batch, ALL_PIECES)
    np.testing.assert_allclose(losses[0], sum(first) + cross_entropy(0, 2, 1), rtol=1e-5)
    assert counts.numpy().tolist() == [4.0, 1.0]


def test_loss_of_a_batch_is_that_of_its_words_whatever_row_they_are_in() -> None:
    logits = (
        np.random.default_rng(1).normal(size=(3, 7, 4)).astype(np.float32)
    )  # more padding than WORD_OF_TOKEN
    batch = batch_of([*WORD_OF_TOKEN, [-1] * 6], [[1, 2, 0, 3], [0, NO_TAG, NO_TAG, NO_TAG], [NO_TAG] * 4])
    weights = row_weights(batch, None)
    assert weights.numpy().tolist() == [3.0, 1.0, 0.0]
    losses, counts = word_losses(logits, batch)
    mean = tf.reduce_sum(row_losses(logits, batch) * weights) / tf.reduce_sum(weights)
    np.testing.assert_allclose(mean, tf.reduce_sum(losses) / tf.reduce_sum(counts), rtol=1e-6)


def test_smoothing_spreads_its_share_over_all_tags() -> None:
    logits = tf.constant([[[2.0, 0.0, 0.0, 0.0]]])
    losses, _ = word_losses(logits, batch_of([[0]], [[0]]), smoothing=0.4)
    norm = np.log(np.exp(2.0) + 3.0)
    np.testing.assert_allclose(losses, [0.7 * (norm - 2.0) + 0.3 * norm], rtol=1e-6)


def test_scores_calculated_by_hand() -> None:
    # Labelled: PER (0-2), LOC (3); PER (0). Predicted: PER (0-2), O, LOC (3); O.
    batch = batch_of(WORD_OF_TOKEN, [[1, 2, 0, 3], [1, 0, NO_TAG, NO_TAG]])
    logits = of_tags([[0, 1, 3, 2, 3, 0], [0, 0, 0, 1, 1, 1]])
    sums = score_sums(logits, batch, tf.constant([1.0, 1.0]), OBJECTIVE).numpy()
    assert sums[1:].tolist() == [5.0, 5.0, 6.0, 2.0, 2.0, 3.0]
    found = scores(sums)
    assert found.pop("loss") == pytest.approx(sums[0] / 5)
    assert found == {
        "span_f1": 4 / 5,
        "span_precision": 1.0,
        "span_recall": 2 / 3,
        "token_accuracy": 5 / 6,
    }
    # A row of weight 0 only fills up a batch.
    assert score_sums(logits, batch, tf.constant([1.0, 0.0]), OBJECTIVE).numpy()[1:].tolist() == [
        3,
        4,
        4,
        2,
        2,
        2,
    ]


def test_words_past_the_maximum_length_count_as_tagged_o() -> None:
    batch = batch_of([[-1, 0, -1]], [[1, 2, 0, 3]])
    sums = score_sums(of_tags([[0, 1, 0]]), batch, tf.constant([1.0]), OBJECTIVE).numpy()
    # The span of two words is predicted as one of a word; the one of the last word is missed.
    assert sums[1:].tolist() == [1.0, 2.0, 4.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("seed", range(5))
def test_scores_and_the_evaluators_metrics_of_random_tags_equal_seqevals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [int(n) for n in rng.integers(1, 12, 60)]
    labelled = [[ALL[i] for i in rng.integers(0, len(ALL), n)] for n in rows]
    predicted = [[t if rng.random() < 0.7 else ALL[rng.integers(len(ALL))] for t in row] for row in labelled]
    width = max(rows)
    index = np.where(np.arange(width) < np.array(rows)[:, None], np.arange(width), -1)
    batch = batch_of(index.tolist(), ids(labelled, ALL).tolist())
    logits = tf.one_hot(np.maximum(ids(predicted, ALL), 0), len(ALL))
    in_graph = scores(score_sums(logits, batch, tf.ones([60]), Objective(labels=tuple(ALL))).numpy())
    classes = np.array([tag.encode() for tag in ALL], object)
    outputs = [{"tags": [*map(str.encode, row), b"", b""], "all_classes": classes} for row in predicted]
    added = sum(
        evaluation.sums(evaluation.row([tag.encode() for tag in row], output))
        for row, output in zip(labelled, outputs, strict=True)
    )
    wanted = {
        "span_f1": f1_score(labelled, predicted),
        "span_precision": precision_score(labelled, predicted),
        "span_recall": recall_score(labelled, predicted),
        "token_accuracy": accuracy_score(labelled, predicted),
    }
    for name, value in wanted.items():
        assert in_graph[name] == pytest.approx(value, abs=1e-6), name
        assert evaluation.from_sums(name, added)[None] == pytest.approx(value), name
    by_type = dict(
        zip(("PER", "LOC", "A-B"), f1_score(labelled, predicted, average=None)[[2, 1, 0]], strict=True)
    )
    values = evaluation.from_sums("span_f1", added)
    assert {kind: values[ALL.index(f"B-{kind}")] for kind in by_type} == pytest.approx(by_type)


def test_evaluator_counts_words_without_an_answer_as_o_and_skips_unknown_tags() -> None:
    classes = np.array([b"O", b"B-PER", b"I-PER", b"B-LOC"], object)
    row = evaluation.row([b"B-PER", b"X-Y", b"B-LOC"], {"tags": [b"B-PER", b"O"], "all_classes": classes})
    assert [part.tolist() for part in row[:2]] == [[1, NO_TAG, 3], [1, 0, 0]]
    sums = evaluation.sums(row)
    assert sums.tolist() == [1, 2, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1]
    assert evaluation.from_sums("span_recall", sums) == {None: 0.5, 1: 1.0, 3: 0.0}
    nothing = evaluation.sums(evaluation.row(None, {"tags": [b""], "all_classes": classes}))
    assert nothing.tolist() == [0.0] * 14
    assert np.isnan(evaluation.from_sums("token_accuracy", nothing)[None])


# --- from raw text to an answer ---------------------------------------------------------------------


class Tagger(tf.Module):
    """Raw texts -> answers: words, token ids, encoder and head in one graph, as a served model has them."""

    def __init__(self, folder: Path, model: Any, max_length: int) -> None:
        super().__init__()
        self._folder, self._max_length, self._logits = folder, max_length, logits_of(model)
        self.weights, self._model = list(model.variables), [lambda: model]

    def inputs(self, texts: tf.Tensor) -> tuple[dict[str, tf.Tensor], TextWords]:
        words = find_words(texts, "whitespace_punctuation")
        tokenize, spec = family_of(self._folder).load_graph().tokenize, word_spec(self._folder)
        rows = encode_words(words.texts, tokenize, spec, self._max_length)
        made = {name: tf.cast(values.to_tensor(-1), tf.int32) for name, values in rows.items()}
        made[features.ATTENTION_MASK] = tf.cast(made[features.INPUT_IDS] >= 0, tf.int32)
        made[features.INPUT_IDS] = tf.maximum(made[features.INPUT_IDS], 0)
        return made, TextWords(*words, made[WORD_INDEX], LABELS, self._max_length)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs, words = self.inputs(texts)
        logits = self._logits(self._model[0](), inputs)
        return word_outputs(logits, tf.constant(LABELS), words)


TEXTS = ["Zoë met Ann Lee in Paris.", "Ann  sat in Rome", "Lee, 3 cats"]
TAGGED = [
    ["B-PER", "O", "B-PER", "I-PER", "O", "B-LOC", "O"],
    ["B-PER", "O", "O", "B-LOC"],
    ["B-PER", "O", "O", "O"],
]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    """A tiny BERT that has learnt the three texts by heart."""
    folder = write_encoder(tmp_path_factory.mktemp("checkpoint"), "bert")
    pieces = ["zoe", "met", "ann", "lee", "in", "par", "##is", "rome", "sat", "cat", "##s", "3", ".", ","]
    write_bert_tokenizer(folder, pieces)
    model = load_classifier(folder, LABELS, labels_tokens=True)
    made = Tagger(folder, model, max_length=12)
    inputs, _ = made.inputs(tf.constant(TEXTS))
    batch = inputs | {TAG_IDS: tf.constant(ids(TAGGED, LABELS), tf.int32)}
    optimizer = tf_keras.optimizers.Adam(0.005)

    @tf.function(autograph=False)
    def step() -> None:
        with tf.GradientTape() as tape:
            losses, counts = word_losses(logits_of(model)(model, batch), batch)
            loss = tf.reduce_sum(losses) / tf.reduce_sum(counts)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(160):
        step()
    return made


def test_saved_model_answers_raw_texts_with_words_tags_and_spans(tagger: Tagger, tmp_path: Path) -> None:
    tf.saved_model.save(tagger, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    made = {name: values.numpy() for name, values in loaded.serve(tf.constant(TEXTS)).items()}
    assert {name: values.shape for name, values in made.items() if values.shape != (3, 12)} == {
        "cut_words": (3,),
        "all_classes": (3, 4),
    }
    tags = [[tag.decode() for tag in row if tag] for row in made["tags"]]
    assert tags == TAGGED
    assert [name for name, values in made.items() if values.dtype == np.float32] == ["scores"]
    assert made["scores"][0, :7].min() > 0.5
    assert made["scores"][0, 7:].tolist() == [0.0] * 5
    spans = zip(made["span_labels"][0], made["span_starts"][0], made["span_ends"][0], strict=True)
    assert [(label.decode(), TEXTS[0][start:end]) for label, start, end in spans if label] == [
        ("PER", "Zoë"),
        ("PER", "Ann Lee"),
        ("LOC", "Paris"),
    ]
    assert made["words"][2, :5].tolist() == [b"Lee", b",", b"3", b"cats", b""]
    assert made["starts"][2, :5].tolist() == [0, 3, 5, 7, -1]
    assert made["ends"][2, :5].tolist() == [3, 4, 6, 11, -1]
    assert made["cut_words"].tolist() == [0, 0, 0]


def test_words_past_the_maximum_length_are_counted_in_the_answer(tagger: Tagger) -> None:
    made = tagger.serve(tf.constant(["cats " * 30 + "Paris", ""]))
    assert made["cut_words"].numpy().tolist() == [26, 0]  # five words of two tokens have room
    assert [word for word in made["words"][0].numpy().tolist() if word] == [b"cats"] * 5
    assert made["words"][1].numpy().tolist() == [b""] * 12


def test_words_past_the_width_of_the_answer_are_counted_as_cut_though_they_have_tokens(
    tagger: Tagger,
) -> None:
    made = tagger.serve(
        tf.constant(["\u00ad " * 14 + "Paris cats"])
    )  # soft hyphens are words without a token
    assert made["cut_words"].numpy().tolist() == [4]  # of 16 words
    assert made["words"][0].numpy().tolist() == ["\u00ad".encode()] * 12
    assert made["span_labels"][0].numpy().tolist() == [b""] * 12
