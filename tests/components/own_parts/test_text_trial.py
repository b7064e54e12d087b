"""A cleaning function that breaks its contract is refused with one line, before anything runs."""

from __future__ import annotations

import pytest

from components.own_parts.trial import trial
from tests.support.own_package import write_own_parts

SOURCE = """\
import tensorflow as tf

number = 3

def of_two(texts, more):
    return texts

def through_python(texts):
    return tf.py_function(lambda t: t, [texts], tf.string)

def through_numpy_in_a_branch(texts):
    return tf.cond(tf.size(texts) > 3, lambda: tf.numpy_function(lambda t: t, [texts], tf.string), lambda: texts)

def lengths(texts):
    return tf.strings.length(texts)

def joined(texts):
    return tf.strings.reduce_join(texts)

def words(texts):
    return tf.strings.split(texts)

def nothing(texts):
    pass

def sorted_texts(texts):
    return tf.sort(tf.strings.length(texts), axis=0) * 0 + 1, texts

def reversed_texts(texts):
    return tf.reverse(texts, [0])

def without_the_empty(texts):
    return tf.boolean_mask(texts, texts != "")

def shuffled(texts):
    return tf.random.shuffle(texts)

def strict(texts):
    codes = tf.strings.unicode_decode(texts, "UTF-8", errors="strict")
    return tf.strings.unicode_encode(codes, "UTF-8")

def by_hand(texts):
    if texts[0] == "":
        return texts
    return tf.strings.lower(texts)

def raises(texts):
    raise KeyError("stop words")

def good(texts):
    return tf.strings.lower(texts, encoding="utf-8")
"""
REASONS = {
    "of_two": "must take 1 argument (texts): missing a required argument: 'more'",
    "number": "is not callable, but int",
    "through_python": "runs Python in the graph (EagerPyFunc, of tf.py_function or tf.numpy_function), which no served "
    "model can: use TensorFlow ops only",
    "through_numpy_in_a_branch": "runs Python in the graph (PyFunc, of tf.py_function or tf.numpy_function), which no served "
    "model can: use TensorFlow ops only",
    "lengths": "must return string [n] for string [n], returns int32 (None,)",
    "joined": "must return string [n] for string [n], returns string ()",
    "words": "must return one tensor, returns RaggedTensor",
    "nothing": "must return one tensor, returns NoneType",
    "sorted_texts": "must return one tensor, returns tuple",
    "reversed_texts": "makes b'Who was Galileo ?' of b'Who was Galileo ?' alone and b'word word word",
    "without_the_empty": "must return as many texts as it takes, returns 7 for 8",
    "shuffled": "uses the op RandomShuffle, which keeps a state or draws random numbers: the result must depend on the row "
    "alone",
    "strict": "fails for the text b'not UTF-8: \\xff\\xfe\\xc3': ",
    "by_hand": "raises OperatorNotAllowedInGraphError: ",
    "raises": "raises KeyError: 'stop words' (own_parts/bad.py:48)",
}


def tried(path: str) -> str:
    return trial({"parts": [("transform.text", "transform.text", path)]})


@pytest.mark.parametrize("name", REASONS)
def test_a_function_that_cannot_be_served_is_refused(name, tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"bad": SOURCE}, monkeypatch)
    said = tried(f"own_parts.bad.{name}")
    assert said.startswith(f"transform.text: own_parts.bad.{name} {REASONS[name]}")
    assert len(said.splitlines()) == 1


def test_a_function_that_can_be_served_passes(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"bad": SOURCE}, monkeypatch)
    assert tried("own_parts.bad.good") == ""


def test_what_cannot_be_imported_says_why_and_where(tmp_path, monkeypatch):
    sources = {"gone": "\n\nimport no_such_library\n", "named": "def clean(texts):\n    return texts\n"}
    package = write_own_parts(tmp_path, sources, monkeypatch)
    assert tried("own_parts.gone.clean") == (
        "transform.text: own_parts.gone.clean: own_parts.gone cannot be imported: ModuleNotFoundError: No module named "
        "'no_such_library' (own_parts/gone.py:3)"
    )
    assert tried("own_parts.named.clear") == (
        f"transform.text: own_parts.named.clear: {package}/named.py has no 'clear'; it defines clean"
    )
