"""How jobs are written in the table: row keys, and a job as columns. Columns with their default are left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobq.core.ports import Row, Value, Values
from jobq.model.attempts import attempts_from_json, attempts_to_json
from jobq.model.counts import Counts, Ever
from jobq.model.durations import from_iso, to_iso
from jobq.model.fingerprint import error_of
from jobq.model.job import Job, JobState, Reason, Spec
from jobq.model.names import DEFAULT_LANE, key_part, shard_of
from jobq.model.wire import dumps, env_from_json, limits_from_json, limits_to_json, payload_to_json

REALMS = "realms"
"""The partition with one row per realm."""

INLINE_BYTES = 30_000
"""A payload or result over this goes to a blob: a text column takes 32 Ki UTF-16 units. Their JSON is ASCII."""


def partition(realm: str, shard: int) -> str:
    return f"{realm}~{shard}"


def partition_of(realm: str, job_id: str) -> str:
    return partition(realm, shard_of(job_id))


def workers_partition(realm: str) -> str:
    return f"{realm}~workers"


def history_partition(realm: str) -> str:
    return f"{realm}~history"


def job_key(job_id: str) -> str:
    return f"job~{key_part(job_id)}"


def member_key(label: str, job_id: str) -> str:
    return f"tag~{label}~{key_part(job_id)}"


def failed_key(label: str, job_id: str) -> str:
    return f"failed~{label}~{key_part(job_id)}"


def count_key(label: str, writer: str) -> str:
    return f"count~{label}~{writer}"


# A label names what jobs are counted under; its first letter says which kind it is.
REALM_LABEL = "r"


def tag_label(tag: str) -> str:
    return "t" + key_part(tag)


def batch_label(batch: str) -> str:
    return "b" + key_part(batch)


def lane_label(lane: str) -> str:
    return "l" + lane


def error_label(key: str) -> str:
    return "e" + key


def label_of(counter_key: str) -> str:
    return counter_key.split("~")[1]


def position_of(label: str) -> str:
    """What the keys of its counter rows begin with: labels are stored in the order of this."""
    return f"count~{label}~"


def named_labels(job: Job) -> dict[str, str]:
    """Every label of the job, and what people call it. A failed one is counted under its error as well."""
    error = error_of(job)
    return {
        REALM_LABEL: "",
        batch_label(job.batch): job.batch,
        **{tag_label(tag): tag for tag in job.spec.tags},
        **{lane_label(lane): lane for lane in job.spec.lanes},
        **({error_label(error.key): error.line} if error else {}),
    }


def member_labels(job: Job) -> set[str]:
    """The labels whose jobs are listed by rows. A batch's jobs are found by their ids where those say so."""
    labels = {tag_label(tag) for tag in job.spec.tags}
    return labels if job.id.startswith(f"{job.batch}-") else labels | {batch_label(job.batch)}


def failed_labels(job: Job) -> set[str]:
    return {REALM_LABEL, batch_label(job.batch), *(tag_label(tag) for tag in job.spec.tags)}


