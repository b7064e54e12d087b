"""The tokenizer files of a checkpoint, parsed by type, without those keys that ask for another tokenizer.

No TensorFlow and no transformers here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from models.errors import CheckpointError
from models.files import FromFile, checkpoint_file, read_json, shown, typed
from models.tokenizers.rust_numbers import rust_float

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
MAP_FILE = "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"
MODEL_CONFIG_FILE = "config.json"
FILES = (TOKENIZER_FILE, CONFIG_FILE, MAP_FILE, ADDED_FILE, MODEL_CONFIG_FILE)  # of every family

P = TypeVar("P", bound=FromFile)

GENERIC_CLASS = "PreTrainedTokenizerFast"  # takes tokenizer.json as it is

# model_type of config.json -> the class, without "Fast", that transformers picks where no file names one.
_CLASSES = {
    "albert": "AlbertTokenizer",
    "bart": "BartTokenizer",
    "bert": "BertTokenizer",
    "camembert": "CamembertTokenizer",
    "convbert": "ConvBertTokenizer",
    "ctrl": "CTRLTokenizer",
    "deberta": "DebertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "esm": "EsmTokenizer",
    "flaubert": "FlaubertTokenizer",
    "funnel": "FunnelTokenizer",
    "gpt-sw3": "GPTSw3Tokenizer",
    "gpt2": "GPT2Tokenizer",
    "gptj": "GPT2Tokenizer",
    "layoutlm": "LayoutLMTokenizer",
    "layoutlmv3": "LayoutLMv3Tokenizer",
    "longformer": "LongformerTokenizer",
    "mistral": "LlamaTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "openai-gpt": "OpenAIGPTTokenizer",
    "rembert": "RemBertTokenizer",
    "roberta": "RobertaTokenizer",
    "roberta-prelayernorm": "RobertaTokenizer",
    "roformer": "RoFormerTokenizer",
    "tapas": "TapasTokenizer",
    "transfo-xl": "TransfoXLTokenizer",
    "xlm": "XLMTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "xlnet": "XLNetTokenizer",
}

# Keys of tokenizer_config.json that change the ids and are not reproduced -> the values that do no harm.
_REFUSED: dict[str, tuple[object, ...]] = {
    "truncation_side": ("right",),
    "padding_side": ("right",),
    "split_special_tokens": (False, None),
    "from_slow": (False, None),
    "fix_mistral_regex": (False, None),
    "init_inputs": ([], None),
    "fast_tokenizer_files": ([TOKENIZER_FILE],),
    "auto_map": ({}, [], None),
    "tokenizer_object": (),
    "__slow_tokenizer": (),
    "gguf_file": (None,),
    # Read instead of the folder's own file, wherever it would be.
    "tokenizer_file": (),
    "vocab_file": (),
}


# model_type -> its forward pass moves the padding where the class wants it, so the tokenizer's side has no effect.
_ANY_PADDING_SIDE = ("xlnet",)


class AddedToken(FromFile):
    content: Annotated[str, Field(min_length=1)]
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False


class SerializedToken(AddedToken):
    """As tokenizer.json has it, where nothing may be left out."""

    id: Annotated[int, Field(ge=0)]
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class _Direction(FromFile):
    direction: str = "Right"


class _Padding(_Direction):
    pad_token: str


class TokenizerJson(FromFile):
    added_tokens: list[SerializedToken] = Field(default_factory=list)
    truncation: _Direction | None = None
    padding: _Padding | None = None


class TokenizerConfig(FromFile):
    tokenizer_class: str | None = None
    model_input_names: list[str] | None = None
    extra_special_tokens: dict[str, Any] = Field(default_factory=dict)


class _ModelConfig(FromFile):
    tokenizer_class: str | None = None
    model_type: str | None = None


class TokenizerFiles:
    """The parsed files of a folder; those that are not there are empty.

    `title`: of the tokenizer family that reads them; refusals name it.

    Args:
        vocabulary_files: names beside FILES; these are not parsed.

    Raises:
        CheckpointError: one is malformed or leads out of the folder.
    """

    def __init__(self, folder: Path, vocabulary_files: Iterable[str]) -> None:
        self.folder, self.title = folder, ""
        self._paths = {name: checkpoint_file(folder, name) for name in (*FILES, *vocabulary_files)}
        self._present = {name for name, path in self._paths.items() if path.is_file()}
        self.config = self._json(CONFIG_FILE)
        # Where this key says all about added tokens, transformers opens neither of the two older files.
        self.is_newer = "added_tokens_decoder" in self.config
        self.map = {} if self.is_newer else self._json(MAP_FILE)
        self.added = {} if self.is_newer else self._json(ADDED_FILE)
        self.values = {**self.config, **self.map}
        self.state = _with_model_type(self._json(TOKENIZER_FILE, rust_float))
        self.tokenizer = (
            typed(TokenizerJson, self.path(TOKENIZER_FILE), self.state) if self.has(TOKENIZER_FILE) else None
        )

    def path(self, name: str) -> Path:
        return self._paths[name]

    def has(self, name: str) -> bool:
        return name in self._present

    def of_key(self, key: str) -> Path:
        """The file whose value of the key counts."""
        return self.path(MAP_FILE if key in self.map else CONFIG_FILE)

    def refused(self, file: Path, key: str, found: object, wanted: str) -> CheckpointError:
        """The error of a tokenizer that the family's graph does not reproduce."""
        return refused(self.title, file, key, found, wanted)

    def _json(self, name: str, parse_float: Callable[[str], float] = float) -> dict[str, Any]:
        return read_json(self.path(name), parse_float) if self.has(name) else {}


