"""One realm, as restq's users know it: add, pull, look, move, remove; and what comes beyond."""

from __future__ import annotations

from typing import Any

import pytest

from jobq.errors import BadInput, IllegalTransition, LeaseLost, NotFound, Unreachable
from jobq.realms import Realms
from tests.cli.by_hand import end_jobs
from tests.cli.terminal import until
from tests.realms.serving import KINDS

DATA: list[Any] = [
    "do the dishes",
    "  spaces around \n",
    "",
    "with\0 a NUL",
    None,
    True,
    7,
    2.5,
    [1, [2, "x"]],
    {"a": {"b": None}},
    {"data": 5},
    {"data": {"data": 5}},
    {"cmd": "x", "kwargs": {}, "ü": "ß\u2028"},
    {},
    "x" * 100_000,
    ["y" * 100_000],
]


@pytest.mark.parametrize("place", ["local", "http"], indirect=True)
def test_data_of_any_kind_comes_back_as_it_was(place: str, realm: str) -> None:
    with Realms() as realms:
        # given
        for number, data in enumerate(DATA):
            realms[realm].add(number, 0, data, tags=["t"])

        # when
        listed = realms[realm].get_tagged_jobs("t")
        pulled = realms[realm].pull(count=len(DATA))

        # then
        assert [listed[str(number)]["data"] for number in range(len(DATA))] == DATA
        assert [pulled[str(number)] for number in range(len(DATA))] == [[0, data] for data in DATA]
        assert [type(pulled[str(number)][1]) for number in range(len(DATA))] == [type(data) for data in DATA]


@pytest.mark.parametrize("data", [object(), float("nan"), {1, 2}, b"bytes", "half \ud800"])
def test_data_that_is_no_json_is_refused(data: Any, realms: Realms) -> None:
    with pytest.raises(BadInput, match="cannot be written as JSON"):
        realms.test.add("a", 0, data)


@pytest.mark.parametrize("place", KINDS, indirect=True)
@pytest.mark.slow
def test_adding_again_adds_tags_and_lanes_and_refuses_other_data(place: str, realm: str) -> None:
    with Realms() as realms:
        # given
        test = realms[realm]
        test.add("a/b c", 1, {"x": 1, "y": [2]}, tags=["one"])

        # when
        test.add("a/b c", 0, {"y": [2], "x": 1}, tags=["two"])
        with pytest.raises(ValueError, match="conflict"):
            test.add("a/b c", 2, {"x": 2}, tags=["three"])

        # then
        job = test.get_job("a/b c")
        assert (sorted(job["tags"]), sorted(job["queues"])) == (["one", "two"], [[0, 0], [1, 0]])
        assert test.status == {"queues": {"0": 1, "1": 1}, "total_jobs": 1, "total_tags": 2}
        assert test.pull() == {"a/b c": [0, {"x": 1, "y": [2]}]}  # and not once more from lane 1
        assert test.pull() == {}


def test_a_job_that_is_twice_in_a_list_has_the_tags_and_lanes_of_both(realms: Realms) -> None:
    realms.test.bulk_add(
        [
            {"job_id": 1, "queue_id": 0, "data": "x", "tags": ["a"]},
            {"realm_id": "test", "job_id": "1", "queue_id": 2, "data": "x", "tags": ["b", "a"]},
        ]
    )
    assert realms.test.get_job(1) == {"tags": ["a", "b"], "data": "x", "queues": [[0, 0], [2, 0]]}


def test_a_list_for_another_realm_is_refused(realms: Realms) -> None:
    with pytest.raises(BadInput, match="job 1 of the list: it is for the realm other, and this is test"):
        realms.test.bulk_add([{"realm_id": "other", "job_id": 1, "queue_id": 0}])


def test_nothing_is_added_from_an_empty_list(realms: Realms) -> None:
    realms.test.bulk_add([])
    realms.test.bulk_remove([])
    assert list(realms) == []


def test_pull_goes_by_numbers_then_names_and_up_to_the_last_lane_asked_for(realms: Realms) -> None:
    for lane in (10, "b", 2, "a", 1):
        realms.test.add(str(lane), lane, lane)
    assert list(realms.test.pull(count=2, max_queue=2)) == ["1", "2"]
    assert realms.test.pull(count=2, max_queue=2) == {}
    assert list(realms.test.pull(count=9, max_queue="a")) == ["10", "a"]
    assert realms.test.pull() == {"b": ["b", "b"]}


