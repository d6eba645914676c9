"""What a step of a job writes: its row, its index rows, its counts."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace

import pytest

from jobq.core.ports import MAX_CHANGES, ChangeKind
from jobq.core.transition import join, move
from jobq.model.counts import Counts, Ever
from jobq.model.job import Job, JobState, Outcome, Reason, Spec
from jobq.model.names import MAX_LANES, MAX_TAGS, shard_of

JOB = Job("b-1", "b", Spec(command="true", tags=("t", "ü/~"), lanes=("0", "x")), etag="e1")
FAILED = replace(JOB, state=JobState.FAILED, reason=Reason.EXIT)
TOLD = ["r", "bb", "tt", "t!c3!bc!2f!7e"]
"""Labels that what has happened is counted under."""
LANES = ["l0", "lx"]
LABELS = TOLD + LANES
ERROR = "e" + hashlib.sha256(b"exit: no output").hexdigest()[:12]


def test_new_job_has_a_row_its_tag_rows_and_a_count_for_each_label() -> None:
    unit = move(None, JOB)

    assert unit.shard == shard_of("b-1")
    assert [change.kind for change in unit.changes] == [ChangeKind.CREATE] * 3
    assert [change.key for change in unit.changes] == ["job~b-1", "tag~t!c3!bc!2f!7e~b-1", "tag~tt~b-1"]
    assert unit.counts == dict.fromkeys(LABELS, Counts(total=1))
    assert unit.names["t!c3!bc!2f!7e"] == "ü/~"


def test_job_whose_id_does_not_say_its_batch_is_listed_under_it() -> None:
    assert "tag~bb~own" in [change.key for change in move(None, replace(JOB, id="own")).changes]


def test_start_of_an_attempt_is_one_change_with_the_etag_and_counts_nothing() -> None:
    unit = move(JOB, JOB.moved_to(JobState.RUNNING, claim="c"))

    [change] = unit.changes
    assert (change.kind, change.etag) == (ChangeKind.MERGE, "e1")
    assert change.values == {"state": "running", "claim": "c"}
    assert unit.counts == {}


def test_failure_adds_a_row_to_each_list_of_failed_jobs() -> None:
    unit = move(JOB, FAILED)

    assert {change.key for change in unit.changes[1:]} == {
        "failed~r~b-1", "failed~bb~b-1", "failed~tt~b-1", "failed~t!c3!bc!2f!7e~b-1",
    }  # fmt: skip
    assert unit.counts == {
        **dict.fromkeys(TOLD, Counts(failed=1, ever=Ever(failed=1))),
        **dict.fromkeys(LANES, Counts(failed=1)),
        ERROR: Counts(total=1, failed=1),
    }
    assert unit.names[ERROR] == "exit: no output"


def test_job_that_fails_in_another_way_is_counted_under_another_error() -> None:
    unit = move(FAILED, replace(FAILED, tail="no such file"))

    assert {label[0]: counts for label, counts in unit.counts.items() if label == ERROR} == {
        "e": Counts(total=-1, failed=-1)
    }
    [other] = unit.counts.keys() - {ERROR}
    assert (unit.counts[other], unit.names[other]) == (Counts(total=1, failed=1), "exit: no such file")


RUNNING = replace(JOB, state=JobState.RUNNING)


@pytest.mark.parametrize(
    ("after", "ever"),
    [
        (replace(JOB, tries={Reason.PREEMPTED: 1}), Ever(preempted=1)),
        (replace(RUNNING, tries={Reason.LOST: 1}), Ever(lost=1)),
        (replace(FAILED, tries={Reason.LOST: 1}, tail="x"), Ever(failed=1, lost=1)),
        (JOB.moved_to(JobState.SUCCEEDED, seconds=1), Ever(runs=(1,))),
        (JOB.moved_to(JobState.SUCCEEDED, seconds=11.5), Ever(runs=(0, 0, 0, 1))),
        (JOB.moved_to(JobState.SUCCEEDED, seconds=10**6), Ever(runs=(0,) * 12 + (1,))),
        (JOB.moved_to(JobState.CANCELLED), Ever()),
        (replace(JOB, tries={Reason.EXIT: 1}), Ever()),
    ],
)
def test_what_has_happened_is_counted_under_realm_batch_and_tags(after: Job, ever: Ever) -> None:
    unit = move(RUNNING, after)

    told = {label: unit.counts.get(label, Counts()).ever for label in LABELS}
    assert told == {**dict.fromkeys(TOLD, ever), **dict.fromkeys(LANES, Ever())}


def test_what_has_happened_stays_when_the_job_is_tried_again_replaced_or_removed() -> None:
    done = replace(JOB, state=JobState.SUCCEEDED, seconds=5, tries={Reason.PREEMPTED: 3})

    for after in (JOB, replace(JOB, tries=done.tries), None):
        assert {counts.ever for counts in move(done, after).counts.values()} == {Ever()}


def test_each_step_of_a_job_with_all_tags_and_lanes_fits_in_a_transaction() -> None:
    spec = Spec(command="true", tags=tuple(f"t{n}" for n in range(MAX_TAGS)), lanes=tuple(map(str, range(MAX_LANES))))
    queued = Job("own", "b", spec)
    failed = replace(queued, state=JobState.FAILED, reason=Reason.EXIT, tries={Reason.EXIT: 1, Reason.LOST: 1})
    steps = [(None, queued), (queued, failed), (failed, queued), (queued, None), (failed, None)]
    steps += [(queued, replace(queued, tries={Reason.PREEMPTED: 1})), (replace(failed, tail="x"), failed)]

    sizes = [len(unit.changes) + len(unit.counts) for unit in itertools.starmap(move, steps)]

    assert max(sizes) + 1 <= MAX_CHANGES  # with an outbox row


def test_retry_takes_back_what_the_failure_wrote_and_counted() -> None:
    there, back = move(JOB, FAILED), move(FAILED, JOB)

    assert {change.key for change in there.changes} == {change.key for change in back.changes}
    assert {change.kind for change in back.changes[1:]} == {ChangeKind.DELETE}
    assert back.counts == {**dict.fromkeys(LABELS, Counts(failed=-1)), ERROR: Counts(total=-1, failed=-1)}


def test_removal_takes_everything_back() -> None:
    unit = move(FAILED, None)

    assert {change.kind for change in unit.changes} == {ChangeKind.DELETE}
    assert len(unit.changes) == 1 + 2 + 4
    assert unit.changes[0].etag == "e1"
    assert unit.counts == dict.fromkeys([*LABELS, ERROR], Counts(total=-1, failed=-1))


def test_change_of_tags_and_lanes_moves_the_counts() -> None:
    unit = move(FAILED, replace(JOB, spec=Spec(command="true", tags=("new",), lanes=("0",))))

    assert unit.counts == {
        "r": Counts(failed=-1),
        "bb": Counts(failed=-1),
        "l0": Counts(failed=-1),
        "tt": Counts(total=-1, failed=-1),
        "t!c3!bc!2f!7e": Counts(total=-1, failed=-1),
        "lx": Counts(total=-1, failed=-1),
        "tnew": Counts(total=1),
        ERROR: Counts(total=-1, failed=-1),
    }
    assert {change.kind for change in unit.changes if change.key == "tag~tnew~b-1"} == {ChangeKind.CREATE}


def test_column_that_is_empty_again_is_cleared() -> None:
    unit = move(replace(FAILED, exit_code=3, tail="x", attempt=2), JOB)
    assert unit.changes[0].values == {"state": "queued", "reason": "", "exit_code": "", "tail": "", "attempt": 0}


def test_long_id_is_hashed_in_keys_and_kept_in_rows() -> None:
    job = replace(JOB, id="é" * 100)
    unit = move(None, job)

    assert max(len(change.key) for change in unit.changes) < 420
    assert unit.changes[0].values["id"] == job.id
    assert [change.values for change in unit.changes[1:]] == [{"id": job.id}] * 3


def test_move_from_nothing_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a job"):
        move(None, None)


def test_joined_units_add_up_their_counts_and_say_where_each_begins() -> None:
    unit, firsts = join([move(None, JOB), move(None, replace(JOB, id="b-3"))])

    assert [unit.changes[first].key for first in firsts] == ["job~b-1", "job~b-3"]
    assert unit.counts["r"] == Counts(total=2)
    assert Outcome().is_ok
