"""restq's documented session in Python, replayed line by line on every stack.

The texts are those of its README; `realms.test` is a realm of the test's own, and two adds that the README leaves out
are between them (its status counts seven jobs).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.realms.serving import KINDS

RESTQ = "from restq import Realms"
OURS = "from jobq import Realms"
"""The only line that differs."""

SESSION = [
    (RESTQ, None),
    ("realms = Realms()", None),
    ("realms.test.add('job 1', 0, 'do the dishes', tags=['house work'])", None),
    ("realms.test.add('job 2', 0, 'cut the grass', tags=['house work'])", None),
    ("realms.test.add('job 3', 1, 'fix bugs in restq', tags=['devel'])", None),
    ("realms.test.add('job 4', 3, 'document restq', tags=['devel'])", None),
    ("realms.test.add('job 5', 0, 'go for walk', tags=['sport'])", None),
    ("realms.test.add('job 6', 0, 'go for walk with dog', tags=['sport'])", None),  # not in the README
    ("realms.test.add('job 7', 2, 'go for bike ride', tags=['sport'])", None),  # not in the README
    (
        "realms.test.status",
        "{u'queues': {u'0': 4, u'1': 1, u'2': 1, u'3': 1}, u'total_jobs': 7, u'total_tags': 3}",
    ),
    ("jobs = realms.test.pull(count=7)", None),
    (
        "jobs",
        """{u'job 1': [0, u'do the dishes'],
            u'job 2': [0, u'cut the grass'],
            u'job 3': [1, u'fix bugs in restq'],
            u'job 4': [3, u'document restq'],
            u'job 5': [0, u'go for walk'],
            u'job 6': [0, u'go for walk with dog'],
            u'job 7': [2, u'go for bike ride']}""",
    ),
    ("realms.test.get_tag_status('house work')", "{u'count': 2}"),
    (
        "realms.test.get_tagged_jobs('devel')",
        """{u'job 3': {u'data': u'fix bugs in restq',
                       u'queues': [[1, 82.17003393173218]],
                       u'tags': [u'devel']},
            u'job 4': {u'data': u'document restq',
                       u'queues': [[3, 82.16989994049072]],
                       u'tags': [u'devel']}}""",
    ),
]

TAB = """add bulk_add get_job get_tag_status get_tagged_jobs name pull remove_job remove_tagged_jobs
set_default_lease_time set_queue_lease_time status"""
"""What the README's completion lists; `bulk_flush` is `bulk_remove` in restq's code, `request` and `requester` are
inner parts of it."""


@pytest.mark.slow
@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_documented_session_gives_the_same_values(place: str, realm: str) -> None:
    # given
    namespace: dict[str, Any] = {}
    try:
        for line, shown in SESSION:
            ours = line.replace(RESTQ, OURS).replace("realms.test", f"realms.{realm}")
            if shown is None:
                # when
                exec(ours, namespace)
            else:
                # then
                assert _without_clock(eval(ours, namespace)) == _without_clock(eval(shown)), line
        assert set(TAB.split()) <= set(dir(namespace["realms"][realm]))
        assert realm in dir(namespace["realms"])
    finally:
        namespace["realms"].close()


def _without_clock(value: Any) -> Any:
    """Seconds since a checkout, which no two sessions have alike, as whether there are any."""
    if isinstance(value, dict):
        return {key: _without_clock(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_clock(inner) for inner in value]
    return value > 0 if isinstance(value, float) else value
