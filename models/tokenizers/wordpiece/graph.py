"""WordPiece in the TensorFlow graph, equal to the Hugging Face fast tokenizer token for token.

    spec = load_spec(checkpoint_dir)
    tokenize(tf.constant(["Who was Galileo ?"]), spec)
    # <tf.RaggedTensor [[2040, 2001, 21514, 1029]]>

Works eagerly, in `tf.function`, in a `preprocessing_fn` and in exported SavedModels, where all its data are
constants of the graph. Only one op is not in core TensorFlow: FastWordpieceTokenizeWithOffsets.
`docs/decisions/0003-tokenization.md` explains the design.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.core.pybinds import pywrap_fast_wordpiece_tokenizer_model_builder as model_builder

from models.tokenizers.added_tokens import may_overlap
from models.tokenizers.wordpiece.code_points import (
    MARKERS,
    NEUTRAL,
    PAGE,
    PREFIX,
    UNKNOWN,
    CodePointTable,
    code_point_table,
)
from models.tokenizers.wordpiece.spec import WordpieceSpec

UTF8_BYTES = 4  # maximum bytes of a code point
OPEN, CLOSE = chr(MARKERS[-2]), chr(MARKERS[-1])  # enclose a token that was found, until it is replaced


def tokenize(texts: tf.Tensor, spec: WordpieceSpec) -> tf.RaggedTensor:
    """Token ids without [CLS] and [SEP]: `["Who?"]` -> `[[2040, 1029]]`.

    Args:
        texts: string [batch], UTF-8. Bytes that are not UTF-8 count as U+FFFD, as in Python's
            `bytes.decode(errors="replace")`.
        spec: the tokenization.

    Returns:
        int64 [batch, None], all tokens of every text.

    Raises:
        PipelineError: the vocabulary cannot be written in the table's alphabet.
    """
    table = code_point_table(spec)
    simple = tf.strings.regex_full_match(texts, _simple_text(spec, table))
    written = tf.strings.lower(texts) if spec.lower_case else tf.identity(texts)
    others = tf.where(tf.logical_not(simple))
    written = tf.tensor_scatter_nd_update(written, others, _respell(tf.gather_nd(texts, others), spec, table))
    written = tf.strings.regex_replace(written, _too_long_word(spec), UNKNOWN)
    tokens = tf_text.FastWordpieceTokenizer(model_buffer=tf.constant(_model(spec))).tokenize(written)
    if not table.second_ids:
        return tokens
    ids = [*range(len(table.vocab) - len(table.second_ids)), *table.second_ids]
    return tokens.with_flat_values(tf.gather(tf.constant(ids, tf.int64), tokens.flat_values))


def _respell(texts: tf.Tensor, spec: WordpieceSpec, table: CodePointTable) -> tf.Tensor:
    """Rewrites texts in the table's alphabet: string [n] -> string [n]."""
    codes = tf.strings.unicode_decode(_marked(texts, spec), "UTF-8", errors="replace")
    page = tf.gather(tf.constant(table.pages), tf.bitwise.right_shift(codes.flat_values, 8))
    cell = page * PAGE + tf.bitwise.bitwise_and(codes.flat_values, PAGE - 1)
    span = tf.gather(tf.constant(table.cells.reshape(-1)), cell)
    spans = tf.RaggedTensor.from_row_splits(
        tf.constant(table.codes), tf.constant(table.splits), validate=False
    )
    written = tf.strings.unicode_encode(codes.with_values(tf.gather(spans, span)).merge_dims(1, 2), "UTF-8")
    return _replaced(written, dict(table.found))


def _marked(texts: tf.Tensor, spec: WordpieceSpec) -> tf.Tensor:
    """Replaces special tokens in raw text by their markers; markers that a text contains are neutralized first."""
    texts = tf.strings.regex_replace(texts, f"[{chr(MARKERS[0])}-{chr(MARKERS[-1])}]", chr(NEUTRAL))
    return _replaced(texts, {token: chr(MARKERS[i]) for i, (token, _) in enumerate(spec.special_tokens)})


def _replaced(texts: tf.Tensor, found: Mapping[str, str]) -> tf.Tensor:
    """Replaces each key by its value, from the left and the longest match first, as Hugging Face finds tokens."""
    if may_overlap(list(found)):
        # RE2 uses the first alternative that matches.
        longest_first = sorted(found, key=len, reverse=True)
        texts = tf.strings.regex_replace(texts, "|".join(map(re.escape, longest_first)), f"{OPEN}\\0{CLOSE}")
        found = {f"{OPEN}{token}{CLOSE}": written for token, written in found.items()}
    for token, written in found.items():
        texts = tf.strings.regex_replace(texts, re.escape(token), written)
    return texts


def _simple_text(spec: WordpieceSpec, table: CodePointTable) -> str:
    """RE2 for texts that only need lower-casing of ASCII and cannot contain an added token."""
    normalized = {written[0] for written, _ in table.found if written.isascii()}
    starts = {token[0] for token, _ in spec.special_tokens} | normalized | {c.upper() for c in normalized}
    plain = [c for c in ["\t", "\n", "\r", *map(chr, range(0x20, 0x7F))] if c not in starts]
    return "[" + "".join(f"\\x{ord(c):02x}" for c in plain) + "]*"


def _too_long_word(spec: WordpieceSpec) -> str:
    """RE2 for words that become a single [UNK] in Hugging Face because they have too many characters."""
    parting = "".join(f"\\x{ord(c):02x}" for c in [*" \t\n\r", *string.punctuation])
    return f"[^{parting}]{{{spec.max_input_chars_per_word}}}[^{parting}]+"


@functools.lru_cache(maxsize=8)
def _model(spec: WordpieceSpec) -> npt.NDArray[np.uint8]:
    """The compiled WordPiece trie, uint8 [about 2 MB for 30,522 tokens]."""
    table = code_point_table(spec)
    buffer = model_builder.build_fast_wordpiece_model(
        list(table.vocab),
        UTF8_BYTES * spec.max_input_chars_per_word,
        PREFIX,
        table.vocab[spec.unk_id],
        False,  # no_pretokenization: texts are split here, at white space and ASCII punctuation
        False,  # support_detokenization
    )
    return np.frombuffer(buffer, np.uint8)
