"""Names of features, files and signatures that several nodes use.

The config names the raw columns (the text, its pair, the label), which are the user's; everything made
from them is named here and nowhere else.
"""

from collections.abc import Iterable

# Transformed features, one row each, which Transform writes and the Trainer reads.
INPUT_IDS = "input_ids"  # int64, variable length, special tokens included
TOKEN_TYPE_IDS = "token_type_ids"  # int64, same length as INPUT_IDS; which text of a pair a token belongs to
NO_WORD = -1  # in WORD_INDEX: of special tokens
WORD_INDEX = "word_index"  # int64, same length as INPUT_IDS; number of the token's word in its row, -1 for special tokens
WINDOW_LENGTHS = (
    "window_lengths"  # int64, variable length: tokens of each window of a text; only with transform.window
)
LABEL_ID = "label_id"  # int64 scalar: the label's line number in the label list, starting at 0

# A further input of the encoder, derived from the lengths and never stored.
ATTENTION_MASK = "attention_mask"

# Signatures of the exported SavedModel.
SERVING_SIGNATURE = "serving_default"  # raw text columns -> outputs
EXAMPLES_SIGNATURE = "serve_examples"  # "examples": serialized tf.Example -> outputs
TOKENS_SIGNATURE = "serve_tokens"  # the model's inputs -> outputs

# Outputs of every signature.
PROBABILITIES = "probabilities"  # float32 [batch, classes]; of a single label, rows sum to 1
CLASSES = "all_classes"  # string [batch, classes]: the label of each column; TFMA reads string labels by it
PREDICTED_LABEL = "label"  # string [batch]: the most probable class
APPLYING_LABELS = "labels"  # string [batch, classes]: those that apply, filled up with ""
VALUE = "value"  # float32 [batch]: the predicted number
TARGET_NAME = "name"  # string [batch]: what VALUE is
# Of labels of words, [batch, width] each. Places are in code points of the raw text.
WORDS, TAGS = "words", "tags"  # string
WORD_SCORES = "scores"  # float32, the probability of the tag
STARTS, ENDS = "starts", "ends"  # int64, of words
SPAN_LABELS = "span_labels"  # string, PER
SPAN_STARTS, SPAN_ENDS = "span_starts", "span_ends"  # int64
CUT_WORDS = "cut_words"  # int64 [batch]: words at the end of a text that had no room, and have no tag

# Outputs that are filled up at the end of a row, where the first of a group has "".
FILLED_UP = (
    (APPLYING_LABELS,),
    (WORDS, TAGS, WORD_SCORES, STARTS, ENDS),
    (SPAN_LABELS, SPAN_STARTS, SPAN_ENDS),
)

# Files shipped with the model.
LABELS_FILE = "labels.txt"  # one label per line, UTF-8; the line number is the label id
ANSWER_FILE = "answer.json"  # constants of the answer, such as thresholds; absent if there are none


def model_inputs(names: Iterable[str]) -> tuple[str, ...]:
    """The inputs of a model in the order in which they are listed.

    >>> model_inputs(["token_type_ids", "input_ids"])
    ('input_ids', 'attention_mask', 'token_type_ids')
    """
    first = (INPUT_IDS, ATTENTION_MASK)
    return (*first, *sorted(set(names).difference(first)))