@pytest.mark.parametrize("place", ["local", "http"], indirect=True)
def test_more_jobs_are_pulled_than_one_request_may_ask_for(place: str, realm: str) -> None:
    with Realms() as realms:
        realms[realm].bulk_add([{"job_id": n, "queue_id": 0} for n in range(130)])
        assert len(realms[realm].pull(count=120)) == 120
        assert len(realms[realm].pull(count=120)) == 10


def test_what_is_held_already_is_given_when_the_backend_goes_meanwhile(realms: Realms) -> None:
    # given
    realms.test.bulk_add([{"job_id": n, "queue_id": 0} for n in range(101)])
    backend = realms.test._backend
    check_out = backend.check_out

    def once(*args: Any, **options: Any) -> Any:
        backend.check_out = gone  # type: ignore[method-assign]
        return check_out(*args, **options)

    def gone(*_: Any, **__: Any) -> Any:
        backend.check_out = check_out  # type: ignore[method-assign]
        raise Unreachable("it does not answer")

    backend.check_out = once  # type: ignore[method-assign]

    # when
    pulled = realms.test.pull(count=101)

    # then
    assert len(pulled) == 100
    realms.test.bulk_remove(pulled)
    backend.check_out = gone  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        realms.test.pull()
    assert realms.test.status["total_jobs"] == 1


def test_pulling_less_than_one_job_is_refused(realms: Realms) -> None:
    with pytest.raises(BadInput, match="0 jobs cannot be pulled"):
        realms.test.pull(count=0)


def test_what_does_not_exist_is_a_key_error(realms: Realms) -> None:
    for asked in (realms.test.get_job, realms.test.get_tagged_jobs, realms.test.get_tag_status):
        with pytest.raises(KeyError):
            asked("nope")
    realms.test.add("a", 0, tags=["t"])
    realms.test.remove_job("a")
    with pytest.raises(KeyError):
        realms.test.get_tag_status("t")


