"""What a job and its worker say to each other through files, and what a hostile job makes of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.cli.describe import describe
from jobq.core.api import RealmApi
from jobq.core.documents import job_document
from jobq.core.realm import Realm
from jobq.errors import BadInput
from jobq.model.job import Job, JobState, Progress, Reason, Spec
from jobq.worker.directory import MAX_RESULT_BYTES, MAX_TEXT_BYTES, JobDirectory
from tests.until import until
from tests.worker.running import jobs, push, shell, work, working


async def test_directory_with_unwritable_content_is_removed_and_what_links_point_to_is_left(tmp_path: Path) -> None:
    # Given a read-only directory with a file, and a link to something outside
    outside, directory = tmp_path / "outside", JobDirectory.make()
    outside.mkdir(mode=0o755)
    inner = directory.work / "inner"
    inner.mkdir()
    (inner / "file").write_text("x")
    (inner / "link").symlink_to(outside)
    (inner / "file").chmod(0o400)
    inner.chmod(0o500)

    await directory.remove()

    assert not directory.root.exists()
    assert outside.stat().st_mode & 0o777 == 0o755


async def test_result_that_a_job_writes_is_stored_with_it(realm: Realm) -> None:
    (job_id,) = await push(realm, """echo '{"loss": 0.25, "who": "Zoë"}' > $JOBQ_RESULT""")

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.result) == ("succeeded", {"loss": 0.25, "who": "Zoë"})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("echo 'no json' > $JOBQ_RESULT", "its result is no JSON: Expecting value"),
        ("echo NaN > $JOBQ_RESULT", "its result is no JSON: NaN is not JSON"),
        ("printf '\\xff' > $JOBQ_RESULT", "its result is no JSON"),
        ("printf '[%.0s' {1..100000} > $JOBQ_RESULT", "its result is no JSON"),
        (f"truncate -s {MAX_RESULT_BYTES + 1} $JOBQ_RESULT", "larger than 16,777,216 bytes"),
    ],
)
async def test_job_whose_result_cannot_be_stored_has_not_succeeded(realm: Realm, written: str, said: str) -> None:
    (job_id,) = await push(realm, written)

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.reason, job.result) == ("failed", Reason.UPLOAD, None)
    assert said in job.message


async def test_result_of_a_job_that_failed_is_not_kept(realm: Realm) -> None:
    (job_id,) = await push(realm, "echo 1 > $JOBQ_RESULT; exit 3")

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.reason, job.result) == (Reason.EXIT, None)


@pytest.mark.parametrize(
    ("how", "message"), [("exit 3", "no such data set"), ("kill -SEGV $$", "killed by SIGSEGV: no such data set")]
)
async def test_failed_job_says_why_in_its_own_words(realm: Realm, how: str, message: str) -> None:
    (job_id,) = await push(realm, f"echo no such data set > $JOBQ_ERROR_FILE; {how}")

    await work(realm)

    assert (await jobs(realm, [job_id]))[0].message == message


async def test_words_of_a_job_that_succeeded_are_no_error(realm: Realm) -> None:
    (job_id,) = await push(realm, "echo nothing to see > $JOBQ_ERROR_FILE")

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.message) == ("succeeded", "")


async def test_job_knows_when_its_time_is_up(realm: Realm) -> None:
    ids = await push(
        realm,
        shell("echo $((JOBQ_DEADLINE - $(date +%s)))", timeout=timedelta(minutes=5)),
        "echo ${JOBQ_DEADLINE-none}",
    )

    await work(realm)

    first, second = await jobs(realm, ids)
    assert 270 <= int(first.tail) <= 300
    assert second.tail == "none"


async def test_progress_that_a_job_writes_is_seen_while_it_runs(realm: Realm, tmp_path: Path) -> None:
    # Given a job that tells how far it is, and one that tells nothing
    wait = f"until [ -e {tmp_path}/over ]; do sleep 0.05; done"
    ids = await push(realm, f"echo 0.1 > $JOBQ_PROGRESS; echo '0.4 epoch 12' >> $JOBQ_PROGRESS; {wait}", wait)
    api = RealmApi(realm)

    async with working(realm, slots=2):
        # When its worker has told of it
        await until(lambda: _tells(api, ids[0]))

        # Then everybody sees it, and the worker's list has it, too
        told = {"fraction": 0.4, "text": "epoch 12"}
        assert [(await api.job(job_id))["progress"] for job_id in ids] == [told, None]
        (worker,) = (await api.workers())["workers"]
        assert worker["progress"] == {ids[0]: told}
        (tmp_path / "over").touch()
        await until(lambda: _tells_nothing(api, ids[0]))


async def _tells(api: RealmApi, job_id: str) -> bool:
    return (await api.job(job_id))["progress"] is not None


async def _tells_nothing(api: RealmApi, job_id: str) -> bool:
    job = await api.job(job_id)
    return job["state"] == "succeeded" and job["progress"] is None


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        ({"fraction": 0.4, "text": "epoch 12"}, "40 % epoch 12"),
        ({"fraction": 1.0, "text": ""}, "100 %"),
        ({"fraction": None, "text": "reading \x1b[31mred"}, "reading \N{REPLACEMENT CHARACTER}[31mred"),
    ],
)
def test_progress_is_shown_as_a_person_reads_it(
    capsys: pytest.CaptureFixture[str], progress: dict[str, object], line: str
) -> None:
    job = Job("j1", "b", Spec(command="true"), state=JobState.RUNNING, worker="w-1")

    describe(job_document(job) | {"progress": progress})

    assert f"progress  {line}\n" in capsys.readouterr().out


def link_to_secret(file: Path) -> None:
    secret = file.parent / "secret"
    secret.write_text("7")
    file.symlink_to(secret)


@pytest.mark.parametrize(
    "make", [link_to_secret, os.mkfifo, Path.mkdir, lambda file: file.symlink_to("/dev/zero"), lambda file: None]
)
def test_what_is_no_plain_file_is_as_if_it_were_not_there(
    directory: JobDirectory, make: Callable[[Path], None]
) -> None:
    for variable in ("JOBQ_RESULT", "JOBQ_ERROR_FILE", "JOBQ_PROGRESS"):
        make(Path(directory.environment[variable]))
        (directory.root / "secret").unlink(missing_ok=True)

    assert (directory.result(), directory.error(), directory.progress()) == (None, "", None)


def test_endless_words_are_cut(directory: JobDirectory) -> None:
    Path(directory.environment["JOBQ_ERROR_FILE"]).write_text("ä" * 100_000)
    Path(directory.environment["JOBQ_PROGRESS"]).write_text("0.1 begin\n" * 100_000 + "0.9 end " + "x" * 500)

    assert len(directory.error().encode()) <= MAX_TEXT_BYTES
    progress = directory.progress()
    assert progress is not None
    assert (progress.fraction, len(progress.text), progress.text[:4]) == (0.9, 100, "end ")


@pytest.mark.parametrize(
    ("written", "progress"),
    [
        ("0.4 epoch 12\n", Progress(0.4, "epoch 12")),
        ("0.1\n0.4 epoch 12\n", Progress(0.4, "epoch 12")),
        ("40% half\n\n", Progress(0.4, "half")),
        ("1", Progress(1.0, "")),
        ("7", Progress(1.0, "")),
        ("-1 x", Progress(0.0, "x")),
        ("nan x", Progress(None, "x")),
        ("reading files", Progress(None, "reading files")),
        ("", None),
        (" \n", None),
    ],
)
def test_progress_is_the_last_line_that_was_written(written: str, progress: Progress | None) -> None:
    assert Progress.parse(written) == progress


def test_large_result_is_stored_beside_the_row(directory: JobDirectory) -> None:
    value = ["x" * 1000] * 1000
    Path(directory.environment["JOBQ_RESULT"]).write_text(json.dumps(value))

    assert directory.result() == value


def test_result_that_is_no_json_names_the_place(directory: JobDirectory) -> None:
    Path(directory.environment["JOBQ_RESULT"]).write_text('{\n"a": 1,\n}')

    with pytest.raises(BadInput, match="line 3 column 1"):
        directory.result()
