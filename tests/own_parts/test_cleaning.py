"""The template of `transform.text`."""

from __future__ import annotations

import tensorflow as tf

from components.own_parts.text_trial import try_text
from own_parts.cleaning import without_markup


def test_markup_and_addresses_are_removed():
    texts = ["<b>Who</b> was&nbsp;he?  https://a.b/c", "1 &lt; 2 &amp;&amp; x<y", "", "\n"]
    assert without_markup(tf.constant(texts)).numpy().tolist() == [
        b"Who was he? URL",
        b"1 < 2 && x<y",
        b"",
        b"",
    ]


def test_it_keeps_the_contract():
    try_text(without_markup)