def _with_model_type(state: dict[str, Any]) -> dict[str, Any]:
    """Adds the model.type that older files lack, as the Rust tokenizer does."""
    model = state.get("model")
    if not isinstance(model, dict) or "type" in model:
        return state
    if "merges" in model:
        kind = "BPE"
    elif "max_input_chars_per_word" in model:
        kind = "WordPiece"
    else:
        kind = "Unigram" if isinstance(model.get("vocab"), list) else "WordLevel"
    return {**state, "model": {"type": kind, **model}}


def check_keys(files: TokenizerFiles) -> None:
    """Raises CheckpointError where a key makes other ids than those that are reproduced."""
    tokenizer = files.tokenizer
    sides = (
        {"truncation": tokenizer.truncation, "padding": tokenizer.padding} if tokenizer is not None else {}
    )
    may_pad_left = pads_on_any_side(files.folder)
    for key, part in sides.items():
        if part is None or (key == "padding" and may_pad_left):
            continue
        if part.direction != "Right" and f"{key}_side" not in files.values:
            raise files.refused(files.path(TOKENIZER_FILE), f"{key}.direction", part.direction, "'Right'")
    unread = "vocab_file" if tokenizer is not None else "tokenizer_file"
    for key, harmless in _REFUSED.items():
        if key == "padding_side" and may_pad_left:
            harmless = "right", "left"
        if key in files.values and key != unread and files.values[key] not in harmless:
            wanted = repr(harmless[0]) if harmless else "files without this key"
            raise files.refused(files.of_key(key), key, files.values[key], wanted)


def pads_on_any_side(folder: Path) -> bool:
    """Whether the checkpoint's encoder moves padding itself, so that a tokenizer that pads on the left needs nothing more.

    Raises:
        CheckpointError: config.json is malformed or leads out of the folder.
    """
    file = checkpoint_file(folder, MODEL_CONFIG_FILE)
    return file.is_file() and typed(_ModelConfig, file, read_json(file)).model_type in _ANY_PADDING_SIDE


def named_class(files: TokenizerFiles) -> tuple[Path, str | None]:
    """The tokenizer class that AutoTokenizer picks, without "Fast" unless it is GENERIC_CLASS, and the file that says so.

    None: neither tokenizer_config.json nor config.json names one, and config.json has no model_type that is known.
    """
    file, name = files.path(CONFIG_FILE), files.config.get("tokenizer_class")
    if name is None and files.has(MODEL_CONFIG_FILE):
        file = files.path(MODEL_CONFIG_FILE)
        config = typed(_ModelConfig, file, read_json(file))
        name = config.tokenizer_class or _CLASSES.get(config.model_type or "")
    if name is not None and f"{name.removesuffix('Fast')}Fast" != GENERIC_CLASS:
        return file, name.removesuffix("Fast")
    return file, name and GENERIC_CLASS


def refused(title: str, file: Path, key: str, found: object, wanted: str) -> CheckpointError:
    """`{file}: model.type is 'BPE'; in-graph WordPiece reproduces only 'WordPiece'`; `title`: of the family."""
    return CheckpointError(f"{file}: {key} is {shown(found)}; in-graph {title} reproduces only {wanted}")


def part(title: str, file: Path, state: Mapping[str, Any], key: str, wanted: str, kind: type[P]) -> P:
    """`state[key]` of the type `wanted`, as a `kind`.

    Raises:
        CheckpointError: it has another type: `normalizer.type is 'NFC'; in-graph WordPiece reproduces only 'BertNormalizer'`.
    """
    value = state.get(key)
    name = value.get("type") if isinstance(value, dict) else value
    if not isinstance(value, dict) or name != wanted:
        raise refused(title, file, f"{key}.type", name, repr(wanted))
    return typed(kind, file, value, key)
