"""Types of options, checked as they are read, and the options that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from jobq.errors import BadInput
from jobq.model import names, retry
from jobq.model.durations import parse_duration, parse_moment, utc_now
from jobq.model.job import IfExists, JobState

F = TypeVar("F", bound=Callable[..., Any])


class Checked(click.ParamType):  # type: ignore[type-arg]  # generic only in the latest click
    """A text that a rule of `jobq.model` accepts. One environment variable gives one value, spaces and all."""

    def __init__(self, name: str, check: Callable[[str], Any], *, separator: str = "") -> None:
        self.name = name
        self._check = check
        self._separator = separator

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._check(value)
        except BadInput as error:
            self.fail(str(error), param, ctx)

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [part.strip() for part in rv.split(self._separator)] if self._separator else [rv]


def _duration(text: str) -> timedelta:
    duration = parse_duration(text)
    if duration > timedelta(days=366):
        raise BadInput(f"{text!r} is over 366 days")
    return duration


def _moment(text: str) -> datetime:
    return parse_moment(text, utc_now())


def _positive(text: str) -> timedelta:
    if (duration := _duration(text)) <= timedelta(0):
        raise BadInput(f"{text!r} must be over zero")
    return duration


def _lease(text: str) -> timedelta:
    duration = _duration(text)
    if not timedelta(seconds=1) <= duration <= timedelta(days=7):
        raise BadInput(f"{text!r} must be from 1s to 7d: the queues allow no more")
    return duration


def _tags(text: str) -> tuple[str, ...]:
    return tuple(names.tag_name(part.strip()) for part in text.split(",") if part.strip())


def _realms(text: str) -> tuple[str, ...]:
    return tuple(names.realm_name(part.strip()) for part in text.split(",") if part.strip())


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name.strip() or not value.strip() or len(text) > 100 or not text.isprintable():
        raise BadInput(f"{text[:100]!r} is no label: write NAME=VALUE, at most 100 characters")
    return name.strip(), value.strip()


def _causes(text: str) -> tuple[str, ...]:
    return tuple(retry.cause(part) for part in text.split(",") if part.strip())


def _pattern(text: str) -> re.Pattern[bytes]:
    try:
        return re.compile(text.encode())
    except re.error as error:
        raise BadInput(f"{text!r} is no regular expression: {error}") from error


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInput(f"{text.partition('=')[0]!r} is not NAME=VALUE")
    return name, value


def _text(text: str) -> str:
    return text


TEXT = Checked("text", _text)
DURATION = Checked("duration", _duration)
MOMENT = Checked("time", _moment)
POSITIVE = Checked("duration", _positive)
LEASE = Checked("duration", _lease)
TAG = Checked("tag", names.tag_name)
TAGS = Checked("a,b", _tags)
REALMS = Checked("a,b", _realms)
BACKOFF = Checked("first..longest", retry.Backoff.parse)
LABEL = Checked("name=value", _label, separator=",")
PATTERN = Checked("regex", _pattern)
CAUSES = Checked("a,b", _causes)
LANE = Checked("lane", names.lane_name, separator=",")
BATCH = Checked("name", names.batch_name)
JOB_ID = Checked("id", names.job_id)
VARIABLE = Checked("name=value", _variable, separator="\n")
STATE = click.Choice([state.value for state in JobState])
IF_EXISTS = click.Choice([choice.value for choice in IfExists])


def option(*names: str, **extra: Any) -> Callable[[F], F]:
    """As click's, and `--help` names the environment variable."""
    return click.option(*names, show_envvar=True, **extra)


def output_option(*formats: str) -> Callable[[F], F]:
    """The first format is the default. Also lets `-v` come after the command."""

    def add(function: F) -> F:
        choice = click.Choice(formats)
        what = "Form of the answer on standard output."
        function = option("-o", "--output", type=choice, default=formats[0], help=what)(function)
        return verbose_option(function)

    return add


def verbose_option(function: F) -> F:
    help_ = "Say more; show where an error came from."
    return option("-v", "--verbose", is_flag=True, expose_value=False, callback=_set_verbose, help=help_)(function)


def _set_verbose(ctx: click.Context, _param: click.Parameter, is_set: bool) -> None:
    if is_set:
        ctx.obj.start(is_verbose=True)
