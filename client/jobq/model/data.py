"""A job's data as any JSON value, for callers who keep data in jobs and run them elsewhere (restq's `add` and `pull`).

A text is a shell command and an object holds keyword arguments, so that a worker can run either. Whatever is neither
(a list, a number, a blank text) is the one argument `data`. Every value comes back as it was given.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobq.model.job import Json

DATA = "data"


def payload_of(data: Json) -> tuple[str | None, Mapping[str, Json] | None]:
    """Command and keyword arguments of a job, one of which is None."""
    if isinstance(data, str) and data.strip() and "\0" not in data:
        return data, None
    if isinstance(data, dict) and set(data) != {DATA}:
        return None, data
    return None, {DATA: data}


def data_of(command: str | None, kwargs: Mapping[str, Json] | None) -> Json:
    """The data that `payload_of` was given."""
    if command is not None:
        return command
    arguments = dict(kwargs or {})
    return arguments[DATA] if set(arguments) == {DATA} else arguments
