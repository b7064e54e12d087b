"""Errors of requests, with their status in both protocols. None of these is the server's fault."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import Any

_FOLDERS = re.compile(r"""(?<![\w/.~-])/+(?:[^\s/'"`,;:()\[\]{}<>]+/)*(?=[^\s/'"`,;:()\[\]{}<>])""")
_LONGEST_MESSAGE = 500  # characters: gRPC sends it in a header
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxstring = 3, 4, 8, 8, 60


class RequestError(Exception):
    """A request that is answered with an error.

    `str(error)` is the message for the client, `status` the HTTP status, `code` the name of the gRPC status.
    """

    status = 400
    code = "INVALID_ARGUMENT"
    retry_after: int | None = None  # seconds


class InvalidRequest(RequestError):
    """The request is malformed, has a wrong type or shape, or a value exceeds a limit."""


class UnknownModel(RequestError):
    """The model or version is not served."""

    status = 404
    code = "NOT_FOUND"


class TooLarge(RequestError):
    """The request or the answer has too many bytes."""

    status = 413
    code = "RESOURCE_EXHAUSTED"


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408
    code = "DEADLINE_EXCEEDED"


class Refused(RequestError):
    """The client asks for something that this server never does, such as unloading its model."""

    status = 403
    code = "PERMISSION_DENIED"


class Overloaded(RequestError):
    """The queue is full, or no version is ready; the client may retry."""

    status = 503
    code = "UNAVAILABLE"
    retry_after = 1


def version_number(name: str, version: str) -> int:
    """Parses a version number; raises UnknownModel if it is not a number."""
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise unknown_version(name, version[:40])
    return int(version)


def unknown_version(name: str, version: int | str | None) -> UnknownModel:
    """TF Serving's error for a model or version that is not served."""
    wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return UnknownModel(f"Servable not found for request: {wanted}")


def message_of(error: object) -> str:
    """The message as one line of limited length in valid UTF-8 (JSON can contain lone surrogates)."""
    line = " ".join(str(error).split()).encode("utf-8", "replace").decode()
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 3] + "..."


def shown(value: Any) -> str:
    """A client's value for a message, shortened before it is formatted, however large or deeply nested it is."""
    if isinstance(value, bytes):
        return repr(value) if len(value) <= 60 else f"{value[:57]!r}..."
    text = _SHORT.repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def without_paths(text: str, home: Path | None = None) -> str:
    """Removes this machine's folders from a message of TensorFlow or the system, before a client reads it.

    `"/srv/models/trec/2/variables/variables.index: not found"` with home `/srv/models` ->
    `"trec/2/variables/variables.index: not found"`; other absolute paths are reduced to the file name.
    """
    # Replaced literally, because a pattern cannot find the end of a path with spaces.
    for known in () if home is None else (home.resolve(), home.absolute(), home):
        text = text.replace(f"{known}/", "")
    return _FOLDERS.sub("", text)
