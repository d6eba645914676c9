"""A job's document as people read it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from jobq.cli.ages import age
from jobq.cli.output import answer, printable
from jobq.cli.waiting import how_it_ended
from jobq.model.durations import show_duration
from jobq.reading import seconds_out

if TYPE_CHECKING:
    from jobq.core.documents import Document


def describe(job: Document) -> None:
    """A line for each fact that there is, then the last lines of output."""
    facts = [(name, value) for name, value in _facts(job) if value]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        first, *others = printable(str(value)).split("\n")
        answer(f"{name.ljust(width)}  {first}")
        for line in others:
            answer(" " * (width + 2) + line)
    if job["output_tail"]:
        answer("\n" + printable(job["output_tail"]).rstrip("\n"))


def describe_argument(job: Document) -> None:
    """A job that was added by its text: tags, lanes, and for how long somebody has it."""
    answer(f"Status of argument {printable(job['command'])}: {how_it_ended(job)}")
    answer(f"Tagged with: {', '.join(job['tags'])}")
    answer("lane | (s) since checkout")
    seconds = seconds_out(job)
    since = "-" if seconds is None else f"{seconds:.2f}"
    for lane in job["lanes"]:
        answer(f"{lane.rjust(4)} | {since}")


def _facts(job: Document) -> list[tuple[str, str | None]]:
    return [
        ("id", job["id"]),
        ("state", how_it_ended(job) + (", cancel requested" if job["cancel_requested"] else "")),
        ("command", job["command"]),
        ("arguments", None if job["kwargs"] is None else json.dumps(job["kwargs"], ensure_ascii=False)),
        ("batch", job["batch"]),
        ("tags", ", ".join(job["tags"])),
        ("lanes", ", ".join(job["lanes"])),
        ("files", job["files"]),
        ("outputs", job["bg_dirsync_to"]),
        ("env", ", ".join(job["env_names"])),
        ("attempts", _attempts(job)),
        ("retries", _retries(job)),
        ("timeout", show_duration(timedelta(seconds=job["timeout"])) if job["timeout"] else None),
        ("message", job["message"]),
        ("progress", progress(job)),
        ("worker", job["worker"]),
        ("took", show_duration(timedelta(seconds=job["seconds"])) if job["seconds"] else None),
        *((name, _moment(job[f"{name}_at"])) for name in ("pushed", "started", "ended", "due")),
        ("trace", job["traceparent"] and job["traceparent"].split("-")[1]),
        ("result", None if job["result"] is None else json.dumps(job["result"], ensure_ascii=False)),
    ]


def _attempts(job: Document) -> str:
    """How many, and how they ended; where there were several, a line for each that is remembered."""
    tries = ", ".join(f"{count} {reason}" for reason, count in job["tries"].items())
    lines, last = [f"{job['attempts']}" + (f" ({tries})" if tries else "")], 0
    told = job.get("attempt_list", [])
    for attempt in told if len(told) > 1 or job["attempts"] > 1 else []:
        if attempt["attempt"] > last + 1:
            lines.append("…")
        lines.append(_attempt(attempt))
        last = attempt["attempt"]
    return "\n".join(lines)


def _attempt(attempt: Document) -> str:
    """`2: exit 3 after 1.5s on w-1, 2026-11-21T22:05:01.250Z (3m ago): no such file`."""
    worker = f" on {attempt['worker']}" if attempt["worker"] else ""
    if not attempt["ended_at"]:
        return f"{attempt['attempt']}: running{worker} since {_moment(attempt['started_at'])}"
    code = f" {attempt['exit_code']}" if attempt["exit_code"] else ""
    took = f" after {show_duration(timedelta(seconds=attempt['seconds']))}" if attempt["seconds"] else ""
    why = f": {attempt['message']}" if attempt["message"] else ""
    return f"{attempt['attempt']}: {attempt['reason'] or 'ok'}{code}{took}{worker}, {_moment(attempt['ended_at'])}{why}"


def _retries(job: Document) -> str | None:
    """`3, 30s..3600s apart, only after oom, not after exit:2`."""
    if not job["num_retries"]:
        return None
    only, never = ", ".join(job["retry_on"]), ", ".join(job["no_retry_on"])
    more = [f"{job['backoff']} apart", only and f"only after {only}", never and f"not after {never}"]
    return ", ".join([str(job["num_retries"]), *filter(None, more)])


def progress(job: Document) -> str | None:
    """`40 % epoch 12`, of a running job that tells."""
    if (told := job["progress"]) is None:
        return None
    done = "" if told["fraction"] is None else f"{told['fraction']:.0%}".replace("%", " %")
    return " ".join(filter(None, (done, told["text"])))


def state_line(job: Document) -> str:
    """`running, 40 % epoch 12`."""
    return ", ".join(filter(None, (job["state"], progress(job))))


def _moment(text: str | None) -> str | None:
    return f"{text} ({age(text)})" if text else None
