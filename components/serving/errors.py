"""Why a request gets no answer, in both protocols' terms. None of these is the server's fault."""

from __future__ import annotations


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
    """More bytes or rows than one request may have."""

    status = 413


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
