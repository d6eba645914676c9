"""The shell's loop over HTTP, where neither Azure's libraries nor those of the service are installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobq.backend import Backend
from jobq.core.listing import Filter
from tests.cli.terminal import environment, served

_MISSING = ("azure", "aiohttp", "fastapi", "uvicorn", "opentelemetry", "jobq_service")
_THIN = f"""#!{sys.executable}
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {_MISSING!r} or name == "jobq.adapters":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from jobq.cli.main import main
main()
"""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of realm demo; `jobq` on the path is the thin client."""
    with served() as url:
        program = tmp_path / "bin" / "jobq"
        program.parent.mkdir()
        program.write_text(_THIN)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("JOBQ", url)
        yield url


def _shell(script: str) -> str:
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, env=environment(), timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("url")
def test_a_shell_works_through_the_realms_with_the_files_of_their_jobs(backend: Backend) -> None:
    out = _shell(
        """
        set -e
        mkdir data; echo 1,2,3 > data/table.csv; echo 'cat data/table.csv' > work.sh
        jobq add --tags=house --lane 2 --file work.sh --file data 'sh work.sh'
        rm -r data work.sh
        jobq -r other add --queue 1 -e 'A=it is' 'echo "$A other"; exit 3'
        jobq push --id 'a/b ü' -c 'echo first # of all'
        while work=$(jobq pull --print --ack --all-realms) && [ -n "$work" ]; do eval "$work"; done
        """
    )
    assert out == "first\nit is other\n1,2,3\n"
    assert [job["state"] for job in backend.jobs(Filter())["jobs"]] == ["succeeded", "succeeded"]
    (failed,) = json.loads(_shell("jobq -r other jobs -o json"))["jobs"]
    assert (failed["state"], failed["exit_code"]) == ("failed", 3)


@pytest.mark.usefixtures("url")
def test_what_is_asked_of_a_realm_needs_no_more() -> None:
    out = _shell(
        """
        jobq add --tags=house 'do the dishes' && jobq add --tags=work 'do the dishes' -o ids
        jobq get house; jobq list -o ids; jobq status | head -1
        jobq move --all --from 0 --to 3; jobq realm set --lease 1h -o jsonl | cut -c 1-34
        jobq pull --print --max-lane 2; jobq pull --print; jobq status arg do the dishes | head -2
        jobq remove arg do the dishes; jobq realm delete --yes
        """
    )
    assert out.splitlines()[1:] == [
        "do the dishes",
        "demo",
        "Contains 2 tags with 1 job",
        '{"realm":"demo","lanes":["0","3"],',
        "do the dishes",
        "Status of argument do the dishes: running",
        "Tagged with: house, work",
    ]
