"""Tries own parts before a run, in a process of its own: importing them can do anything.

    echo '{"parts": [["transform.text", "transform.text", "own_parts.cleaning.without_markup"]]}' \\
        | python -m components.own_parts.trial

The last line of stdout is `{"error": "transform.text: ..."}`, with "" if all parts fit.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from components.own_parts.head_trial import try_head
from components.own_parts.loss_trial import try_loss
from components.own_parts.metric_trial import try_metric
from components.own_parts.text_trial import try_text
from components.own_parts.unfit import UnfitError
from models.errors import UsageError
from models.own_parts import load_part, what_failed

# Kind of the part -> (names of the arguments, what tries the part).
_TRIALS: Mapping[str, tuple[tuple[str, ...], Callable[[Any, str, Mapping[str, Any]], None]]] = {
    "transform.text": (("texts",), lambda part, _, __: try_text(part)),
    "train.loss": (("logits", "targets"), lambda part, _, request: try_loss(part, request)),
    "model.head": (("width", "outputs", "seed"), lambda part, _, request: try_head(part, request)),
    "train.metrics": (("labels",), try_metric),
}


def trial(request: Mapping[str, Any]) -> str:
    """Tries the parts of a request; returns what is wrong with the first one that does not fit, "" if all do.

    Args:
        request: `parts`, each (key, kind, path); `task` (a key of `TASKS`) and `labels` (the label list).
    """
    for key, kind, path in request["parts"]:
        arguments, attempt = _TRIALS[kind]
        try:
            part = load_part(path)
            _check_signature(part, arguments)
            attempt(part, path, request)
        except UsageError as error:
            return f"{key}: {error}"
        except UnfitError as error:
            return f"{key}: {path} {error}"
        except Exception as error:  # noqa: BLE001  # the user's code can raise anything
            return f"{key}: {path} raises {what_failed(error)}"
    return ""


def _check_signature(part: Any, arguments: tuple[str, ...]) -> None:
    if not callable(part):
        raise UnfitError(f"is not callable, but {type(part).__name__}")
    try:
        inspect.signature(part).bind(*arguments)
    except TypeError as error:
        count = f"{len(arguments)} argument{'s' if len(arguments) > 1 else ''}"
        raise UnfitError(f"must take {count} ({', '.join(arguments)}): {error}") from None


def main() -> None:
    """Reads a request from stdin and writes the answer."""
    answer = trial(json.load(sys.stdin))
    print(json.dumps({"error": answer}), flush=True)


if __name__ == "__main__":
    main()
