"""Access to a Kubeflow Pipelines server through kfp's client, with one-line errors.

Host, namespace and token belong to a command, not to a config: they come from options or environment variables.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import PipelineError, UsageError

if TYPE_CHECKING:
    import kfp

_TIMEOUT = (10, 30)  # seconds to connect, and to wait for an answer
_HEALTH = "/apis/v2beta1/healthz"
_NO_EXPERIMENT = "No experiment is found with name"  # kfp's own error, without a status
_LONGEST = 300  # maximum characters of a server's message, because some contain a stack trace


@dataclass(frozen=True)
class Access:
    """How to reach a server.

    Attributes:
        host: URL of the API or of the dashboard in front of it, `https://kubeflow.example/pipeline`.
        namespace: of the user's profile; empty on a single-user server.
        token: bearer token, or empty.
        token_file: file with the token, read before every request, so that a renewed token is used.
        cookie: `name=value` of a session, or empty.
        ca_cert: certificate of the server's certificate authority.
    """

    host: str
    namespace: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    cookie: str = field(default="", repr=False)
    ca_cert: Path | None = None

    def check(self) -> None:
        """Checks what can be checked without a server.

        Raises:
            UsageError: the host is missing or not a URL, a file cannot be read, or a token contains white space.
        """
        if not self.host:
            raise UsageError(
                "no Kubeflow Pipelines host: give --host https://kubeflow.example/pipeline or set KFP_HOST "
                "(http://localhost:8888 for a port forward)"
            )
        if not self.host.startswith(("http://", "https://")):
            raise UsageError(f"--host {self.host!r}: must begin with http:// or https://")
        if self.ca_cert is not None and not self.ca_cert.is_file():
            raise UsageError(f"--ca-cert {self.ca_cert}: no such file")
        self.current_token()

    def current_token(self) -> str:
        """Returns the token, or "" if there is none.

        Raises:
            UsageError: the file cannot be read or does not contain a token.
        """
        where, token = "KFP_TOKEN", self.token
        if self.token_file is not None:
            where = f"--token-file {self.token_file}"
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{where}: cannot be read: {_first_line(str(error))}") from None
            if not token:
                raise UsageError(f"{where}: the file is empty; put the bearer token into it")
        if not token.isascii() or any(c.isspace() for c in token):
            raise UsageError(
                f"{where}: a token contains no white space; give only the token, without 'Bearer'"
            )
        return token

    def refresh_api_key_hook(self, config: Any) -> None:
        """Puts the token into kfp's configuration; kfp calls this before every request."""
        config.api_key["authorization"] = self.current_token()


