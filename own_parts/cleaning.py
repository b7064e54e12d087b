"""Template of `transform.text`: markup and addresses are removed before tokenization, in training and serving alike.

transform: {text: own_parts.cleaning.without_markup}
"""

import tensorflow as tf

# In this order: entities become characters only after the tags are gone.
_REPLACED = (
    (r"<[^<>]*>", " "),
    (r"https?://\S+", "URL"),
    (r"&nbsp;", " "),
    (r"&lt;", "<"),
    (r"&gt;", ">"),
    (r"&amp;", "&"),
    (r"\s+", " "),
)


def without_markup(texts: tf.Tensor) -> tf.Tensor:
    """`["<b>Who</b> was&nbsp;he?  https://a.b/c"] -> ["Who was he? URL"]`; string [n] -> string [n]."""
    for pattern, replacement in _REPLACED:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.strip(texts)
