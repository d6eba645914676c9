"""What is told of pushes and attempts to whoever watches: a port, and the silence that is its default."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from jobq import __version__
from jobq.model.job import Job, Outcome
from jobq.settings import TelemetrySettings

logger = logging.getLogger(__name__)


class PushSpan(Protocol):
    """A push, for as long as the block lasts; an error that leaves the block is the push's end."""

    traceparent: str
    """What its jobs carry, so that their attempts continue the trace; empty where nobody traces."""

    def answered(self, results: Sequence[dict[str, Any]]) -> None:
        """What became of some of its jobs: `status` of each."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class AttemptSpan(Protocol):
    """An attempt at a job. One that nothing is said of by the end of the block was not started."""

    traceparent: str
    """What the job's process finds in its environment."""

    def ended(self, outcome: Outcome, after: Job | None) -> None:
        """It is recorded. `after`: the job as it is then; None if it is gone, or another worker's."""
        ...

    def left(self) -> None:
        """The lease was lost, or nobody can tell how it ended: who takes the job over counts the loss."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WorkerTelemetry(Protocol):
    """What one worker tells."""

    def attempt(self, job: Job) -> AttemptSpan:
        """Of a job that is claimed."""
        ...

    def lost(self, before: Job, after: Job) -> None:
        """Another worker's attempt at `before` was found lost, by which the job is `after` now."""
        ...


class Telemetry(Protocol):
    """Nothing here raises, waits for an endpoint, or says what a job's command, arguments, environment or output is."""

    def push(self, realm: str, batch: str) -> PushSpan: ...

    def worker(
        self, realm: str, worker: str, *, slots: Callable[[], int], running: Callable[[], int]
    ) -> WorkerTelemetry:
        """`slots`, `running`: asked now and then, from another thread."""
        ...

    def close(self) -> None:
        """Send what is left, for a few seconds at most. Blocks."""
        ...


class _Nothing:
    """Every span, when nobody watches."""

    traceparent = ""

    def answered(self, results: Sequence[dict[str, Any]]) -> None: ...

    def ended(self, outcome: Outcome, after: Job | None) -> None: ...

    def left(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_NOTHING = _Nothing()


class Silence:
    """Telemetry, and a worker's, that is switched off."""

    def push(self, realm: str, batch: str) -> PushSpan:
        return _NOTHING

    def worker(
        self, realm: str, worker: str, *, slots: Callable[[], int], running: Callable[[], int]
    ) -> WorkerTelemetry:
        return self

    def attempt(self, job: Job) -> AttemptSpan:
        return _NOTHING

    def lost(self, before: Job, after: Job) -> None: ...

    def close(self) -> None: ...


SILENCE = Silence()


def open_telemetry(settings: TelemetrySettings) -> Telemetry:
    """As the environment asks; silence, and a line in the log that says why, where that cannot be.

    The caller closes it. Loads OpenTelemetry only where it is asked for.
    """
    if not settings.is_on:
        return SILENCE
    try:
        from jobq.adapters.otel import OpenTelemetry
        from jobq.adapters.otel_export import open_providers
    except ImportError as error:
        logger.warning(
            "spans and metrics are asked for, and their libraries are missing: pip install 'jobq[telemetry]' (%s); "
            "going on without",
            error,
        )
        return SILENCE
    if settings.otlp_protocol == "grpc" and (settings.otlp_traces or settings.otlp_metrics):
        logger.warning("OTEL_EXPORTER_OTLP_PROTOCOL is grpc: OTLP goes over HTTP here, to port 4318 as a rule")
    try:
        providers = open_providers(
            otlp_traces=settings.otlp_traces,
            otlp_metrics=settings.otlp_metrics,
            connection_string=settings.connection_string,
            version=__version__,
        )
    except Exception as error:  # whatever a variable makes the libraries raise: work goes on
        # Its words may quote a variable that holds a key.
        logger.warning(
            "spans and metrics cannot be sent (%s): see that the variables OTEL_… and "
            "APPLICATIONINSIGHTS_CONNECTION_STRING are right; going on without",
            type(error).__name__,
        )
        return SILENCE
    return OpenTelemetry(providers, settings.traceparent)
