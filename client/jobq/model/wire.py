"""A job's spec as JSON: the one form that tickets, payload blobs and HTTP share.

    {"cmd": "python fit.py", "env": {"SEED": "1"}, "tags": ["exp7"], "lanes": ["0"],
     "num_retries": 2, "crash_limit": 3, "max_preemptions": 1000, "timeout": 3600.0, "traceparent": "00-…"}

`kwargs` (an object) stands in place of `cmd` for Python callables. Only `cmd` or `kwargs` must be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from jobq.errors import BadInput
from jobq.model.durations import parse_duration
from jobq.model.job import DEFAULT_LIMITS, Json, Limits, Spec
from jobq.model.names import DEFAULT_LANE, MAX_LANES, MAX_TAGS, content_name, lane_name, tag_name
from jobq.model.outputs import output_target
from jobq.model.retry import MAX_CAUSES, Backoff, cause
from jobq.model.trace import traceparent

MAX_SPEC_BYTES = 4_000_000
MAX_RESULT_BYTES = 16 * 1024 * 1024
MAX_RETRIES = 10_000
_YEAR = timedelta(days=366)
MAX_DEPTH = 100
"""Of lists and objects in arguments and results; Python's JSON ends at some hundreds, by the depth of the caller."""


def dumps(value: Json | Mapping[str, Any]) -> str:
    """Compact JSON in ASCII: it survives XML, tables and terminals."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def checked_json(value: Any) -> str:
    """The value as JSON that can be stored, read back and shown. Raises BadInput for what cannot."""
    if not _is_flat(value):
        raise BadInput(f"it is nested over {MAX_DEPTH} deep; put the data in a file or blob")
    try:
        text = dumps(value)
        if "\\ud" in text:  # half of a surrogate pair is JSON, but no text that a shell or a page can be given
            json.dumps(value, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"it cannot be written as JSON ({error})") from error
    return text


def _is_flat(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for outer in level for child in _children(outer)]
        if not level:
            return True
    return False


def _children(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()


def loads_object(text: str | bytes) -> dict[str, Any]:
    """Raises BadInput for what is not a JSON object, naming the column."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BadInput(f"not valid JSON (column {error.colno}: {error.msg})") from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadInput(f"not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise BadInput(f"a JSON {type(value).__name__} where an object is expected")
    return value


def payload_to_json(spec: Spec) -> dict[str, Any]:
    """What may be large: command or arguments, environment, and where the outputs go."""
    what: dict[str, Any] = {"cmd": spec.command} if spec.command is not None else {"kwargs": dict(spec.kwargs or {})}
    what |= {"env": dict(spec.env)} if spec.env else {}
    return what | ({"bg_dirsync_to": spec.outputs} if spec.outputs else {})


def sameness(spec: Spec) -> tuple[str, str]:
    """Equal for jobs that run the same, with the same, to the same place. Files are known by their digest."""
    return json.dumps(payload_to_json(spec), sort_keys=True), spec.files.partition("-")[2]


def limits_to_json(limits: Limits) -> dict[str, Any]:
    """Only what differs from the default."""
    out: dict[str, Any] = {}
    if limits.retries:
        out["num_retries"] = limits.retries
    if limits.crashes != DEFAULT_LIMITS.crashes:
        out["crash_limit"] = limits.crashes
    if limits.preemptions != DEFAULT_LIMITS.preemptions:
        out["max_preemptions"] = limits.preemptions
    if limits.timeout is not None:
        out["timeout"] = limits.timeout.total_seconds()
    if limits.backoff != DEFAULT_LIMITS.backoff:
        out["backoff"] = str(limits.backoff)
    if limits.retry_on:
        out["retry_on"] = list(limits.retry_on)
    if limits.no_retry_on:
        out["no_retry_on"] = list(limits.no_retry_on)
    return out


def spec_to_json(spec: Spec) -> dict[str, Any]:
    out = payload_to_json(spec) | limits_to_json(spec.limits)
    if spec.tags:
        out["tags"] = list(spec.tags)
    if spec.lanes != (DEFAULT_LANE,):
        out["lanes"] = list(spec.lanes)
    if spec.traceparent:
        out["traceparent"] = spec.traceparent
    if spec.files:
        out["files"] = spec.files
    return out


def limits_from_json(data: Mapping[str, Any]) -> Limits:
    return Limits(
        retries=_whole(data, "num_retries", DEFAULT_LIMITS.retries),
        crashes=_whole(data, "crash_limit", DEFAULT_LIMITS.crashes),
        preemptions=_whole(data, "max_preemptions", DEFAULT_LIMITS.preemptions),
        timeout=_timeout(data.get("timeout")),
        backoff=_backoff(data.get("backoff")),
        retry_on=_names(data, "retry_on", cause, MAX_CAUSES),
        no_retry_on=_names(data, "no_retry_on", cause, MAX_CAUSES),
    )


