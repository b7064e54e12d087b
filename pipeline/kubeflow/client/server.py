"""Access to a Kubeflow Pipelines server through kfp's own client, with errors in one line.

Host, namespace and token belong to a command, never to a config: they come from options or the environment.
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
_LONGEST = 300  # characters of a server's message: some carry a stack


@dataclass(frozen=True)
class Access:
    """How to reach a server.

    Attributes:
      host: URL of the API or of the dashboard in front of it, `https://kubeflow.example/pipeline`.
      namespace: of the user's profile; empty where the server has one user.
      token: bearer token, or empty.
      token_file: file with the token, read before every request, so that a renewed token is taken.
      cookie: `name=value` of a session, or empty.
      ca_cert: certificate of the server's authority.
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
          UsageError: no host or no URL, a file that cannot be read, or a token with white space in it.
        """
        if not self.host:
            raise UsageError(
                "no Kubeflow Pipelines host: give --host https://kubeflow.example/pipeline or set KFP_HOST "
                "(for a port forward, http://localhost:8888)"
            )
        if not self.host.startswith(("http://", "https://")):
            raise UsageError(f"--host {self.host!r}: write it with http:// or https://")
        if self.ca_cert is not None and not self.ca_cert.is_file():
            raise UsageError(f"--ca-cert {self.ca_cert}: no such file")
        self.current_token()

    def current_token(self) -> str:
        """Returns the token, empty for none.

        Raises:
          UsageError: the file cannot be read, or what is there is no token.
        """
        where, token = "KFP_TOKEN", self.token
        if self.token_file is not None:
            where = f"--token-file {self.token_file}"
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{where}: cannot be read: {_first_line(str(error))}") from None
            if not token:
                raise UsageError(f"{where}: it is empty; put the bearer token there")
        if not token.isascii() or any(c.isspace() for c in token):
            raise UsageError(
                f"{where}: a token has no white space in it; give the bare token, without 'Bearer'"
            )
        return token

    def refresh_api_key_hook(self, config: Any) -> None:
        """Puts the token into kfp's configuration; kfp calls it before every request."""
        config.api_key["authorization"] = self.current_token()


