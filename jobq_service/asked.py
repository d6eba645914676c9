"""What callers send, as the OpenAPI document shows it. Keys are added, never renamed; unknown ones are refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from jobq.model.job import IfExists, JobState, Reason
from jobq.model.names import MAX_CHECKOUT
from jobq_service.filters import AFTER, MAX_AFTER, MAX_TEXT
from jobq_service.submissions import MAX_JOBS, MAX_REALMS

Duration = Annotated[float, Field(json_schema_extra={"minimum": 0})] | Annotated[str, Field(max_length=40)]
"""Seconds, or a duration such as `10m`; `duration_from_json` says what is wrong in words, which a union does not."""


REALM: JsonDict = {"minLength": 3, "maxLength": 40, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}
BATCH: JsonDict = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}
LANE: JsonDict = {"pattern": "^(0|[1-9][0-9]{0,3}|[a-z][a-z0-9]{0,11})$"}
"""What names look like, for who reads the document: `jobq.model.names` checks them, and says in words what is wrong."""

Realm = Annotated[str, Field(json_schema_extra=REALM)]
Batch = Annotated[str, Field(json_schema_extra=BATCH)]
Lane = (
    Annotated[str, Field(json_schema_extra=LANE)]
    | Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 9999})]
)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _like(example: JsonDict) -> ConfigDict:
    """What a body may look like, for the document."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class JobAsked(_Asked):
    """What a job is: `cmd` (a shell command), `kwargs` (arguments for a Python callable) or `data`, one of them."""

    model_config = _like({"cmd": "python fit.py --lr 0.1", "tags": ["lr"], "timeout": "2h"})

    cmd: str | None = None
    kwargs: dict[str, Any] | None = None
    data: Any = Field(None, description="any JSON: a text is as `cmd`, an object as `kwargs`")
    env: dict[str, str | int | float] = {}
    bg_dirsync_to: str | None = Field(
        None, max_length=1000, description="where outputs go: a path on the worker, or az://container/prefix"
    )
    tags: list[str] = Field([], max_length=20)
    lanes: list[Lane] = Field(["0"], max_length=10)
    lane: Lane | None = Field(None, description="in place of `lanes`")
    num_retries: int = Field(0, ge=0, le=10_000)
    crash_limit: int = Field(3, ge=0, le=10_000)
    max_preemptions: int = Field(1000, ge=0, le=10_000)
    timeout: float | str | None = Field(None, description="seconds, or a duration such as `2h`, of one attempt")
    backoff: str = Field("1s..5m", description="the wait before the first retry, and the longest")
    retry_on: list[str] = Field([], max_length=20, description="such as `oom` or `exit:75`; empty: any failure")
    no_retry_on: list[str] = Field([], max_length=20, description="also of `lost` and `preempted`")
    traceparent: str | None = Field(None, description="the trace that its attempts continue (W3C Trace Context)")
    files: str = Field("", description="the name of a manifest that is stored: the files in the job's directory")


class NewJob(JobAsked):
    id: str | int | None = Field(None, description="made from batch and position where it is not given")


class NewJobOf(NewJob):
    model_config = _like({"realm": "exp7", "cmd": "python fit.py"})

    realm: Realm


class _Push(_Asked):
    batch: Batch | None = Field(None, description="a fresh name where it is not given")
    if_exists: IfExists | None = IfExists.SKIP
    chunk: Annotated[int, Field(ge=1, le=1000)] | None = Field(1, description="jobs that share a ticket")
    token: str | None = Field(None, description="the same when a push is repeated whose answer was lost")


class Push(_Push):
    model_config = _like({"batch": "sweep-1", "jobs": [{"cmd": "python fit.py --lr 0.1"}, {"kwargs": {"lr": 0.01}}]})

    jobs: list[NewJob] = Field(min_length=1, max_length=MAX_JOBS)


