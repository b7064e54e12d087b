"""What the server tells about itself: Prometheus metrics and one JSON line a request (never its texts)."""

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

# What the handlers find out about the request in work: version, rows, signature.
_facts: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("request_facts", default=None)


def note(**facts: Any) -> None:
    """Adds facts to the log line of the request in work."""
    known = _facts.get()
    if known is not None:
        known.update(facts)


def note_answer(version: int, signature: str, tensors: Mapping[str, Any]) -> None:
    """Notes what answered: the version, its signature and the rows."""
    note(version=version, signature=signature, rows=len(next(iter(tensors.values()))))


# What a message quotes as Python does; up to its end where the message was cut.
_QUOTED = re.compile(r"""(?s)(?<!\w)(?:'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$))""")


class Observer:
    """Metrics and access log of one server.

    Args:
        registry: where the metrics are registered.
        place: of this process, where it is one of several workers: they show the metrics of all.
        out: where the JSON lines go; None: nowhere.
    """

    def __init__(
        self, registry: CollectorRegistry, place: Place | None = None, out: TextIO | None = sys.stdout
    ) -> None:
        self._registry, self._place, self._out = registry, place, out
        # Called for every request that is the client's error.
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
        """What /metrics shows."""
        if self._place is None:
            return self._registry
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all, self._place.metrics)
        return of_all

    def loaded(self, version: int, worked: bool) -> None:
        """Counts a version that was loaded, or was not."""
        self.loads.labels("loaded" if worked else "failed").inc()
        if worked:
            self.version.set(version)

    def refused(self, status: int) -> None:
        """Counts a REST request that was refused before its headers were whole; there is nothing to log."""
        self.requests.labels("rest", str(status)).inc()
        self.on_refusal()

    def begin(self, protocol: str, method: str, request_id: str | None) -> RequestLog:
        """Starts the clock of one request; the id is made when the client sent none that can be logged."""
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
        """One line of the access log, without the values that an error quotes: those may be a client's text."""
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
        """What the answer carries as X-Request-Id."""
        return str(self.facts["id"])

    def end(self, code: int | str) -> None:
        """Logs and counts it; `code` is an HTTP status or the name of a gRPC one."""
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
