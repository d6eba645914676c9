"""Which traces are taken, and how a job carries one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobq.core.ports import Row
from jobq.core.rows import job_of, values_of
from jobq.errors import BadInput
from jobq.model.job import Job, Spec
from jobq.model.submission import parse_line
from jobq.model.ticket import decode_ticket, encode_entry, encode_ticket
from jobq.model.wire import spec_from_json, spec_to_json

ONE = f"00-{'ab' * 16}-{'cd' * 8}-01"
OTHER = f"00-{'12' * 16}-{'34' * 8}-00"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", [ONE, OTHER])
def test_traceparent_is_part_of_the_spec(value: str) -> None:
    spec = spec_from_json({"cmd": "true", "traceparent": value})
    assert spec_from_json(spec_to_json(spec)).traceparent == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "01" + ONE[2:],
        ONE.upper(),
        f"00-{'0' * 32}-{'cd' * 8}-01",
        f"00-{'ab' * 16}-{'0' * 16}-01",
        ONE + "\n",
        ONE + "-x",
        7,
        [ONE],
    ],
)
def test_what_is_no_traceparent_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="W3C Trace Context"):
        spec_from_json({"cmd": "true", "traceparent": value})


def test_ticket_of_a_traced_job_says_when_it_was_pushed() -> None:
    for parent, pushed_at in ((ONE, NOON), ("", None)):
        job = Job("b-1", "b", Spec(command="true", traceparent=parent), etag="e", pushed_at=NOON)
        found = decode_ticket(encode_ticket("t", [encode_entry(job)])).entries[0].job
        assert found
        assert (found.spec, found.pushed_at) == (job.spec, pushed_at)


def test_row_of_a_job_holds_its_trace() -> None:
    job = Job("b-1", "b", Spec(command="true", traceparent=ONE))
    assert job_of(Row("k", "", values_of(job))) == job
    assert "traceparent" not in values_of(Job("b-1", "b", Spec(command="true")))


def test_line_that_names_a_trace_is_not_part_of_the_push_s_own() -> None:
    defaults = Spec(traceparent=ONE)
    lines = ["true", '{"cmd": "true"}', '{"x": 1}', f'{{"cmd": "true", "traceparent": "{OTHER}"}}']
    jobs = [parse_line(line, batch="b", position=1, defaults=defaults) for line in lines]
    assert [job.spec.traceparent for job in jobs] == [ONE, ONE, ONE, OTHER]
