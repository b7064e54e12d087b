"""The names of features, files and signatures that more than one node uses.

Raw columns (the text, its pair, the label) are named by the config, because they are the user's;
everything made from them is named here and nowhere else.
"""

from collections.abc import Iterable

# Transformed features, one row each: what Transform writes and the Trainer reads.
INPUT_IDS = "input_ids"  # int64, variable length, special tokens included
TOKEN_TYPE_IDS = "token_type_ids"  # int64, same length as INPUT_IDS; of which text of a pair a token is
LABEL_ID = "label_id"  # int64 scalar: the line of the label in the label list, from 0

# What the Trainer feeds the encoder beside them; made from the lengths, never stored.
ATTENTION_MASK = "attention_mask"

# Signatures of the exported SavedModel.
SERVING_SIGNATURE = "serving_default"  # raw text columns -> outputs
EXAMPLES_SIGNATURE = "serve_examples"  # "examples": serialized tf.Example -> outputs
TOKENS_SIGNATURE = "serve_tokens"  # the model's inputs -> outputs

# Outputs of every signature.
PROBABILITIES = "probabilities"  # float32 [batch, classes], rows sum to 1
CLASSES = "all_classes"  # string [batch, classes]: the label of each column; TFMA reads string labels by it
PREDICTED_LABEL = "label"  # string [batch]: the most probable class

# Files that travel with the model.
LABELS_FILE = "labels.txt"  # one label a line, UTF-8; the line number is the label id


def model_inputs(names: Iterable[str]) -> tuple[str, ...]:
    """The inputs of a model in the order in which they are shown.

    >>> model_inputs(["token_type_ids", "input_ids"])
    ('input_ids', 'attention_mask', 'token_type_ids')
    """
    first = (INPUT_IDS, ATTENTION_MASK)
    return (*first, *sorted(set(names).difference(first)))