@dataclass(frozen=True)
class Server:
    """A server that answered, and kfp's client of it."""

    access: Access
    client: kfp.Client

    @property
    def namespace(self) -> str | None:
        """As kfp's client wants it: None where the server has one user."""
        return self.access.namespace or None

    def link(self, path: str) -> str:
        """`link("runs/details/4f2")`: its page in the dashboard."""
        return f"{self.client._get_url_prefix().rstrip('/')}/#/{path}"

    @contextlib.contextmanager
    def calls(self) -> Iterator[kfp.Client]:
        """The client; what it raises becomes one line, what it prints is swallowed.

        Raises:
          ServerError: the server cannot be reached or says no.
        """
        with _told(self.access), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield self.client

    @contextlib.contextmanager
    def looking_up(self) -> Iterator[kfp.Client]:
        """As `calls`, for what the command line names.

        Raises:
          UsageError: the server has no such thing.
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
        """Reads what is no part of kfp's client, such as logs.

        Raises:
          ServerError: as for `calls`.
        """
        api = self.client._run_api.api_client
        headers = dict(api.default_headers)
        if api.cookie:
            headers["Cookie"] = api.cookie
        with _told(self.access):
            api.update_params_for_auth(headers, [], ["Bearer"])
            response = api.rest_client.GET(
                api.configuration.host + path,
                headers=headers,
                query_params=[(key, value) for key, value in query.items() if value],
                _request_timeout=_TIMEOUT,
            )
        return str(response.data.decode("utf-8", errors="replace"))


class ServerError(PipelineError):
    """The server cannot be reached or says no.

    Attributes:
      status: HTTP status, 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def connect(access: Access) -> Server:
    """Makes sure that a Kubeflow Pipelines server answers and lets us in.

    Raises:
      UsageError: see `Access.check`; or no namespace for a server with many users.
      ServerError: no connection, no Kubeflow there, or the token is refused.
    """
    access.check()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # "works with Kubeflow Pipeline v2 only": it is meant to
        import kfp

        health = _health(access)
        if health.get("multi_user") and not access.namespace:
            raise UsageError(
                f"{access.host} has many users: give --namespace, the namespace of your profile, or set "
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
    """Asks once: kfp's client would try for half a minute and log each failure."""
    import kfp_server_api
    import urllib3

    config = kfp_server_api.Configuration(host=access.host.rstrip("/"))
    config.retries = urllib3.Retry(0)  # False would raise what kfp cannot handle
    config.ssl_ca_cert = str(access.ca_cert) if access.ca_cert else None
    if access.current_token():
        config.api_key_prefix["authorization"] = "Bearer"
        config.refresh_api_key_hook = access.refresh_api_key_hook
        access.refresh_api_key_hook(config)
    api = kfp_server_api.ApiClient(config, cookie=access.cookie or None)
    with _told(access):
        found = api.call_api(
            _HEALTH,
            "GET",
            header_params={"Accept": "application/json"},
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            _request_timeout=_TIMEOUT,
        )
    if not isinstance(found, dict):
        raise ServerError(
            f"{access.host}: what answers is not Kubeflow Pipelines, perhaps a login page; the dashboard's URL "
            "often ends in /pipeline, and KFP_TOKEN or KFP_COOKIE may be missing"
        )
    return found


@contextlib.contextmanager
def _told(access: Access) -> Iterator[None]:
    import urllib3
    from kfp_server_api import ApiException

    try:
        yield
    except ApiException as error:
        told = _refusal(access, error.status, _message(error))
        raise ServerError(f"{access.host}: {told}", error.status) from error
    except urllib3.exceptions.HTTPError as error:
        raise ServerError(
            f"{access.host}: no connection ({_cause(error)}); is --host right and the server up?"
        ) from error
    except ValueError as error:  # kfp's own checks
        raise ServerError(f"{access.host}: {_first_line(str(error))}") from error


def _refusal(access: Access, status: int, message: str) -> str:
    place = f"namespace {access.namespace!r}" if access.namespace else "there"
    if status == 401:
        return f"{_refused_token(access)} (401); get a new one and put it into KFP_TOKEN or --token-file"
    if status == 403:
        return f"no right in {place}, or no such namespace (403): {message}; check --namespace and whose token it is"
    if status == 404:
        return f"not found (404): {message}"
    return f"the server says no ({status}): {message}"


def _refused_token(access: Access) -> str:
    token = access.current_token()
    if not token:
        return "the server wants a token"
    expired = _expired_at(token)
    return f"the token expired at {expired:%Y-%m-%d %H:%M} UTC" if expired else "the server refuses the token"


def _expired_at(token: str) -> datetime | None:
    """When a JSON Web Token ended, if it is one and has."""
    parts = token.split(".")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        end = datetime.fromtimestamp(json.loads(base64.urlsafe_b64decode(padded))["exp"], UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return end if end < datetime.now(UTC) else None


def _message(error: Any) -> str:
    """What the server says: its JSON has `message` or, from handlers outside of gRPC, `error_message`."""
    body = error.body or error.reason or ""
    text = body.decode("utf-8", errors="replace") if isinstance(body, bytes) else str(body)
    try:
        told = json.loads(text)
        text = told.get("message") or told.get("error_message") or told.get("error") or text
    except (ValueError, AttributeError):
        pass  # a proxy's page or plain text: told as it is
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _cause(error: Exception) -> str:
    """`Max retries exceeded ... [Errno 111] Connection refused -> [Errno 111] Connection refused`"""
    text = _first_line(str(getattr(error, "reason", None) or error))
    return text.partition("new connection: ")[2] or text


def _first_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
