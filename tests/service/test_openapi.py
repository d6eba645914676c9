"""The OpenAPI document against a real service: whatever is made up from it, good and bad, is answered as it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from jobq.adapters.local import LocalStack
from jobq.core.logs import log_key
from jobq.core.operate import change
from jobq.core.realm import Realm
from jobq.core.workers import WorkerRow
from jobq.model.files import digest_of, name_in
from jobq.model.job import JobState
from tests.service.test_serve import environment, serving

KEY = "one-key-for-all-of-them"
HEADERS = {"x-functions-key": KEY}
TIMEOUT = 30
EXAMPLES = 8
"""Of an operation, made up at random; on top come those of the document, and each limit that it names."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
FILE = b"echo I came along\n"
FILE_NAME = name_in("202611", digest_of(FILE))
JOBS = {state: [f"{state}-{number}" for number in range(4)] for state in JobState}
"""Ids, by state; several in each, as some are removed on the way."""
HELD = ("ack", "nack", "extend")
"""Jobs that are checked out, by what becomes of them."""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    with serving(tmp_path, JOBQ_SERVE_KEYS=KEY) as (url, process):
        assert process.stderr is not None
        Thread(target=process.stderr.read).start()  # a line for each request: they would fill the pipe
        tokens = fill(url)
        await give_states(tmp_path / "q")
        (tmp_path / "st.toml").write_text(config(tokens))

        done = schemathesis(tmp_path, f"{url}/status/openapi.json")

        answered = succeeded(requests.get(f"{url}/status/metrics", headers=HEADERS, timeout=TIMEOUT).text)
        document = requests.get(f"{url}/status/openapi.json", headers=HEADERS, timeout=TIMEOUT).json()
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    operations = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    assert operations - answered == set(), "these were never answered with success, so their answers were not looked at"


def fill(url: str) -> dict[str, str]:
    """Jobs, a file, and what is checked out: the tokens of that, by job."""
    ids = [*HELD, *(name for names in JOBS.values() for name in names)]
    jobs = [{"id": name, "cmd": "true", "tags": ["t"], "lane": 0 if name in HELD else 5} for name in ids]
    post(f"{url}/enqueue/demo/jobs", {"batch": "b1", "jobs": jobs})
    post(f"{url}/enqueue/old/jobs", {"jobs": [{"cmd": "true"}]})
    binary = HEADERS | {"content-type": "application/octet-stream"}
    requests.put(f"{url}/enqueue/demo/files/{FILE_NAME}", FILE, headers=binary, timeout=TIMEOUT).raise_for_status()
    taken = post(f"{url}/checkout/demo/jobs", {"count": len(HELD), "lease": "1h", "max_lane": 0})["jobs"]
    return {job["id"]: job["token"] for job in taken}


async def give_states(folder: Path) -> None:
    """To the jobs of realm demo, as a worker would, which is there, too, and has written logs."""
    stack = LocalStack(folder)
    realm = Realm(stack, "demo")
    for state, names in JOBS.items():
        for name in names:
            await change(realm, name, lambda job, state=state: replace(job, state=state, attempt=1, worker="w"))
            await stack.blobs.append(log_key("demo", name, 1), b"one\n")
    running = [await realm.read(name) for name in JOBS[JobState.RUNNING]]
    await WorkerRow(realm, "w", 4).beat(running, believe=timedelta(hours=1))
    await stack.close()


def config(tokens: Mapping[str, str]) -> str:
    """Names that are there, taken most of the time, lest nearly all requests end as 404."""
    usual = {
        "path.realm": ["demo"],
        "path.job": [name for names in JOBS.values() for name in names],
        "path.tag": ["t"],
        "path.batch": ["b1"],
        "path.worker": ["w"],
        "path.name": [FILE_NAME],
        "query.tag": ["t"],
        "query.since": ["10m"],
    }
    special: dict[str, dict[str, Sequence[str]]] = {
        "GET /api/status/{realm}/jobs/{job}/files": {"path.job": JOBS[JobState.SUCCEEDED]},
        "GET /api/status/{realm}/jobs/{job}/log": {"path.job": JOBS[JobState.SUCCEEDED]},
        "GET /api/status/{realm}/jobs/{job}/log/start": {"path.job": JOBS[JobState.SUCCEEDED]},
        "POST /api/manage/{realm}/jobs/{job}/cancel": {"path.job": JOBS[JobState.QUEUED]},
        "POST /api/manage/{realm}/jobs/{job}/retry": {"path.job": JOBS[JobState.FAILED]},
        "POST /api/manage/{realm}/jobs/{job}/preempt": {"path.job": JOBS[JobState.RUNNING]},
        "DELETE /api/manage/{realm}": {"path.realm": ["old"]},
        "PUT /api/enqueue/{realm}/jobs/{job}": {"path.job": ["fresh"]},
    }
    for verb, token in tokens.items():
        name = f"POST /api/checkout/{{realm}}/jobs/{{job}}/{verb}"
        special[name] = {"path.job": [verb], "body.token": [token]}
    dictionaries: list[str] = []
    places = ["[parameters]", *_bound(usual, dictionaries)]
    for name, words in special.items():
        places += [
            "[[operations]]",
            f'include-name = "{name}"',
            "[operations.parameters]",
            *_bound(words, dictionaries),
        ]
    return "\n".join([*dictionaries, *places])


def _bound(words: Mapping[str, Sequence[str]], dictionaries: list[str]) -> list[str]:
    lines = []
    for place, values in words.items():
        name = f"d{len(dictionaries)}"
        dictionaries.append(f"[dictionaries.{name}]\nvalues = {json.dumps(list(values))}")
        lines.append(f'"{place}" = {{ dictionary = "{name}", probability = 0.7 }}')
    return lines


def schemathesis(folder: Path, document: str) -> subprocess.CompletedProcess[str]:
    """The same requests each time."""
    options = ["run", document, "--checks", ",".join(CHECKS), "-n", str(EXAMPLES), "-H", f"x-functions-key: {KEY}"]
    options += ["--generation-deterministic", "--no-shrink", "--warnings", "off"]
    options += ["--phases", "examples,fuzzing", "--request-timeout", str(TIMEOUT), "--continue-on-failure"]
    asked = [str(Path(sys.executable).with_name("st")), "--config-file", "st.toml", *options, "--no-color"]
    env = environment(folder, SCHEMATHESIS_HOOKS="tests.service.openapi_hooks")
    return subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True, timeout=280)


def succeeded(metrics: str) -> set[tuple[str, str]]:
    """Methods and routes that were answered with 2xx, as the service itself has counted them."""
    counted = r'duration_seconds_count\{function="[a-z]+",method="([A-Z]+)",route="([^"]+)",status="2xx"\}'
    return set(re.findall(counted, metrics))


def post(url: str, body: object) -> dict[str, Any]:
    answer = requests.post(url, json=body, headers=HEADERS, timeout=TIMEOUT)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document