@dataclass(frozen=True)
class Server:
    """A server that has answered, with kfp's client for it."""

    access: Access
    client: kfp.Client

    @property
    def namespace(self) -> str | None:
        """The namespace in the form that kfp's client expects: None on a single-user server."""
        return self.access.namespace or None

    def link(self, path: str) -> str:
        """The URL of a page in the dashboard: `link("runs/details/4f2")`."""
        return f"{self.client._get_url_prefix().rstrip('/')}/#/{path}"

    @contextlib.contextmanager
    def calls(self) -> Iterator[kfp.Client]:
        """Yields the client; its errors become one-line errors, and its output is suppressed.

        Raises:
            ServerError: the server cannot be reached or rejects the request.
        """
        with (
            _one_line_errors(self.access),
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            yield self.client

    @contextlib.contextmanager
    def looking_up(self) -> Iterator[kfp.Client]:
        """Like `calls`, for objects that the command line names.

        Raises:
            UsageError: the server has no such object.
            ServerError: as for `calls`.
        """
        try:
            with self.calls() as client:
                yield client
        except ServerError as error:
            if error.status == 404 or _NO_EXPERIMENT in str(error):
                raise UsageError(str(error)) from error
            raise

    def get_text(self, path: str, **query: str) -> str:
        """Reads a text that kfp's client offers no method for, such as a log.

        Raises:
            ServerError: as for `calls`.
        """
        api = self.client._run_api.api_client
        headers = dict(api.default_headers)
        if api.cookie:
            headers["Cookie"] = api.cookie
        with _one_line_errors(self.access):
            api.update_params_for_auth(headers, [], ["Bearer"])
            response = api.rest_client.GET(
                api.configuration.host + path,
                headers=headers,
                query_params=[(key, value) for key, value in query.items() if value],
                _request_timeout=_TIMEOUT,
            )
        return str(response.data.decode("utf-8", errors="replace"))


class ServerError(PipelineError):
    """The server cannot be reached or rejects the request.

    Attributes:
        status: HTTP status, 0 if there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def connect(access: Access) -> Server:
    """Connects to a Kubeflow Pipelines server and checks that it grants access.

    Raises:
        UsageError: see `Access.check`; or the namespace for a multi-user server is missing.
        ServerError: there is no connection, the server is not Kubeflow Pipelines, or it rejects the token.
    """
    access.check()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "works with Kubeflow Pipeline v2 only", as intended
        import kfp

        health = _health(access)
        if health.get("multi_user") and not access.namespace:
            raise UsageError(
                f"{access.host} is a multi-user server: give --namespace, the namespace of your profile, or set "
                "KFP_NAMESPACE"
            )
        client = kfp.Client(
            host=access.host,
            namespace=access.namespace or "kubeflow",
            cookies=access.cookie or None,
            ssl_ca_cert=str(access.ca_cert) if access.ca_cert else None,
            credentials=access if access.current_token() else None,
        )
    return Server(access, client)


def _health(access: Access) -> dict[str, Any]:
    """Requests the server's health once; kfp's client would retry for half a minute and log each failure."""
    import kfp_server_api
    import urllib3

    config = kfp_server_api.Configuration(host=access.host.rstrip("/"))
    config.retries = urllib3.Retry(0)  # with False, urllib3 raises exceptions that kfp does not handle
    config.ssl_ca_cert = str(access.ca_cert) if access.ca_cert else None
    if access.current_token():
        config.api_key_prefix["authorization"] = "Bearer"
        config.refresh_api_key_hook = access.refresh_api_key_hook
        access.refresh_api_key_hook(config)
    api = kfp_server_api.ApiClient(config, cookie=access.cookie or None)
    with _one_line_errors(access):
        health = api.call_api(
            _HEALTH,
            "GET",
            header_params={"Accept": "application/json"},
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            _request_timeout=_TIMEOUT,
        )
    if not isinstance(health, dict):
        raise ServerError(
            f"{access.host}: the answer does not come from Kubeflow Pipelines, but perhaps from a login page; the "
            "dashboard's URL often ends in /pipeline, and KFP_TOKEN or KFP_COOKIE may be missing"
        )
    return health


@contextlib.contextmanager
def _one_line_errors(access: Access) -> Iterator[None]:
    import urllib3
    from kfp_server_api import ApiException

    try:
        yield
    except ApiException as error:
        reason = _refusal(access, error.status, _message(error))
        raise ServerError(f"{access.host}: {reason}", error.status) from error
    except urllib3.exceptions.HTTPError as error:
        raise ServerError(
            f"{access.host}: no connection ({_cause(error)}); check --host, and that the server is running"
        ) from error
    except ValueError as error:  # kfp's own checks
        raise ServerError(f"{access.host}: {_first_line(str(error))}") from error


def _refusal(access: Access, status: int, message: str) -> str:
    place = f" in namespace {access.namespace!r}" if access.namespace else ""
    if status == 401:
        return f"{_refused_token(access)} (401); get a new one and put it into KFP_TOKEN or --token-file"
    if status == 403:
        return f"no permission{place}, or no such namespace (403): {message}; check --namespace and the token's owner"
    if status == 404:
        return f"not found (404): {message}"
    return f"the server rejects the request ({status}): {message}"


def _refused_token(access: Access) -> str:
    token = access.current_token()
    if not token:
        return "the server requires a token"
    expired = _expired_at(token)
    return f"the token expired at {expired:%Y-%m-%d %H:%M} UTC" if expired else "the server rejects the token"


def _expired_at(token: str) -> datetime | None:
    """When the token expired, if it is a JSON Web Token that has expired, else None."""
    parts = token.split(".")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        end = datetime.fromtimestamp(json.loads(base64.urlsafe_b64decode(padded))["exp"], UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return end if end < datetime.now(UTC) else None


def _message(error: Any) -> str:
    """The server's message: its JSON has `message` or, from handlers outside of gRPC, `error_message`."""
    body = error.body or error.reason or ""
    text = body.decode("utf-8", errors="replace") if isinstance(body, bytes) else str(body)
    try:
        content = json.loads(text)
        text = content.get("message") or content.get("error_message") or content.get("error") or text
    except (ValueError, AttributeError):
        pass  # a proxy's page or plain text is shown unchanged
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _cause(error: Exception) -> str:
    """`Max retries exceeded ... [Errno 111] Connection refused -> [Errno 111] Connection refused`"""
    text = _first_line(str(getattr(error, "reason", None) or error))
    return text.partition("new connection: ")[2] or text


def _first_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
