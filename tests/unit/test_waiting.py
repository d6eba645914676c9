from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from jobq.backend import Backend
from jobq.errors import NotFound, TimedOut
from jobq.waiting import Standing, Target, wait_for


class Looks:
    """A backend whose answers are given one after the other, with a clock that only sleeping moves."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self._answers: Iterator[dict[str, Any] | Exception] = iter(answers)
        self.pauses: list[float] = []

    def batch_status(self, batch: str) -> dict[str, Any]:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    job = batch_status

    def wait(self, target: Target, timeout: float | None = None) -> Standing:
        limit = None if timeout is None else timedelta(seconds=timeout)
        backend = cast(Backend, self)
        return wait_for(backend, target, timeout=limit, sleep=self.pauses.append, monotonic=lambda: sum(self.pauses))


def _counts(total: int, **given: int) -> dict[str, int]:
    return {"total": total, "queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0} | given


def test_looks_come_often_at_first_and_every_two_seconds_later() -> None:
    looks = Looks(*[_counts(1, queued=1)] * 10, _counts(1, succeeded=1))
    assert looks.wait(Target(batch="b1")).succeeded == 1
    assert looks.pauses[0] == 0.2
    assert looks.pauses == sorted(looks.pauses)
    assert looks.pauses[-1] == 2.0


def test_the_last_look_is_at_the_deadline() -> None:
    looks = Looks(*[_counts(2, queued=2)] * 10)
    with pytest.raises(TimedOut, match="2 of 2 jobs of batch b1"):
        looks.wait(Target(batch="b1"), timeout=1)
    assert sum(looks.pauses) == pytest.approx(1)


def test_what_was_never_there_is_not_found() -> None:
    for target in (Target(batch="b1"), Target(ids=("j1",))):
        with pytest.raises(NotFound):
            Looks(NotFound("gone")).wait(target)


def test_what_is_removed_meanwhile_is_not_waited_for() -> None:
    gone = NotFound("gone")
    assert Looks(_counts(1, queued=1), gone).wait(Target(batch="b1")) == Standing()
    assert Looks({"state": "queued"}, gone).wait(Target(ids=("j1",))) == Standing()


def test_jobs_by_id_are_asked_for_until_each_has_ended() -> None:
    looks = Looks(
        {"state": "running"},
        {"state": "succeeded"},
        {"state": "queued"},
        {"state": "running"},
        {"state": "failed"},
        {"state": "cancelled"},
    )
    standing = looks.wait(Target(ids=("j1", "j2", "j3")))
    assert standing == Standing(total=3, succeeded=1, failed=1, cancelled=1)
    assert len(looks.pauses) == 2