def test_status_counts_what_remains(realms: Realms) -> None:
    # given
    for number, tag in enumerate("aabc"):
        realms.test.add(number, number, tags=[tag])

    # when
    realms.test.pull(count=4)
    realms.test.ack(0)
    realms.test.ack(2)
    realms.test.remove_job(3)

    # then
    assert realms.test.status == {"queues": {"0": 0, "1": 1, "2": 0}, "total_jobs": 1, "total_tags": 1}
    assert realms.test.get_tag_status("a") == {"count": 1}
    assert list(realms.test.get_tagged_jobs("a")) == ["1"]
    assert realms.test.get_job(0)["queues"] == [[0, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_who_lost_a_lease_cannot_acknowledge_extend_or_remove(place: str, realm: str) -> None:
    with Realms() as realms, Realms() as others:
        # given a job whose holder was too slow
        slow, quick = realms[realm], others[realm]
        slow.set_queue_lease_time(0, 1)
        slow.add("a", 0, "x")
        assert slow.pull() == {"a": [0, "x"]}
        slow.set_queue_lease_time(0, 60)
        until(lambda: quick.pull() == {"a": [0, "x"]})

        # when
        for attempt in (slow.remove_job, slow.ack, slow.nack, slow.extend, slow.remove_job):
            with pytest.raises(LeaseLost, match="a"):
                attempt("a")

        # then
        ((lane, seconds),) = quick.get_job("a")["queues"]
        assert lane == 0
        assert seconds > 0
        quick.remove_job("a")
        slow.remove_job("a")  # gone is gone
        with pytest.raises(KeyError):
            quick.get_job("a")


@pytest.mark.slow
@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_a_lease_that_is_extended_outlives_its_first_end(place: str, realm: str) -> None:
    with Realms() as realms, Realms() as others:
        # given one job that is held on, and one that is not
        test = realms[realm]
        test.set_default_lease_time("2s")
        test.bulk_add([{"job_id": name, "queue_id": 0} for name in ("held", "left")])
        assert len(test.pull()) == 2
        test.extend("held", 60)

        # when the other one's lease has ended
        pulled: dict[str, Any] = {}
        until(lambda: bool(pulled.update(others[realm].pull())) or "left" in pulled)

        # then
        assert list(pulled) == ["left"]
        assert test.ack("held", result={"loss": 0.5})["state"] == "succeeded"


def test_jobs_given_back_are_pulled_again_at_once(realms: Realms) -> None:
    realms.test.add("a", 0, "x")
    for _ in range(3):
        assert realms.test.pull() == {"a": [0, "x"]}
        realms.test.nack("a")
    realms.test.pull()
    assert realms.test.nack("a", failed=True, exit_code=7, message="no such file")["state"] == "failed"
    assert realms.test.pull() == {}


def test_a_job_that_has_ended_is_queued_again_when_it_is_added_again(realms: Realms) -> None:
    realms.test.add("a", 0, "x", tags=["one"])
    realms.test.pull()
    realms.test.ack("a")
    realms.test.add("a", 0, "x", tags=["two"])
    assert sorted(realms.test.get_job("a")["tags"]) == ["one", "two"]
    assert realms.test.pull() == {"a": [0, "x"]}


def test_a_job_that_came_anew_is_not_taken_for_the_one_that_was_held(realms: Realms) -> None:
    realms.test.add("a", 0, "x", tags=["t"])
    realms.test.pull()
    realms.test.remove_tagged_jobs("t")
    realms.test.add("a", 0, "y")
    realms.test.remove_job("a")
    assert realms.test.status["total_jobs"] == 0


@pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
def test_what_was_not_pulled_here_cannot_be_acknowledged_here(verb: str, realms: Realms) -> None:
    realms.test.add("a", 0)
    with pytest.raises(BadInput, match="not pulled by this object"):
        getattr(realms.test, verb)("a")


def test_unknown_jobs_and_tags_are_removed_without_a_word(realms: Realms) -> None:
    realms.test.remove_job("nope")
    realms.test.remove_tagged_jobs("nope")
    realms.test.add("a", 0)
    realms.test.bulk_remove(["nope", "a", "nope"])
    assert realms.test.status["total_jobs"] == 0


def test_all_jobs_of_a_tag_are_removed(realms: Realms) -> None:
    for name, tags in (("a", ["t"]), ("b", ["t", "u"]), ("c", ["u"])):
        realms.test.add(name, 0, tags=tags)
    realms.test.remove_tagged_jobs("t")
    assert list(realms.test.get_tagged_jobs("u")) == ["c"]


def test_a_job_is_moved_and_pulled_from_its_new_lane(realms: Realms) -> None:
    realms.test.add("a", 5, "x")
    realms.test.move_job("a", 5, "urgent")
    assert realms.test.pull() == {"a": ["urgent", "x"]}


def test_moves_of_what_is_absent_elsewhere_or_checked_out_are_value_errors(realms: Realms) -> None:
    realms.test.add("a", 0)
    for name, source in (("nope", 0), ("a", 3)):
        with pytest.raises(ValueError, match=name):
            realms.test.move_job(name, source, 1)
    realms.test.pull()
    with pytest.raises(ValueError, match="running"):
        realms.test.move_job("a", 0, 1)


def test_a_lane_is_cleared_of_what_is_only_there(realms: Realms) -> None:
    # given
    realms.test.add("here", 0)
    realms.test.add("both", 0)
    realms.test.add("both", 1)

    # when
    realms.test.clear_queue(0)

    # then
    with pytest.raises(NotFound):
        realms.test.get_job("here")
    assert realms.test.pull() == {"both": [1, None]}


def test_clearing_an_unknown_lane_is_a_value_error(realms: Realms) -> None:
    with pytest.raises(ValueError, match="there is no lane 3 in test; it has none yet"):
        realms.test.clear_queue(3)
    realms.test.add("a", 0)
    with pytest.raises(ValueError, match="there is no lane 3 in test; it has 0"):
        realms.test.clear_queue(3)


@pytest.mark.parametrize("seconds", [-1, 0.5, "8d"])
def test_lease_times_that_no_queue_allows_are_refused(seconds: Any, realms: Realms) -> None:
    with pytest.raises(ValueError):
        realms.test.set_default_lease_time(seconds)
    with pytest.raises(ValueError):
        realms.test.set_queue_lease_time(0, seconds)


def test_lanes_have_lease_times_of_their_own_until_they_are_taken_away(realms: Realms) -> None:
    realms.test.set_default_lease_time("1h")
    realms.test.set_queue_lease_time(3, 60)
    settings = realms.test._backend.settings()
    assert (settings["lease"], settings["lane_leases"]) == (3600, {"3": 60})
    realms.test.set_default_lease_time(0)
    realms.test.set_queue_lease_time(3, 0)
    settings = realms.test._backend.settings()
    assert (settings["lease"], settings["lane_leases"]) == (None, {})


def test_a_worker_runs_what_was_added_as_text(realms: Realms) -> None:
    realms.test.add("a", 0, "echo hello")
    assert end_jobs(address="local:./q/test") == ["a"]
    assert realms.test.status["total_jobs"] == 0


def test_a_bad_move_changes_nothing(realms: Realms) -> None:
    realms.test.add("a", 0)
    with pytest.raises(IllegalTransition):
        realms.test.move_job("a", 1, 2)
    assert realms.test.get_job("a")["queues"] == [[0, 0]]