_KEYS = frozenset(
    {"cmd", "kwargs", "env", "tags", "lanes", "lane", "num_retries", "crash_limit", "max_preemptions", "timeout"}
    | {"bg_dirsync_to", "backoff", "retry_on", "no_retry_on", "files", "traceparent"}
)


def spec_from_json(data: Mapping[str, Any], *, also: frozenset[str] = frozenset()) -> Spec:
    """The spec, checked value by value. Raises BadInput for a wrong value, and for an unknown key not in `also`."""
    for key in data:
        if key not in _KEYS and key not in also:
            raise BadInput(f"unknown key {key!r}; known are {', '.join(sorted(_KEYS | also))}")
    command, kwargs = data.get("cmd"), data.get("kwargs")
    if (command is None) == (kwargs is None):
        raise BadInput("a job has either 'cmd' (a shell command) or 'kwargs' (arguments for a Python callable)")
    if command is not None and (not isinstance(command, str) or not command.strip() or "\0" in command):
        raise BadInput("'cmd' must be a text that is not empty and has no NUL")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise BadInput("'kwargs' must be an object")
    return Spec(
        command=command,
        kwargs=kwargs,
        env=env_from_json(data.get("env", {})),
        tags=_names(data, "tags", tag_name, MAX_TAGS),
        lanes=_lanes(data),
        limits=limits_from_json(data),
        outputs=outputs_from_json(data),
        traceparent=traceparent(data["traceparent"]) if data.get("traceparent") is not None else "",
        files=_files(data.get("files", "")),
    )


def outputs_from_json(data: Mapping[str, Any]) -> str:
    target = data.get("bg_dirsync_to")
    return output_target(target) if target is not None else ""


def env_from_json(data: object) -> dict[str, str]:
    """A text for each name. Numbers are taken as their text; anything else is refused."""
    if not isinstance(data, dict):
        raise BadInput("'env' must be an object of texts")
    env = {}
    for name, value in data.items():
        if not name or "=" in name or "\0" in name:
            raise BadInput(f"{name!r} is not the name of an environment variable")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or "\0" in str(value):
            raise BadInput(f"the value of {name!r} in 'env' must be a text")
        env[name] = str(value)
    return env


def _lanes(data: Mapping[str, Any]) -> tuple[str, ...]:
    if "lane" in data and "lanes" in data:
        raise BadInput("'lane' and 'lanes' are both given")
    given = {"lanes": [data["lane"]]} if "lane" in data else data
    return _names(given, "lanes", lane_name, MAX_LANES) or (DEFAULT_LANE,)


def _names(data: Mapping[str, Any], key: str, check: Callable[[str], str], most: int) -> tuple[str, ...]:
    values = data.get(key, [])
    if not isinstance(values, (list, tuple)) or any(
        isinstance(v, bool) or not isinstance(v, (str, int)) for v in values
    ):
        raise BadInput(f"{key!r} must be a list of texts")
    names = tuple(dict.fromkeys(check(str(value)) for value in values))
    if len(names) > most:
        raise BadInput(f"{len(names)} {key} are too many: a job has at most {most}")
    return names


def _files(value: object) -> str:
    if not isinstance(value, str):
        raise BadInput("'files' must be a text: the name under which a manifest of files is stored")
    return content_name(value) if value else ""


def _whole(data: Mapping[str, Any], key: str, default: int) -> int:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise BadInput(f"{key!r} must be a whole number from 0 to {MAX_RETRIES}, not {value!r}")
    return value


def _backoff(value: object) -> Backoff:
    if value is None:
        return DEFAULT_LIMITS.backoff
    if not isinstance(value, str):
        raise BadInput(f"'backoff' must be a text such as '30s..1h', not {value!r}")
    return Backoff.parse(value)


def _timeout(value: object) -> timedelta | None:
    if value is None:
        return None
    timeout = duration_from_json("timeout", value)
    if not timeout:
        raise BadInput(f"'timeout' must be over zero, not {value!r}")
    return timeout


def duration_from_json(name: str, value: object) -> timedelta:
    """Seconds, or a text as people write durations; from zero to 366 days. Raises BadInput, which names `name`."""
    if isinstance(value, str):
        duration = _duration(name, value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _YEAR.total_seconds():
        duration = timedelta(seconds=value)
    else:
        raise BadInput(f"{name!r} must be seconds or a duration such as '2h', not {value!r}")
    if duration > _YEAR:
        raise BadInput(f"{name!r} must be at most 366 days, not {value!r}")
    return duration


def _duration(name: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except BadInput as error:
        raise BadInput(f"{name!r}: {error}") from error


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
