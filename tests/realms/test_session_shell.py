"""restq's documented session in the shell, replayed line by line on every stack, ours beside each line.

The lines are those of its README. Two things differ: a job that is in two queues is not handed out twice, as it should,
and a lease of twenty seconds stands for the ten minutes of the README.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.terminal import RUN, environment, until
from tests.docs.shell import Shell


@dataclass(frozen=True)
class Line:
    restq: str
    jobq: str
    shows: str = ""
    """Of ours, a pattern of its whole standard output."""
    after_lease: bool = False
    """It is asked again until a lease has ended."""


SESSION = [
    Line("", "jobq realm set --lease 20s > /dev/null"),  # not in the README, whose reader waits for ten minutes
    # Adding arguments into the default realm
    Line('restq add "ls -lah"', 'jobq add "ls -lah"'),
    Line('restq add --tags=work "ls -lah"', 'jobq add --tags=work "ls -lah"'),
    Line("restq add --tags=work,fun  pwd", "jobq add --tags=work,fun  pwd"),
    Line("restq status", "jobq status", r"Contains 2 tags with 2 jobs\n.*lane +0 +2 .*"),
    Line("restq add --queue=1 pwd", "jobq add --queue=1 pwd"),
    Line("restq status", "jobq status", r"Contains 2 tags with 2 jobs\n.*lane +0 +2 .*lane +1 +1 .*"),
    # Pulling (or doing a checkout) of arguments for execution
    Line(
        'while read i; do eval "$i"; done < <(restq pull --count=2)',
        'while read i; do eval "$i"; done < <(jobq pull --print --count=2)',
        r"total .*/work\n",
    ),
    Line("restq pull", "jobq pull --print", ""),  # restq hands pwd out once more, from its other queue
    Line(
        "restq status arg pwd",
        "jobq status arg pwd",
        r"Status of argument pwd.*\nTagged with: .*work.*\n.*since checkout\n +0 \| \d+\.\d+\n +1 \| \d+\.\d+\n",
    ),
    Line("restq remove arg pwd", "jobq remove arg pwd"),
    Line("restq pull", "jobq pull --print", r"ls -lah\n", after_lease=True),
    Line("", "jobq status", r"Contains 1 tag with 1 job\n.*"),  # the fun tag no longer exists
    # How to distribute a shell script for execution
    Line(
        'restq add --file=work.sh "chmod +x work.sh; ./work.sh"',
        'jobq add --file=work.sh "chmod +x work.sh; ./work.sh"',
    ),
    Line("", "mkdir elsewhere; cd elsewhere"),
    Line('eval "`restq pull`"', 'eval "`jobq pull --print`"', r"the script runs in elsewhere\n"),
    Line("", 'jobq add "echo in a loop"'),
    Line(
        'while [ 1 ]; do while read i; do eval "$i"; done < <(restq pull); sleep 1; done',
        'for i in 1 2; do while read i; do eval "$i"; done < <(jobq pull --print); done',
        r".*in a loop\n.*",
    ),
]


@pytest.fixture
def shell(place: str) -> Iterator[Shell]:
    """With `jobq` as a command, in a folder with the README's script."""
    Path("work.sh").write_text("#!/bin/sh\necho the script runs in $(basename $PWD)\n")
    shell = Shell(Path.cwd(), environment() | {"COLUMNS": "200"})
    shell.run(f'jobq() {{ {shlex.join(RUN)} "$@"; }}')
    yield shell
    shell.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
def test_documented_session_is_replayed_line_by_line(shell: Shell) -> None:
    for line in SESSION:
        # when
        shown, code = shell.run(line.jobq)
        if line.after_lease:
            until(lambda line=line: is_shown(shell, line), within=120)  # type: ignore[misc]
            continue
        # then
        assert code == 0, line
        if line.shows or line.jobq.startswith("jobq pull"):
            assert re.fullmatch(line.shows, shown, re.DOTALL), f"$ {line.jobq}\n{shown}"


def is_shown(shell: Shell, line: Line) -> bool:
    return bool(re.fullmatch(line.shows, shell.run(line.jobq)[0], re.DOTALL))
