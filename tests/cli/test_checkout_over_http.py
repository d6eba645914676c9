"""Checkout, settings and moves by the client over HTTP, against the control plane itself, started by `jobq serve`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobq.backend import Backend
from jobq.core.api import Selection
from jobq.core.listing import Filter
from jobq.core.realm_settings import NO_LEASE, SettingsChange
from jobq.errors import BadInput, IllegalTransition, LeaseLost, NotFound
from jobq.http import HttpBackend
from jobq.model.files import digest_of, name_in
from jobq.model.job import IfExists, NewJob, Spec
from tests.cli.terminal import served


@pytest.fixture
def http() -> Iterator[HttpBackend]:
    """Realm demo over HTTP."""
    with served() as url:
        backend = HttpBackend(url.removesuffix("/demo"), "demo")
        yield backend
        backend.close()


def add(backend: Backend, *names: str, **more: object) -> None:
    jobs = [NewJob(name, Spec(command=f"echo {name}", **more)) for name in names]  # type: ignore[arg-type]  # a Spec's
    backend.push(jobs, batch="b1", if_exists=IfExists.ADD)


def test_a_job_is_checked_out_extended_and_acknowledged(http: HttpBackend, backend: Backend) -> None:
    add(http, "a/1 ü", env={"KEY": "secret"}, tags=("t",))

    (job,) = http.check_out(lease=timedelta(seconds=90))["jobs"]
    nothing = http.check_out(5)
    held = http.extend(job["id"], job["token"], lease=timedelta(hours=1))
    done = http.ack(job["id"], job["token"], result={"loss": 0.5}, message="fine")

    assert (job["command"], job["env"], job["lane"], job["lease"]) == ("echo a/1 ü", {"KEY": "secret"}, "0", 90.0)
    assert nothing == {"jobs": []}
    assert (held["lease"], held["token"]) == (3600.0, job["token"])
    assert (done["state"], done["result"]) == ("succeeded", {"loss": 0.5})
    assert http.job("a/1 ü") == backend.job("a/1 ü")


def test_the_lowest_lane_of_this_of_some_and_of_all_realms_is_taken(http: HttpBackend) -> None:
    add(http, "low", lanes=("low",))
    for realm, lane in (("aaa", "2"), ("bbb", "10"), ("ccc", "1")):
        add(http.beside(realm), f"of {realm}", lanes=(lane,))

    mine = http.check_out(9, max_lane="10")["jobs"]
    some = http.check_out(realms=("bbb", "aaa"))["jobs"]
    rest = http.check_out(9, realms=None)["jobs"]

    assert mine == []
    assert [(job["realm"], job["id"]) for job in some] == [("aaa", "of aaa")]
    assert [job["id"] for job in rest] == ["of ccc", "of bbb", "low"]


def test_a_lost_lease_is_told_from_other_refusals_and_changes_nothing(http: HttpBackend) -> None:
    add(http, "a")
    (first,) = http.check_out()["jobs"]
    assert http.nack("a", first["token"])["state"] == "queued"
    (second,) = http.check_out()["jobs"]

    for late in (http.ack, http.nack, http.extend):
        with pytest.raises(LeaseLost, match="a"):
            late("a", first["token"])  # type: ignore[operator]  # each takes a job and a token

    assert http.nack("a", second["token"], failed=True, exit_code=3, message="why")["exit_code"] == 3
    with pytest.raises(LeaseLost, match="nope is not yours"):
        http.ack("nope", first["token"])


def test_a_job_that_is_given_back_for_later_waits(http: HttpBackend) -> None:
    add(http, "a")
    (job,) = http.check_out()["jobs"]

    http.nack("a", job["token"], delay=timedelta(hours=1))

    assert http.check_out() == {"jobs": []}


def test_files_are_fetched_as_they_were_stored(http: HttpBackend) -> None:
    data = bytes(range(256)) * 1000
    name = name_in("202611", digest_of(data))
    http.put_files({name: lambda: data})

    assert http.get_file(name) == data
    with pytest.raises(BadInput, match="not in the store"):
        http.beside("other").get_file(name)
    with pytest.raises(BadInput, match="SHA-256"):
        http.get_file("x")


def test_leases_are_set_and_taken_away_over_http(http: HttpBackend, backend: Backend) -> None:
    with pytest.raises(NotFound):
        http.settings()

    changed = http.change_settings(SettingsChange(timedelta(minutes=5), {"3": timedelta(seconds=90)}))
    shown = backend.settings()
    gone = http.change_settings(SettingsChange(NO_LEASE, {"3": NO_LEASE}))

    assert changed == shown == http.settings() | {"lease": 300.0, "lane_leases": {"3": 90.0}}
    assert (gone["lease"], gone["lane_leases"]) == (None, {})


def test_jobs_are_moved_over_http(http: HttpBackend) -> None:
    add(http, "a", "b", tags=("t",))
    add(http, "c", lanes=("7",), tags=("t",))

    by_tag = http.move(Selection(where=Filter(tag="t")), source="0", target="3")
    all_of_them = http.move(Selection(where=Filter()), source="3", target="1")
    absent = http.move(Selection(ids=("c", "nope")), source="0", target="3")

    assert (by_tag["matched"], by_tag["changed"]) == (2, 2)
    assert (all_of_them["matched"], all_of_them["changed"]) == (2, 2)
    assert [one["id"] for one in absent["refused"]] == ["c", "nope"]
    assert [http.job(name)["lanes"] for name in "abc"] == [["1"], ["1"], ["7"]]


def test_a_deleted_realm_is_closed_over_http(http: HttpBackend) -> None:
    add(http, "a")

    assert http.delete_realm() == {"realm": "demo", "deleting": True}
    assert http.settings()["deleting"]
    with pytest.raises(IllegalTransition, match="being deleted"):
        add(http, "b")
    with pytest.raises(NotFound):
        http.beside("never-used").delete_realm()


def test_a_realm_beside_shares_the_connection_and_its_keys(http: HttpBackend) -> None:
    other = http.beside("other")
    add(other, "a")

    assert other.total()["queued"] == 1
    assert http.total()["queued"] == 0
    with pytest.raises(BadInput, match="Other"):
        http.beside("Other")
