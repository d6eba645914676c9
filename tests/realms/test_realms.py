"""The mapping: realms by name, where they are, and what is asked of several at once."""

from __future__ import annotations

import rlcompleter
import subprocess
import sys
from pathlib import Path

import pytest

import jobq
from jobq.errors import BadInput, IllegalTransition, LeaseLost
from jobq.realms import Realms
from tests.cli.terminal import environment, until


def test_realms_are_a_mapping_and_first_use_makes_one(realms: Realms) -> None:
    # given
    assert (list(realms), len(realms), "test" in realms) == ([], 0, False)
    unused = realms.test
    assert list(realms) == []

    # when
    unused.add("job 1", 0, "do the dishes")
    realms["a-b"].add("job 2", 0, "cut the grass")

    # then
    assert (list(realms), len(realms), "test" in realms, "nope" in realms) == (["a-b", "test"], 2, True, False)
    assert realms.test is realms["test"] is unused
    assert {name: realm.name for name, realm in realms.items()} == {"a-b": "a-b", "test": "test"}


def test_realms_and_methods_are_completed(realms: Realms) -> None:
    # given
    realms.test.add("job 1", 0)
    realms["a-b"].add("job 2", 0)
    completer = rlcompleter.Completer({"realms": realms})

    # when
    by_name, of_realm = completer.attr_matches("realms."), completer.attr_matches("realms.test.")

    # then
    assert {"realms.test", "realms.pull(", "realms.bulk_add(", "realms.bulk_remove(", "realms.close()"} <= set(by_name)
    assert "realms.a-b" not in by_name  # no attribute can have that name
    assert {"realms.test.add(", "realms.test.move_job(", "realms.test.ack(", "realms.test.status"} <= set(of_realm)
    assert [name for name in of_realm if not name.islower()] == []


def test_realms_say_what_they_are(realms: Realms) -> None:
    assert repr(realms) == "<realms of local:./q>"
    assert repr(realms.test) == "<realm test>"


def test_completion_in_a_place_that_cannot_be_reached_lists_methods() -> None:
    with Realms("http://127.0.0.1:9/api") as realms:
        realms._backend._calls.sleep = lambda _: None  # type: ignore[attr-defined]
        assert "pull" in dir(realms)


@pytest.mark.parametrize("name", ["Test", "ab", "a b", "a--b"])
def test_what_is_no_name_of_a_realm_is_refused(name: str, realms: Realms) -> None:
    with pytest.raises(BadInput, match="not a realm's name"):
        realms[name]
    with pytest.raises(AttributeError, match="not a realm's name"):
        getattr(realms, name)
    assert not hasattr(realms, "_repr_html_")


def test_realms_of_the_environment_are_used_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ", "local:./elsewhere/some-realm")
    with jobq.Realms() as realms:
        realms.test.add("job 1", 0)
    assert Path("elsewhere/jobq.sqlite3").exists()
    with Realms("local:./elsewhere/") as realms:
        assert list(realms) == ["test"]


def test_the_address_that_restq_had_in_its_variable_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTQ_CLIENT_URI", "http://127.0.0.1:7071/api")
    with Realms() as realms:
        assert repr(realms) == "<realms of http://127.0.0.1:7071/api>"