class PushAcross(_Push):
    model_config = _like({"jobs": [{"realm": "exp7", "cmd": "true"}, {"realm": "exp8", "data": ["any", "JSON"]}]})

    jobs: list[NewJobOf] = Field(min_length=1, max_length=MAX_JOBS, description="of at most 100 realms")


class AskedFiles(_Asked):
    names: list[str] = Field([], max_length=MAX_JOBS, description="of manifests and pieces: `yyyymm-` and a SHA-256")


class Pause(_Asked):
    lane: Lane | None = Field(None, description="this lane only; the whole realm without one")


class Cancel(_Asked):
    message: str = Field("", max_length=1000)


class Filter(_Asked):
    """Which jobs: ids, or all that match everything else that is given. Nothing given is refused."""

    model_config = _like({"tag": "lr"})

    all: bool = Field(False, description="with nothing else, all jobs of the realm that the command is about")

    ids: Annotated[list[str], Field(max_length=MAX_JOBS)] | None = None
    tag: str | None = None
    batch: Batch | None = None
    lane: Lane | None = None
    state: JobState | None = Field(
        None, description="`running`: what believed workers hold; `queued`: all else that has not ended"
    )
    reason: Reason | None = Field(None, description="how the last attempt ended")
    text: str | None = Field(
        None, max_length=MAX_TEXT, description="some of the id, the command or the arguments, ignoring case"
    )
    error: str | None = Field(None, description="of failed jobs: the fingerprint of their last line")
    after: str = Field("", pattern=AFTER, max_length=MAX_AFTER, description="`next` of an answer, not with `ids`")


class CancelMany(Filter, Cancel):
    pass


class Sweep(_Asked):
    repair: bool = Field(False, description="also queue again whatever no worker holds, and remove files without jobs")


class Move(Filter):
    """Which jobs, and between which lanes; with neither ids nor anything else, all that are queued in `from`."""

    model_config = _like({"from": 0, "to": "later"})

    source: Lane = Field(alias="from")
    target: Lane = Field(alias="to")


class JobOf(_Asked):
    realm: Realm
    id: str | int


class RemoveAcross(_Asked):
    model_config = _like({"jobs": [{"realm": "exp7", "id": "sweep-1-000001"}]})

    jobs: list[JobOf] = Field(min_length=1, max_length=MAX_JOBS, description="of at most 100 realms")


class ChangeSettings(_Asked):
    """Null, or nothing, leaves a lease time as it is; 0 takes it away."""

    model_config = _like({"lease": "10m", "lane_leases": {"3": 90}})

    lease: Duration | None = Field(None, description="of all lanes that have none of their own")
    lane_leases: dict[str, Duration] = Field({}, max_length=1000)


class CheckOut(_Asked):
    count: int = Field(
        1,
        ge=1,
        le=MAX_CHECKOUT,
        description="at most so many; of jobs that their caller cannot begin soon, the leases run out",
    )
    lease: Duration | None = Field(None, description="else the lane's, the realm's, or 10 minutes")
    max_lane: Lane | None = Field(None, description="take from no lane after this one")


class CheckOutAcross(CheckOut):
    realms: Annotated[list[Realm], Field(min_length=1, max_length=MAX_REALMS)] | None = Field(
        None, description="all there are where they are not given"
    )


class Held(_Asked):
    token: str = Field(min_length=1, max_length=100, description="as the checkout gave it")


class Ack(Held):
    result: Any = Field(None, description="what came out, any JSON value")
    message: str = Field("", max_length=1000)


class Nack(Held):
    failed: bool = Field(False, description="the attempt has failed, and its retries decide; else anybody may take it")
    exit_code: int | None = Field(None, ge=-(2**31), lt=2**32)
    message: str = Field("", max_length=1000)
    delay: Duration | None = Field(None, description="until it may be taken again")


class Extend(Held):
    lease: Duration | None = Field(None, description="from now on; as for a checkout where it is not given")
