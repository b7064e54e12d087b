"""The special tokens around texts, as the post-processor of a tokenizer.json adds them. No TensorFlow here.

read_templates("WordPiece", file, state, {"[CLS]": 2, "[SEP]": 3})
# ((2, 0), ("A", 0), (3, 0)), ((2, 0), ("A", 0), (3, 0), ("B", 1), (3, 1))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from models.errors import CheckpointError
from models.files import FromFile, shown, typed
from models.tokenizers.family import FIRST, SECOND, Template
from models.tokenizers.tokenizer_files import refused

KEY = "post_processor"
# Without a post-processor a row is its texts, and the second one has another token type.
BARE: tuple[Template, Template] = ((FIRST, 0),), ((FIRST, 0), (SECOND, 1))
_KINDS = (
    "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, a Sequence with one of them, and none"
)


class _Piece(FromFile):
    id: str
    type_id: int


class _Step(FromFile):
    SpecialToken: _Piece | None = None
    Sequence: _Piece | None = None


class _Ids(FromFile):
    ids: list[int]


class _Template(FromFile):
    single: list[_Step]
    pair: list[_Step]
    special_tokens: dict[str, _Ids] | None = None  # None: those of the vocabulary


class _Ends(FromFile):
    cls: Annotated[list[Any], Field(min_length=2, max_length=2)]
    sep: Annotated[list[Any], Field(min_length=2, max_length=2)]


class _Sequence(FromFile):
    processors: list[dict[str, Any]]


def read_templates(
    title: str, file: Path, state: Mapping[str, Any], ids: Mapping[str, int]
) -> tuple[Template, Template]:
    """What a row of one text and a row of two consist of.

    Args:
        title: of the tokenizer family, for messages.
        file: where `state` comes from, for messages.
        state: the content of tokenizer.json.
        ids: of every token, added ones included.

    Raises:
        CheckpointError: another post-processor, or ids that are not those of the vocabulary.
    """
    steps = list(_steps(title, file, state.get(KEY)))
    if len(steps) > 1:
        kinds = [step["type"] for step in steps]
        raise refused(title, file, f"{KEY}.processors", kinds, "one that adds special tokens")
    if not steps:
        return BARE
    if steps[0]["type"] == "TemplateProcessing":
        return _of_template(title, file, steps[0], ids)
    return _of_ends(title, file, steps[0], ids)


def as_text(template: Template, tokens: Mapping[int, str]) -> str:
    """`((2, 0), ("A", 0))` -> `"[CLS]:0 A:0"`, as a message shows it. `tokens`: id -> token."""
    return " ".join(
        f"{tokens[piece] if isinstance(piece, int) else piece}:{kind}" for piece, kind in template
    )


def _steps(title: str, file: Path, post: object) -> Iterator[Mapping[str, Any]]:
    """The post-processors that change the ids: ByteLevel only changes offsets."""
    kind = post.get("type") if isinstance(post, dict) else post
    if kind is None or kind == "ByteLevel":
        return
    if isinstance(post, dict) and kind == "Sequence":
        for inner in typed(_Sequence, file, post, KEY).processors:
            yield from _steps(title, file, inner)
    elif isinstance(post, dict) and kind in ("TemplateProcessing", "BertProcessing", "RobertaProcessing"):
        yield post
    else:
        raise refused(title, file, f"{KEY}.type", kind, _KINDS)


def _of_ends(
    title: str, file: Path, post: Mapping[str, Any], ids: Mapping[str, int]
) -> tuple[Template, Template]:
    """BertProcessing: [CLS] A [SEP] and [CLS] A [SEP] B [SEP]; RobertaProcessing: `<s>A</s></s>B</s>`, all of type 0."""
    ends = typed(_Ends, file, post, KEY)
    for name, index in (ends.cls, ends.sep):
        if not isinstance(name, str) or ids.get(name) != index:
            raise refused(title, file, KEY, [name, index], "tokens with the ids of the vocabulary")
    cls, sep = ends.cls[1], ends.sep[1]
    single: Template = ((cls, 0), (FIRST, 0), (sep, 0))
    if post["type"] == "BertProcessing":
        return single, (*single, (SECOND, 1), (sep, 1))
    return single, (*single, (sep, 0), (SECOND, 0), (sep, 0))


def _of_template(
    title: str, file: Path, post: Mapping[str, Any], ids: Mapping[str, int]
) -> tuple[Template, Template]:
    template = typed(_Template, file, post, KEY)
    for step in (*template.single, *template.pair):
        if step.SpecialToken is not None:
            _check_ids(title, file, step.SpecialToken.id, ids, template.special_tokens)
    single, pair = (tuple(_piece(step, ids) for step in steps) for steps in (template.single, template.pair))
    for key, pieces, wanted in (("single", single, [FIRST]), ("pair", pair, [FIRST, SECOND])):
        texts = sorted(str(piece) for piece, _ in pieces if not isinstance(piece, int))
        if texts != wanted:
            raise refused(title, file, f"{KEY}.{key} with the texts", texts, str(wanted))
    return single, pair


def _piece(step: _Step, ids: Mapping[str, int]) -> tuple[str | int, int]:
    if step.SpecialToken is not None:
        return ids[step.SpecialToken.id], step.SpecialToken.type_id
    return (step.Sequence.id, step.Sequence.type_id) if step.Sequence is not None else ("", 0)


def _check_ids(
    title: str, file: Path, name: str, ids: Mapping[str, int], special: Mapping[str, _Ids] | None
) -> None:
    if name not in ids:
        raise CheckpointError(f"{file}: {KEY}: {shown(name)} is not in the vocabulary")
    if special is not None and (name not in special or special[name].ids != [ids[name]]):
        found = special[name].ids if name in special else None
        key = f"{KEY}.special_tokens.{shown(name)}.ids"
        raise refused(title, file, key, found, f"[{ids[name]}], its id elsewhere")
