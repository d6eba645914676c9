"""Jobs and counts as JSON documents, for HTTP and for `--output json`. Keys are added, never renamed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from jobq.core.checkout import CheckedOut
from jobq.core.checkout_rows import is_checked_out
from jobq.core.history import History
from jobq.core.realm_settings import RealmSettings
from jobq.core.status import RealmStatus
from jobq.core.summary import Summary
from jobq.core.workers import CHECKOUT
from jobq.model.attempts import attempts_of
from jobq.model.counts import RUN_BOUNDS, Tally, WorkerView
from jobq.model.data import data_of
from jobq.model.durations import to_iso
from jobq.model.files import Manifest
from jobq.model.job import Attempt, Job, Progress, Pushed

Document = dict[str, Any]

MAX_FILES = 1000
"""Files of a job that an answer lists."""


def job_document(job: Job, progress: Progress | None = None) -> Document:
    """Times are ISO 8601 in UTC, durations seconds.

    Of the environment only the names: values may be secrets. Of a checkout not the token: it is its holder's.
    """
    spec = job.spec
    return {
        "id": job.id,
        "batch": job.batch,
        "state": job.state.value,
        "reason": job.reason.value if job.reason else None,
        "exit_code": job.exit_code,
        "message": job.message or None,
        "attempts": job.attempt,
        "tries": {reason.value: count for reason, count in job.tries.items()},
        "attempt_list": [attempt_document(attempt) for attempt in attempts_of(job)],
        "num_retries": spec.limits.retries,
        "backoff": str(spec.limits.backoff),
        "retry_on": list(spec.limits.retry_on),
        "no_retry_on": list(spec.limits.no_retry_on),
        "crash_limit": spec.limits.crashes,
        "max_preemptions": spec.limits.preemptions,
        "timeout": spec.limits.timeout.total_seconds() if spec.limits.timeout else None,
        "command": spec.command,
        "kwargs": dict(spec.kwargs) if spec.kwargs is not None else None,
        "env_names": sorted(spec.env),
        "bg_dirsync_to": spec.outputs or None,
        "tags": list(spec.tags),
        "lanes": list(spec.lanes),
        "files": spec.files or None,
        "cancel_requested": job.cancel_requested,
        "traceparent": spec.traceparent or None,
        "worker": "checkout" if is_checked_out(job) else job.worker or None,
        "seconds": job.seconds or None,
        "pushed_at": _time(job.pushed_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
        "due_at": _time(job.due_at),
        "progress": progress_document(progress) if progress else None,
        "output_tail": job.tail,
        "result": job.result,
        "is_result_in_blob": bool(job.result_blob),
    }


def attempt_document(attempt: Attempt) -> Document:
    return {
        "attempt": attempt.number,
        "started_at": _time(attempt.started_at),
        "ended_at": _time(attempt.ended_at),
        "seconds": attempt.seconds or None,
        "worker": "checkout" if attempt.worker.startswith(CHECKOUT) else attempt.worker or None,
        "reason": attempt.reason.value if attempt.reason else None,
        "exit_code": attempt.exit_code,
        "message": attempt.message or None,
    }


def progress_document(progress: Progress) -> Document:
    return {"fraction": progress.fraction, "text": progress.text}


def tally_document(tally: Tally) -> Document:
    return tally.as_json()


def status_document(realm: str, status: RealmStatus) -> Document:
    return {
        "realm": realm,
        **tally_document(status.realm),
        "workers": status.workers,
        "paused": list(status.paused),
        "lanes": {name: tally_document(tally) for name, tally in status.lanes.items()},
        "tags": {name: tally_document(tally) for name, tally in status.tags.items()},
        "batches": {name: tally_document(tally) for name, tally in status.batches.items()},
    }


def summary_document(realm: str, found: Summary) -> Document:
    """Rates are per minute, to three digits; `eta_seconds` the soonest and the latest, in whole seconds."""
    runs = found.realm.counts.ever.runs
    return {
        "realm": realm,
        "counts": tally_document(found.realm),
        "workers": found.workers,
        "slots": found.slots,
        "paused": list(found.paused),
        "lanes": [{"lane": lane, **tally_document(tally)} for lane, tally in found.lanes.items()],
        "tags": [{"tag": tag, **tally_document(tally)} for tag, tally in found.tags.items()],
        "more_tags": found.has_more_tags,
        "batches": [
            {
                "batch": batch.name,
                **tally_document(batch.tally),
                "preempted": batch.tally.counts.ever.preempted,
                "pushed_at": batch.since or None,
                "per_minute": _rate(batch.pace.per_minute),
                "eta_seconds": _span(batch.pace.eta),
            }
            for batch in found.batches
        ],
        "more_batches": found.has_more_batches,
        "failures": [{"error": key, "line": line, "jobs": jobs} for key, line, jobs in found.failures],
        "more_failures": found.has_more_failures,
        "durations": {
            "bounds": list(RUN_BOUNDS),
            "counts": [*runs, *(0,) * (len(RUN_BOUNDS) + 1 - len(runs))],
        },
        "per_minute": {name: _rate(found) for name, found in found.per_minute.items()},
        "eta_seconds": _span(found.eta),
    }


def history_document(realm: str, found: History) -> Document:
    return {
        "realm": realm,
        "step": found.step_seconds,
        "points": [{"at": to_iso(point.at), **asdict(point.numbers)} for point in found.points],
    }


def files_document(manifest: Manifest) -> Document:
    """The first MAX_FILES of its files, by path."""
    paths = sorted(manifest.files)
    shown = ((path, manifest.files[path]) for path in paths[:MAX_FILES])
    return {
        "files": [{"path": path, "size": file.size, "executable": file.is_executable} for path, file in shown],
        "total": len(paths),
    }


def pushed_document(pushed: Pushed) -> Document:
    document: Document = {"id": pushed.id, "status": pushed.status.value, "state": pushed.state.value}
    return document | ({"error": pushed.error} if pushed.error else {})


def worker_document(worker: WorkerView) -> Document:
    return {
        "id": worker.id,
        "host": worker.host,
        "slots": worker.slots,
        "labels": dict(worker.labels),
        "cpu": worker.machine.get("cpu"),
        "memory": worker.machine.get("memory"),
        "gpus": [{"name": gpu.name, "use": gpu.use, "memory": gpu.memory} for gpu in worker.gpus],
        "image": worker.image or None,
        "draining": worker.is_draining,
        "running": list(worker.running),
        "progress": {job_id: progress_document(progress) for job_id, progress in worker.progress.items()},
        "beat_at": _time(worker.beat_at),
        "expires_at": _time(worker.expires_at),
    }


def checked_out_document(held: CheckedOut, now: datetime) -> Document:
    """All that its caller needs to run it, the values of its environment among that."""
    spec = held.job.spec
    return {
        "realm": held.realm,
        "id": held.job.id,
        "token": held.token,
        "lane": held.lane,
        "command": spec.command,
        "kwargs": dict(spec.kwargs) if spec.kwargs is not None else None,
        "data": data_of(spec.command, spec.kwargs),
        "env": dict(spec.env),
        "files": spec.files or None,
        "tags": list(spec.tags),
        "attempt": held.job.attempt,
        "timeout": spec.limits.timeout.total_seconds() if spec.limits.timeout else None,
        "cancel_requested": held.job.cancel_requested,
        "lease": held.lease.total_seconds(),
        "expires_at": to_iso(now + held.lease),
    }


def settings_document(realm: str, settings: RealmSettings) -> Document:
    return {
        "realm": realm,
        "lanes": list(settings.lanes),
        "lease": settings.lease.total_seconds() if settings.lease else None,
        "lane_leases": {lane: lease.total_seconds() for lane, lease in settings.lane_leases.items()},
        "paused": list(settings.paused),
        "created_at": _time(settings.created_at),
        "deleting": settings.is_deleting,
    }


def _rate(per_minute: float | None) -> float | None:
    return None if per_minute is None else round(per_minute, 3)


def _span(span: tuple[timedelta, timedelta] | None) -> list[int] | None:
    return [round(end.total_seconds()) for end in span] if span else None


def _time(moment: datetime | None) -> str | None:
    return to_iso(moment) if moment else None
