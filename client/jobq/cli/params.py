"""Types of options, checked as they are read, and the options that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from jobq.errors import BadInput
from jobq.model import names, retry
from jobq.model.durations import parse_duration, parse_moment, utc_now
from jobq.model.fingerprint import error_key
from jobq.model.job import IfExists, JobState, Json, Reason
from jobq.model.wire import checked_json

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


def _lease_or_default(text: str) -> timedelta:
    """Zero for `default`: it takes the setting away."""
    return timedelta(0) if text.strip().lower() == "default" else _lease(text)


def _lane_lease(text: str) -> tuple[str, timedelta]:
    lane, equals, lease = text.partition("=")
    if not equals:
        raise BadInput(f"{text!r} is not LANE=DURATION, as 3=1h, or LANE=default")
    return names.lane_name(lane.strip()), _lease_or_default(lease)


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


def _json(text: str) -> Json:
    import json

    try:
        value: Json = json.loads(text)
        checked_json(value)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{text[:80]!r} is no JSON that can be stored: {error}; a text has double quotes") from error
    return value


def _text(text: str) -> str:
    return text


TEXT = Checked("text", _text)
DURATION = Checked("duration", _duration)
MOMENT = Checked("time", _moment)
POSITIVE = Checked("duration", _positive)
LEASE = Checked("duration", _lease)
LEASE_OR_DEFAULT = Checked("duration|default", _lease_or_default)
LANE_LEASE = Checked("lane=duration", _lane_lease, separator=",")
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
REASON = click.Choice([reason.value for reason in Reason])
ERROR = Checked("fingerprint", error_key)
IF_EXISTS = click.Choice([choice.value for choice in IfExists])
REALM = Checked("realm", names.realm_name)
JSON = Checked("json", _json)


def option(*names: str, **extra: Any) -> Callable[[F], F]:
    """As click's, and `--help` names the environment variable."""
    return click.option(*names, cls=_Option, show_envvar=True, **extra)


class _Option(click.Option):
    """Spaces around what its variable says are not part of it. `--help` shows its own default."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        said, ctx.default_map = ctx.default_map, None  # what a file says may be a secret
        try:
            return super().get_help_record(ctx)
        finally:
            ctx.default_map = said

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        text = super().resolve_envvar_value(ctx)
        return (text.strip() or None) if text else None


def lane_option(**extra: Any) -> Callable[[F], F]:
    """`lane`; `--queue` is the word of restq's."""
    return option("--lane", "--queue", "lane", type=LANE, **extra)


def token_option(function: F) -> F:
    return option("--token", type=TEXT, required=True, help="What `jobq pull --print` gave with the job.")(function)


def realm_option(function: F) -> F:
    """For commands that people give the realm after; `jobq -r NAME …` does the same for all."""
    help_ = "Another realm of the same place."
    return option("-r", "--realm", type=REALM, expose_value=False, callback=set_realm, help=help_)(function)


def set_realm(ctx: click.Context, _param: click.Parameter, name: str | None) -> None:
    """What is said on the command line wins: of variables and files, only what nobody says there counts."""
    is_said = ctx.get_parameter_source("realm") is ParameterSource.COMMANDLINE
    if name and (is_said or not (ctx.obj.queue or ctx.obj.realm)):
        ctx.obj.realm = name


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
