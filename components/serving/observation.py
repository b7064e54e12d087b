"""Observability: Prometheus metrics and one JSON log line per request, which never contains its texts."""

from __future__ import annotations

import contextvars
import json
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from components.serving.board import Place

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_ANSWERED_OR_BUSY = (200, "OK", 503, "UNAVAILABLE")

# Facts about the current request that the handlers add: version, rows, signature.
_facts: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("request_facts", default=None)


def note(**facts: Any) -> None:
    """Adds facts to the log line of the current request."""
    known = _facts.get()
    if known is not None:
        known.update(facts)


def note_answer(version: int, signature: str, tensors: Mapping[str, Any]) -> None:
    """Notes version, signature and rows of an answer."""
    note(version=version, signature=signature, rows=len(next(iter(tensors.values()))))


# A value quoted in Python's form; if the message was shortened, up to its end.
_QUOTED = re.compile(r"""(?s)(?<!\w)(?:'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$))""")


class Observer:
    """Metrics and access log of one server.

    Args:
        registry: where the metrics are registered.
        place: set if this process is one of several workers, each of which shows the metrics of all.
        out: stream for the JSON lines; None: no log.
    """

    def __init__(
        self, registry: CollectorRegistry, place: Place | None = None, out: TextIO | None = sys.stdout
    ) -> None:
        self._registry, self._place, self._out = registry, place, out
        # Called for every request that fails through the client's fault.
        self.on_refusal: Callable[[], None] = lambda: None
        self.requests = Counter("serving_requests", "Requests", ["protocol", "code"], registry=registry)
        self.seconds = Histogram(
            "serving_request_seconds", "Time to answer", ["protocol"], buckets=_SECONDS, registry=registry
        )
        self.rows = Histogram("serving_request_rows", "Rows of a request", buckets=_ROWS, registry=registry)
        self.waiting = Gauge(
            "serving_waiting_requests",
            "Requests in work or waiting",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.version = Gauge(
            "serving_model_version",
            "The version that answers, of several workers the lowest; 0: none",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.loads = Counter(
            "serving_model_loads", "Versions loaded or failed", ["result"], registry=registry
        )

    def shown(self) -> CollectorRegistry:
        """The registry that /metrics shows."""
        if self._place is None:
            return self._registry
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all, self._place.metrics)
        return of_all

    def loaded(self, version: int, worked: bool) -> None:
        """Counts an attempt to load a version."""
        self.loads.labels("loaded" if worked else "failed").inc()
        if worked:
            self.version.set(version)

    def refused(self, status: int) -> None:
        """Counts a REST request that was rejected before its headers were complete, and so cannot be logged."""
        self.requests.labels("rest", str(status)).inc()
        self.on_refusal()

    def begin(self, protocol: str, method: str, request_id: str | None) -> RequestLog:
        """Starts the clock of a request; makes an id unless the client sent one that can be logged."""
        usable = request_id is not None and 0 < len(request_id) <= 128 and request_id.isprintable()
        facts: dict[str, Any] = {
            "id": request_id if usable else uuid.uuid4().hex,
            "protocol": protocol,
            "method": method[:300],
        }
        if self._place is not None:
            facts["worker"] = self._place.worker
        _facts.set(facts)
        return RequestLog(self, facts)

    def write(self, facts: dict[str, Any]) -> None:
        """Writes one line of the access log, without values quoted in errors, which may be a client's text."""
        if "error" in facts:
            facts = facts | {"error": _QUOTED.sub("'...'", facts["error"])}
        if self._out is not None:
            self._out.write(json.dumps(facts) + "\n")
            self._out.flush()


class RequestLog:
    """One request, from its first byte to its answer."""

    def __init__(self, observer: Observer, facts: dict[str, Any]) -> None:
        self._observer, self.facts, self._started = observer, facts, time.perf_counter()

    @property
    def id(self) -> str:
        """The id in the answer's X-Request-Id header."""
        return str(self.facts["id"])

    def end(self, code: int | str) -> None:
        """Logs and counts the request; `code` is an HTTP status or the name of a gRPC status."""
        seconds = time.perf_counter() - self._started
        protocol = self.facts["protocol"]
        self._observer.requests.labels(protocol, str(code)).inc()
        self._observer.seconds.labels(protocol).observe(seconds)
        if code not in _ANSWERED_OR_BUSY:
            self._observer.on_refusal()
        if "rows" in self.facts:
            self._observer.rows.observe(self.facts["rows"])
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._observer.write({"time": now, **self.facts, "code": code, "ms": round(seconds * 1000, 3)})