def test_without_a_place_it_says_how_to_name_one() -> None:
    with pytest.raises(BadInput, match="no queue is given"):
        Realms()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://host:7071/api", "http://host:7071/api"),
        ("http://host:7071/api/", "http://host:7071/api"),
        ("https://host/api/exp7", "https://host/api"),
        ("http://localhost:8586/", "http://localhost:8586/api"),
        ("mystorage", "mystorage"),
        ("mystorage/exp7", "mystorage"),
        ("sb://bus", "sb://bus"),
        ("sb://bus/exp7", "sb://bus"),
        ("local:./q", "local:./q"),
        ("local:./queue/", "local:./queue"),
        ("local:./q/exp7", "local:./q"),
    ],
)
def test_a_place_is_named_with_or_without_a_realm(url: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_TABLES", "mystorage")
    with Realms(url) as realms:
        assert repr(realms) == f"<realms of {place}>"


def test_a_folder_that_holds_queues_is_no_realm() -> None:
    with Realms("local:./queues/") as realms:
        realms.test.add("job 1", 0)
    with Realms("local:./queues") as realms:
        assert list(realms) == ["test"]
    with Realms("local:./queues/test") as realms:
        assert list(realms) == ["test"]


def test_a_url_without_api_is_refused_with_an_example() -> None:
    with pytest.raises(BadInput, match="https://host/api"):
        Realms("http://localhost:8586/jobs")


def test_jobs_are_added_and_removed_over_several_realms(realms: Realms) -> None:
    # given
    realms.bulk_add(
        [
            {"realm_id": "one", "job_id": "a", "queue_id": 0, "data": "x", "tags": ["t"]},
            {"realm_id": "two", "job_id": "a", "queue_id": "urgent", "data": [1]},
            {"realm_id": "one", "job_id": "b", "queue_id": 5},
        ]
    )
    assert realms.one.status == {"queues": {"0": 1, "5": 1}, "total_jobs": 2, "total_tags": 1}
    assert realms.two.get_job("a") == {"tags": [], "data": [1], "queues": [["urgent", 0]]}

    # when
    realms.bulk_remove([("one", "a"), ("two", "a"), ("two", "nope"), ("three", "nope")])

    # then
    assert realms.one.status == {"queues": {"5": 1}, "total_jobs": 1, "total_tags": 0}
    assert realms.two.status["total_jobs"] == 0


@pytest.mark.parametrize(
    ("second", "hint"),
    [
        ({"realm_id": "one", "queue_id": 0}, "job 2 of the list: it has no 'job_id'"),
        ({"realm_id": "one", "job_id": "b"}, "job 2 of the list: it has no 'queue_id'"),
        ({"job_id": "b", "queue_id": 0}, "job 2 of the list: it has no 'realm_id'"),
        ({"realm_id": "o", "job_id": "b", "queue_id": 0}, "job 2 of the list: 'o' is not a realm"),
        ({"realm_id": "one", "job_id": "b", "queue_id": "A"}, "job 2 of the list: 'A' is not a lane"),
        ({"realm_id": "one", "job_id": "b\n", "queue_id": 0}, "job 2 of the list: 'b\\\\n' is not a job's id"),
        ({"realm_id": "one", "job_id": "b", "queue_id": 0, "tags": "t"}, "job 2 of the list: tags are a list"),
        ({"realm_id": "one", "job_id": "b", "queue_id": 0, "data": {1, 2}}, "job 2 of the list: it cannot be written"),
        ({"realm_id": "one", "job_id": "b", "queue_id": 0, "priority": 1}, "job 2 of the list: unknown key 'priority'"),
        ({"realm_id": "one", "job_id": "a", "queue_id": 0, "data": "y"}, "job 2 of the list: a conflict"),
        (("one", "b", 0), "job 2 of the list: it is a tuple"),
    ],
)
def test_a_bad_job_is_named_before_anything_is_added(second: dict[str, object], hint: str, realms: Realms) -> None:
    first = {"realm_id": "one", "job_id": "a", "queue_id": 0, "data": "x"}
    with pytest.raises(BadInput, match=hint):
        realms.bulk_add([first, second])
    assert realms.one.status["total_jobs"] == 0


def test_refused_jobs_are_named_and_the_others_are_there(realms: Realms) -> None:
    realms.one.add("a", 0, "x")
    jobs = [{"realm_id": realm, "job_id": "a", "queue_id": 0, "data": "y"} for realm in ("one", "two")]
    with pytest.raises(
        IllegalTransition, match=r"1 of 2 jobs were not added, the others were: job a of one: .*conflict"
    ):
        realms.bulk_add(jobs)
    assert realms.two.get_job("a")["data"] == "y"


@pytest.mark.parametrize("place", ["local", "http"], indirect=True)
def test_the_lowest_lane_of_all_realms_is_pulled_first(place: str) -> None:
    with Realms() as realms:
        # given
        lanes = [("one", 10), ("two", 9), ("one", 1), ("two", "late"), ("three", 0)]
        realms.bulk_add([{"realm_id": r, "job_id": f"{r} {lane}", "queue_id": lane, "data": lane} for r, lane in lanes])

        # when
        pulls = [
            realms.pull(count=1, realms=["one", "two"]),
            realms.pull(count=1, realms=["one", "two"]),
            realms.pull(count=5, realms=["two", "one"], max_queue=50),
            realms.pull(),
            realms.pull(realms=[]),
        ]

        # then
        assert pulls == [
            {"one": {"one 1": [1, 1]}},
            {"two": {"two 9": [9, 9]}},
            {"one": {"one 10": [10, 10]}},
            {"three": {"three 0": [0, 0]}, "two": {"two late": ["late", "late"]}},
            {},
        ]
        realms.one.ack("one 1")  # held by the realm that it is of
        assert realms.one.status["total_jobs"] == 1
        realms.bulk_remove([("one", "one 10"), ("two", "two 9"), ("two", "nope")])
        assert realms.one.status["total_jobs"] == 0


def test_jobs_that_somebody_else_holds_are_not_removed_over_several_realms(realms: Realms, others: Realms) -> None:
    # given
    realms.one.set_default_lease_time(1)
    realms.bulk_add([{"realm_id": realm, "job_id": "a", "queue_id": 0} for realm in ("one", "two")])
    assert set(realms.pull()) == {"one", "two"}
    until(lambda: bool(others.one.pull()))

    # when
    with pytest.raises(LeaseLost, match="job a of one was not removed"):
        realms.bulk_remove([("one", "a"), ("two", "a")])

    # then
    assert realms.one.status["total_jobs"] == 1
    assert realms.two.status["total_jobs"] == 0
    others.one.ack("a")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["local", "azurite", "servicebus"], indirect=True)
def test_a_session_that_nobody_closes_ends_without_a_word(place: str, realm: str) -> None:
    session = f"from jobq import Realms; realms = Realms(); realms.{realm}.add('a', 0); print(len(realms) > 0)"
    done = subprocess.run(
        [sys.executable, "-c", session], capture_output=True, text=True, env=environment(), check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
