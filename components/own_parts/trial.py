"""Tries own parts before a run, in a process of its own: importing them can do anything.

    echo '{"parts": {"transform.text": "own_parts.cleaning.without_markup"}}' | python -m components.own_parts.trial

The last line of stdout is `{"error": "transform.text: ..."}`, with "" if all parts fit.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from components.own_parts.loss_trial import try_loss
from components.own_parts.text_trial import try_text
from components.own_parts.unfit import UnfitError
from models.errors import UsageError
from models.own_parts import load_part, what_failed

# Key of the config -> (names of the arguments, what tries the part).
_TRIALS: Mapping[str, tuple[tuple[str, ...], Callable[[Any, Mapping[str, Any]], None]]] = {
    "transform.text": (("texts",), lambda part, _: try_text(part)),
    "train.loss": (("logits", "targets"), try_loss),
}


def trial(request: Mapping[str, Any]) -> str:
    """Tries the parts of a request; returns what is wrong with the first one that does not fit, "" if all do."""
    for key, path in request["parts"].items():
        arguments, attempt = _TRIALS[key]
        try:
            part = load_part(path)
            _check_signature(part, arguments)
            attempt(part, request)
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