def values_of(job: Job) -> dict[str, Value]:
    """The job's columns. With `payload_blob` set, command, arguments and environment are not among them."""
    spec = job.spec
    values: dict[str, Value | None] = {
        "id": job.id,
        "batch": job.batch,
        "state": job.state.value,
        "generation": job.generation,
        "claim": job.claim,
        "message_id": job.message_id,
        "delivery": job.delivery,
        "next_ticket": job.next_ticket,
        "push": job.push,
        "attempt": job.attempt,
        "tries": dumps({reason.value: count for reason, count in job.tries.items()}) if job.tries else "",
        "past": attempts_to_json(job.past),
        "cancel": job.cancel_requested,
        "remove": job.remove_requested,
        "payload": "" if job.payload_blob else dumps(payload_to_json(spec)),
        "payload_blob": job.payload_blob,
        "tags": dumps(list(spec.tags)) if spec.tags else "",
        "lanes": dumps(list(spec.lanes)) if spec.lanes != (DEFAULT_LANE,) else "",
        "files": spec.files,
        "limits": dumps(limits) if (limits := limits_to_json(spec.limits)) else "",
        "traceparent": spec.traceparent,
        "worker": job.worker,
        "reason": job.reason.value if job.reason else "",
        "exit_code": "" if job.exit_code is None else str(job.exit_code),
        "message": job.message,
        "tail": job.tail,
        "result": "" if job.result is None or job.result_blob else dumps(job.result),
        "result_blob": job.result_blob,
        "log": job.log,
        "seconds": float(job.seconds),
        "pushed_at": _time(job.pushed_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
        "due_at": _time(job.due_at),
    }
    return {name: value for name, value in values.items() if value}


def values_of_counts(counts: Counts, at: datetime) -> dict[str, Value]:
    """A counter row's columns, less its name and `since`: totals, and when they last changed.

    Columns that only go up are left out while they are zero.
    """
    ever = counts.ever
    rising: dict[str, Value] = {
        "ever_failed": ever.failed,
        "preempted": ever.preempted,
        "lost": ever.lost,
        "runs": ",".join(map(str, ever.runs)),
    }
    return {
        "total": counts.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        **{column: value for column, value in rising.items() if value},
        "at": to_iso(at),
    }


def named_since(name: str, since: str) -> dict[str, Value]:
    """What a new counter row has beside its totals: what people call the label, and since when it is counted."""
    return {column: text for column, text in (("name", name), ("since", since)) if text}


def counts_of(row: Row) -> Counts:
    """The totals in a counter row."""
    number, runs = _numbers(row), str(row.values.get("runs", ""))
    ever = Ever(
        failed=number("ever_failed"),
        preempted=number("preempted"),
        lost=number("lost"),
        runs=tuple(map(int, runs.split(","))) if runs else (),
    )
    return Counts(number("total"), number("succeeded"), number("failed"), number("cancelled"), ever)


def _numbers(row: Row) -> Callable[[str], int]:
    return lambda column: int(row.values.get(column, 0))


def changed_values(before: Values, after: Values) -> dict[str, Value]:
    """What a merge has to write; a column that is gone is set to its type's empty value."""
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    return changed | {name: type(value)() for name, value in before.items() if name not in after}


def job_of(row: Row) -> Job:
    """The job in a row. Where the payload is in a blob, `spec` has neither command nor arguments yet."""
    get = row.values.get
    payload = _json(get("payload")) or {}
    spec = Spec(
        command=payload.get("cmd"),
        kwargs=payload.get("kwargs"),
        env=env_from_json(payload.get("env", {})),
        outputs=str(payload.get("bg_dirsync_to", "")),
        tags=tuple(_json(get("tags")) or ()),
        lanes=tuple(_json(get("lanes")) or (DEFAULT_LANE,)),
        limits=limits_from_json(_json(get("limits")) or {}),
        traceparent=str(get("traceparent", "")),
        files=str(get("files", "")),
    )
    return Job(
        id=str(row.values["id"]),
        batch=str(get("batch", "")),
        spec=spec,
        etag=row.etag,
        state=JobState(str(row.values["state"])),
        generation=int(get("generation", 0)),
        claim=str(get("claim", "")),
        message_id=str(get("message_id", "")),
        delivery=int(get("delivery", 0)),
        next_ticket=str(get("next_ticket", "")),
        push=str(get("push", "")),
        attempt=int(get("attempt", 0)),
        tries={Reason(reason): count for reason, count in (_json(get("tries")) or {}).items()},
        past=attempts_from_json(_json(get("past")) or ()),
        cancel_requested=bool(get("cancel", False)),
        remove_requested=bool(get("remove", False)),
        payload_blob=str(get("payload_blob", "")),
        worker=str(get("worker", "")),
        reason=Reason(str(reason)) if (reason := get("reason")) else None,
        exit_code=int(code) if (code := get("exit_code")) not in (None, "") else None,
        message=str(get("message", "")),
        tail=str(get("tail", "")),
        result=_json(get("result")),
        result_blob=str(get("result_blob", "")),
        log=str(get("log", "")),
        seconds=float(get("seconds", 0.0)),
        pushed_at=_moment(get("pushed_at")),
        started_at=_moment(get("started_at")),
        ended_at=_moment(get("ended_at")),
        due_at=_moment(get("due_at")),
    )


def _time(moment: datetime | None) -> str:
    return to_iso(moment) if moment else ""


def _moment(text: Value | None) -> datetime | None:
    return from_iso(str(text)) if text else None


def _json(text: Value | None) -> Any:
    return json.loads(str(text)) if text else None
