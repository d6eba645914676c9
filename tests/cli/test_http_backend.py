"""The client's side of the HTTP contract, against a stub that answers as told."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from jobq.core.api import Selection
from jobq.core.documents import Document
from jobq.core.listing import Filter
from jobq.core.realm_settings import NO_LEASE, SettingsChange
from jobq.errors import (
    BadInput,
    IllegalTransition,
    JobqError,
    LeaseLost,
    NotAllowed,
    NotFound,
    TooLarge,
    Unreachable,
)
from jobq.http import HttpBackend
from jobq.model.files import digest_of, name_in
from jobq.model.job import IfExists, JobState, Limits, NewJob, Reason, Spec
from tests.cli.stub_service import Asked, Reply, StubService, problem, pushed

KEYS = {"enqueue": "key-e", "status": "key-s", "manage": "key-m", "checkout": "key-c"}


@pytest.fixture
def pauses() -> list[float]:
    """Seconds that the backend would have slept."""
    return []


@pytest.fixture
def backend(stub: StubService, pauses: list[float]) -> Iterator[HttpBackend]:
    backend = HttpBackend(stub.url, "demo", lambda privilege: KEYS[privilege], sleep=pauses.append)
    yield backend
    backend.close()


def _jobs(count: int, size: int = 4) -> list[NewJob]:
    return [NewJob(f"b1-{n:06d}", Spec(command="x" * size)) for n in range(1, count + 1)]


def test_a_push_sends_what_was_asked(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = pushed
    spec = Spec(command="true", tags=("t",), lanes=("7",), env={"A": "1"}, limits=Limits(retries=2))
    (result,) = backend.push([NewJob("j1", spec)], batch="b1", if_exists=IfExists.ERROR, chunk=3, token="tok")
    assert result == {"id": "j1", "status": "queued", "state": "queued"}
    (asked,) = stub.asked
    assert (asked.method, asked.path) == ("POST", "/api/enqueue/demo/jobs")
    assert asked.json() == {
        "batch": "b1",
        "if_exists": "error",
        "chunk": 3,
        "token": "tok",
        "jobs": [{"id": "j1", "cmd": "true", "env": {"A": "1"}, "tags": ["t"], "lanes": ["7"], "num_retries": 2}],
    }
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["x-functions-key"] == "key-e"


def test_a_push_is_cut_by_number_and_by_size(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = pushed
    assert len(backend.push(_jobs(2500), batch="b1", token="t")) == 2500
    assert [len(asked.json()["jobs"]) for asked in stub.asked] == [1000, 1000, 500]
    stub.asked.clear()
    backend.push(_jobs(5, size=1_500_000), batch="b1", token="t")
    assert [len(asked.json()["jobs"]) for asked in stub.asked] == [2, 2, 1]


def test_large_bodies_are_compressed_and_small_ones_are_not(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = pushed
    backend.push(_jobs(1), batch="b1", token="t")
    backend.push(_jobs(100), batch="b1", token="t")
    small, large = stub.asked
    assert "Content-Encoding" not in small.headers
    assert large.headers["Content-Encoding"] == "gzip"
    for asked in stub.asked:
        assert int(asked.headers["Content-Length"]) == len(asked.body)
    assert len(gzip.decompress(large.body)) > len(large.body)


def test_questions_go_to_their_routes_with_escaped_names(backend: HttpBackend, stub: StubService) -> None:
    backend.status()
    backend.total()
    backend.tag_status("a/b ü")
    backend.batch_status("b1")
    backend.job("x y")
    backend.jobs(Filter(tag="t", lane="0", state=JobState.FAILED), after="a", limit=7)
    backend.jobs(Filter(reason=Reason.OOM, text="a b", error="0123456789ab"))
    backend.job("count")
    backend.log("x y", attempt=2, start=10)
    backend.workers()
    backend.where()
    backend.realms()
    assert [asked.path.removeprefix("/api/status") for asked in stub.asked] == [
        "/demo",
        "/demo/total",
        "/demo/tags/a!2fb!20!c3!bc",
        "/demo/batches/b1",
        "/demo/jobs/x!20y",
        "/demo/jobs?tag=t&lane=0&state=failed&after=a&limit=7",
        "/demo/jobs?reason=oom&text=a+b&error=0123456789ab&limit=50",
        "/demo/jobs/!63ount",
        "/demo/jobs/x!20y/log?attempt=2&start=10",
        "/demo/workers",
        "/demo/where",
        "",
    ]
    assert {asked.headers["x-functions-key"] for asked in stub.asked} == {"key-s"}


def test_count_is_asked_for_until_it_is_whole(backend: HttpBackend, stub: StubService) -> None:
    stub.replies = [Reply(document={"count": 7, "next": "b"}), Reply(document={"count": 0, "next": "c"})]
    stub.answer = lambda asked: Reply(document={"count": 2, "next": None})
    assert backend.count(Filter(tag="t")) == 9
    assert [asked.path.removeprefix("/api/status/demo/jobs") for asked in stub.asked] == [
        "/count?tag=t",
        "/count?tag=t&after=b",
        "/count?tag=t&after=c",
    ]


def test_service_that_cannot_count_is_said_to_be_older(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: problem(404, "there is no job count")
    with pytest.raises(Unreachable, match="as new as this jobq"):
        backend.count(Filter())


def test_bulk_commands_go_to_their_routes(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document={"matched": 1, "changed": 1, "refused": []})
    backend.cancel(Selection(ids=("a", "b")), message="why")
    backend.retry(Selection(where=Filter(tag="t")))
    backend.remove(Selection(where=Filter(batch="b1", state=JobState.FAILED)))
    backend.clear("7")
    backend.sweep(repair=True)
    asked = [(one.method, one.path, one.json() if one.body else None) for one in stub.asked]
    assert asked == [
        ("POST", "/api/manage/demo/cancel", {"ids": ["a", "b"], "message": "why"}),
        ("POST", "/api/manage/demo/retry", {"tag": "t"}),
        ("POST", "/api/manage/demo/remove", {"batch": "b1", "state": "failed"}),
        ("DELETE", "/api/manage/demo/lanes/7/jobs", None),
        ("POST", "/api/manage/demo/sweep", {"repair": True}),
    ]


def test_checkouts_go_to_their_routes_with_their_key(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document={"jobs": []})
    backend.check_out(3, lease=timedelta(minutes=1), max_lane="7")
    backend.check_out(realms=None)
    backend.check_out(realms=("aaa", "bbb"))
    backend.ack("x/y", "tok", result=[1])
    backend.nack("x/y", "tok", failed=True, exit_code=3, delay=timedelta(seconds=5))
    backend.extend("x/y", "tok")
    one = {"count": 1, "max_lane": None, "lease": None}
    assert [(asked.method, asked.path.removeprefix("/api/checkout"), asked.json()) for asked in stub.asked] == [
        ("POST", "/demo/jobs", {"count": 3, "max_lane": "7", "lease": 60.0}),
        ("POST", "", one),
        ("POST", "", one | {"realms": ["aaa", "bbb"]}),
        ("POST", "/demo/jobs/x!2fy/ack", {"token": "tok", "result": [1], "message": ""}),
        (
            "POST",
            "/demo/jobs/x!2fy/nack",
            {"token": "tok", "failed": True, "exit_code": 3, "message": "", "delay": 5.0},
        ),
        ("POST", "/demo/jobs/x!2fy/extend", {"token": "tok", "lease": None}),
    ]
    assert {asked.headers["x-functions-key"] for asked in stub.asked} == {"key-c"}


def test_settings_and_moves_go_to_their_routes(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document={"matched": 1, "changed": 1, "refused": []})
    backend.change_settings(SettingsChange(NO_LEASE, {"3": timedelta(minutes=1)}))
    backend.change_settings(SettingsChange(lane_leases={"3": NO_LEASE}))
    backend.move(Selection(where=Filter(tag="t")), source="3", target="0")
    backend.delete_realm()
    backend.beside("other").settings()
    assert [(asked.method, asked.path, asked.json() if asked.body else None) for asked in stub.asked] == [
        ("PATCH", "/api/manage/demo", {"lease": 0.0, "lane_leases": {"3": 60.0}}),
        ("PATCH", "/api/manage/demo", {"lease": None, "lane_leases": {"3": 0.0}}),
        ("POST", "/api/manage/demo/move", {"tag": "t", "from": "3", "to": "0"}),
        ("DELETE", "/api/manage/demo", None),
        ("GET", "/api/status/other/settings", None),
    ]


def test_files_are_asked_for_in_parts_and_sent_as_they_are(backend: HttpBackend, stub: StubService) -> None:
    names = [name_in("202611", digest_of(bytes([n % 256, n // 256]))) for n in range(1200)]
    stub.answer = lambda asked: Reply(document={"missing": asked.json()["names"][:1]})
    assert backend.missing_files(names) == [names[0], names[1000]]
    assert {asked.path for asked in stub.asked} == {"/api/enqueue/demo/files"}

    stub.asked.clear()
    stub.replies, stub.answer = [Reply(503, headers={"Retry-After": "0"})], lambda asked: Reply()
    backend.put_files({names[0]: lambda: b"x" * 5000, names[1]: lambda: b"y"})
    sent = {asked.path.rpartition("/")[2]: asked for asked in stub.asked}
    assert len(stub.asked) == 3
    assert sent.keys() == {*names[:2]}
    assert gzip.decompress(sent[names[0]].body) == b"x" * 5000
    assert sent[names[1]].body == b"y"
    assert {asked.headers["Content-Type"] for asked in stub.asked} == {"application/octet-stream"}


def test_file_that_is_refused_is_an_error_and_no_more_are_sent(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: problem(413, "too large")
    names = [name_in("202611", digest_of(bytes([n]))) for n in range(100)]
    with pytest.raises(TooLarge, match="too large"):
        backend.put_files(dict.fromkeys(names, lambda: b"x"))
    assert len(stub.asked) < 100


def test_service_that_knows_no_files_is_told_from_one_that_has_them(backend: HttpBackend, stub: StubService) -> None:
    with pytest.raises(Unreachable, match="which files are missing"):
        backend.missing_files([name_in("202611", digest_of(b""))])


def test_all_jobs_are_asked_for_as_such(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document={"matched": 2, "changed": 2, "refused": [], "next": None})
    backend.retry(Selection(where=Filter()))
    assert [asked.json() for asked in stub.asked] == [{"all": True}]


def test_command_for_many_goes_on_until_all_is_done(backend: HttpBackend, stub: StubService) -> None:
    # Given a service that does a part a request, and refuses some
    refused = [{"id": "x", "error": "y"}] * 60
    part = {"matched": 300, "changed": 240, "refused": refused}
    stub.replies = [Reply(document=part | {"next": "b-2"}), Reply(document=part | {"next": "b-3"})]
    stub.answer = lambda asked: Reply(document={"matched": 1, "changed": 1, "refused": [], "next": None})

    # When jobs are moved by a filter, and a lane is cleared
    done = backend.move(Selection(where=Filter(tag="t")), source="0", target="1")
    stub.replies = [Reply(document=part | {"next": "b-2"})]
    cleared = backend.clear("7")

    # Then each request goes on where the last one ended, and the answers are one
    body = {"tag": "t", "from": "0", "to": "1"}
    assert [asked.json() for asked in stub.asked[:3]] == [body, body | {"after": "b-2"}, body | {"after": "b-3"}]
    assert [asked.path for asked in stub.asked[3:]] == [
        "/api/manage/demo/lanes/7/jobs",
        "/api/manage/demo/lanes/7/jobs?after=b-2",
    ]
    assert done == {"matched": 601, "changed": 481, "refused": (refused * 2)[:100]}
    assert (cleared["matched"], cleared["changed"]) == (301, 241)


def test_command_that_is_cut_off_says_how_far_it_came(backend: HttpBackend, stub: StubService) -> None:
    stub.replies = [Reply(document={"matched": 1300, "changed": 1250, "refused": [], "next": "b-2"})]
    stub.answer = lambda asked: Reply(502)
    with pytest.raises(Unreachable, match=r"carried out.*; 1,250 jobs were changed before that; the same command"):
        backend.retry(Selection(where=Filter(tag="t")))
    with pytest.raises(Unreachable) as caught:
        backend.retry(Selection(where=Filter(tag="t")))
    assert "before that" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadInput),
        (404, NotFound),
        (409, IllegalTransition),
        (413, TooLarge),
        (422, BadInput),
        (500, JobqError),
        (503, Unreachable),
    ],
)
def test_what_the_service_says_is_raised_as_ours(
    status: int, error: type[JobqError], backend: HttpBackend, stub: StubService
) -> None:
    stub.answer = lambda asked: problem(status, "the reason")
    with pytest.raises(error, match="the reason") as caught:
        backend.status()
    assert type(caught.value) is error


def test_a_bad_job_of_a_push_is_counted_from_1(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: problem(400, "unknown key 'x'", index=2)
    with pytest.raises(BadInput, match="job 3 of the request: unknown key 'x'"):
        backend.push(_jobs(3), batch="b1", token="t")


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_and_a_wrong_key_are_told_apart_and_no_key_is_shown(status: int, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(status, b"")
    with pytest.raises(NotAllowed, match="no key was sent: set JOBQ_KEY or JOBQ_MANAGE_KEY"):
        HttpBackend(stub.url, "demo").sweep()
    with pytest.raises(NotAllowed, match="the key in JOBQ_KEY or JOBQ_MANAGE_KEY is not one for it") as caught:
        HttpBackend(stub.url, "demo", lambda privilege: "hush").sweep()
    assert "hush" not in str(caught.value)


def test_a_role_that_the_service_lacks_is_said(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: problem(403, "its identity lacks a role")
    with pytest.raises(NotAllowed, match="its identity lacks a role"):
        backend.status()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_asked_again(
    status: int, backend: HttpBackend, stub: StubService, pauses: list[float]
) -> None:
    stub.replies = [problem(status, "busy"), Reply(document={"total": 1})]
    assert backend.total() == {"total": 1}
    assert len(pauses) == 1


def test_retry_after_is_respected(backend: HttpBackend, stub: StubService, pauses: list[float]) -> None:
    stub.replies = [Reply(429, headers={"Retry-After": "7"}), Reply()]
    backend.total()
    assert pauses == [7.0]


def test_who_is_too_fast_goes_on_slower(backend: HttpBackend, stub: StubService, pauses: list[float]) -> None:
    stub.replies = [Reply(429, problem(429, "slower").document, {"Retry-After": "2"}) for _ in range(9)]
    stub.replies += [Reply(document={"jobs": []})]
    assert backend.check_out() == {"jobs": []}
    assert pauses == [2.0] * 9


def test_a_pause_that_is_too_long_is_not_waited_for(
    backend: HttpBackend, stub: StubService, pauses: list[float]
) -> None:
    stub.answer = lambda asked: Reply(503, headers={"Retry-After": "120"})
    with pytest.raises(Unreachable, match="cannot answer now"):
        backend.total()
    assert pauses == []


def test_a_service_that_stays_away_is_given_up(backend: HttpBackend, stub: StubService, pauses: list[float]) -> None:
    stub.answer = lambda asked: Reply(is_lost=True)
    with pytest.raises(Unreachable, match="does not answer"):
        backend.total()
    assert len(stub.asked) == 4
    assert sum(pauses) < 10


@pytest.mark.parametrize(
    "command",
    [lambda backend: backend.retry(Selection(ids=("a",))), lambda backend: backend.check_out(9)],
    ids=["retry", "checkout"],
)
@pytest.mark.parametrize("reply", [Reply(is_lost=True), Reply(504), problem(503, "its backend does not answer")])
def test_a_command_that_may_have_been_carried_out_is_not_sent_again(
    reply: Reply, command: Callable[[HttpBackend], Document], backend: HttpBackend, stub: StubService
) -> None:
    stub.replies = [reply]
    with pytest.raises(Unreachable):
        command(backend)
    assert len(stub.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_checkout_that_nobody_took_up_is_sent_again(status: int, backend: HttpBackend, stub: StubService) -> None:
    stub.replies = [Reply(status, b"busy", {"Retry-After": "0"}), Reply(document={"jobs": []})]
    assert backend.check_out() == {"jobs": []}


def test_a_lost_lease_has_an_error_of_its_own(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: problem(409, "it is another's now", type="urn:jobq:lease-lost")
    with pytest.raises(LeaseLost, match="it is another's now"):
        backend.ack("a", "tok")


def test_a_file_that_is_not_there_is_said_as_directly(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: problem(404, "it is not in the store")
    with pytest.raises(BadInput, match="it is not in the store"):
        backend.get_file(name_in("202611", digest_of(b"")))


def test_a_redirect_is_not_followed_with_the_key(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(302, headers={"Location": stub.url + "/elsewhere"})
    with pytest.raises(Unreachable, match="is the URL right"):
        backend.total()
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [Reply(document=b"<html>sign in</html>"), Reply(document=[1]), Reply(404, b"<html>"), Reply(418, b"teapot")],
)
def test_what_is_not_jobq_is_not_taken_for_an_answer(reply: Reply, backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: reply
    with pytest.raises(Unreachable, match="is the URL right"):
        backend.job("j1")


def test_a_service_that_answers_for_too_few_jobs_is_not_believed(backend: HttpBackend, stub: StubService) -> None:
    def forgetful(asked: Asked) -> Reply:
        return Reply(document={"batch": "b1", "results": []})

    stub.answer = forgetful
    with pytest.raises(Unreachable, match="answered for 0 of 3 jobs"):
        backend.push(_jobs(3), batch="b1", token="t")


def test_a_log_is_bytes(backend: HttpBackend, stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document=b"\xff\x00\n", headers={"Content-Type": "text/plain"})
    assert backend.log("j1") == b"\xff\x00\n"
