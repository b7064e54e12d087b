"""Why a request gets no answer, in both protocols' terms. None of these is the server's fault."""

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

    `str(error)` is what the client reads; `status` the HTTP status; `code` the name of the gRPC status.
    """

    status = 400
    code = "INVALID_ARGUMENT"
    retry_after: int | None = None  # seconds


class InvalidRequest(RequestError):
    """Malformed, of the wrong type or shape, or over a limit of one value."""


class UnknownModel(RequestError):
    """No such model or version is served."""

    status = 404
    code = "NOT_FOUND"


class TooLarge(RequestError):
    """More bytes than one request, or one answer, may have."""

    status = 413
    code = "RESOURCE_EXHAUSTED"


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408
    code = "DEADLINE_EXCEEDED"


class Refused(RequestError):
    """Something that this server never does for a client, such as unloading its model."""

    status = 403
    code = "PERMISSION_DENIED"


class Overloaded(RequestError):
    """The queue is full, or no version is ready: try again."""

    status = 503
    code = "UNAVAILABLE"
    retry_after = 1


def version_number(name: str, version: str) -> int:
    """Raises UnknownModel for what is no number."""
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise unknown_version(name, version[:40])
    return int(version)


def unknown_version(name: str, version: int | str | None) -> UnknownModel:
    """TF Serving's words for a model or version that is not served."""
    wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return UnknownModel(f"Servable not found for request: {wanted}")


def message_of(error: object) -> str:
    """One line of bounded length, without what is no UTF-8 (JSON can carry half a surrogate pair)."""
    line = " ".join(str(error).split()).encode("utf-8", "replace").decode()
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 3] + "..."


def shown(value: Any) -> str:
    """A client's value for a message: cut short before it is written out, however large or deep it is."""
    if isinstance(value, bytes):
        return repr(value) if len(value) <= 60 else f"{value[:57]!r}..."
    text = _SHORT.repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def without_paths(text: str, home: Path | None = None) -> str:
    """What TensorFlow or the system says, without telling a client how this machine's folders are named.

    `"/srv/models/trec/2/variables/variables.index: not found"` with home `/srv/models` ->
    `"trec/2/variables/variables.index: not found"`; of other absolute paths the name of the file is left.
    """
    # Also a home with spaces, where no pattern can tell where a path ends.
    for known in () if home is None else (home.resolve(), home.absolute(), home):
        text = text.replace(f"{known}/", "")
    return _FOLDERS.sub("", text)
