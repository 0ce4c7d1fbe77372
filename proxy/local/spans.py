"""Spans of requests for OpenTelemetry (`--traces-to URL`): one for each that took longer than
`--traces-slower-than`, from its arrival to the worker's reply.

They come from where the slow log does, so what is faster costs nothing; with 0 there is a span of every
request, and the proxy is some times slower. The protocol carries no context of a caller, so each is a trace
of its own. A span tells the command, the worker and the client, never a key or a value. Names
are those of OpenTelemetry's conventions for databases. Spans are sent in batches by a thread of the library,
and dropped where the collector does not keep up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from node.version import SHOAL_VERSION

PATIENCE = 2
"""Seconds for a batch to be sent, in all tries: no longer does the end of the proxy wait"""


class Spans:
    """`tracer`: of OpenTelemetry. `threshold`: microseconds. `end` is called in the end."""

    def __init__(self, tracer: Any, threshold: int, end: Callable[[], object]) -> None:
        from opentelemetry.trace import SpanKind

        self.threshold = threshold
        self._tracer = tracer
        self._kind = SpanKind.CLIENT
        self._end = end

    @classmethod
    def sent_to(cls, url: str, threshold: int) -> Spans:
        """Raises ImportError without `shoal[otel]`."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        whose = Resource.create({"service.name": "shoal-proxy", "service.version": SHOAL_VERSION})
        provider = TracerProvider(resource=whose, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=PATIENCE)))
        return cls(provider.get_tracer("shoal.proxy"), threshold, provider.shutdown)

    def note(self, command: str, worker: tuple[str, int], client: str, took: int) -> None:
        """A request was answered just now, after so many ns."""
        ended = time.time_ns()
        host, port = worker
        span = self._tracer.start_span(
            command.upper() or "?",
            kind=self._kind,
            start_time=ended - took,
            attributes={
                "db.system.name": "redis",
                "db.operation.name": command.upper() or "?",
                "server.address": host,
                "server.port": port,
                "client.address": client,
            },
        )
        span.end(end_time=ended)

    def close(self) -> None:
        """Send what has not been sent."""
        self._end()
