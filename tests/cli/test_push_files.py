"""`push --file`: what may be shipped, what is stored, and how often."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jobq import Client
from jobq.adapters.local import LocalStack
from jobq.backend import Backend
from jobq.core.files import Contents
from jobq.core.listing import Filter
from jobq.core.meter import Meter, metered
from jobq.direct import DirectBackend
from jobq.errors import BadInput
from jobq.model.files import PIECE_BYTES
from jobq.shipping import Shipment, pack, ship
from tests.cli.terminal import Terminal, run_process


@pytest.fixture(autouse=True)
def folder() -> Path:
    """`train.py`, and `data` with two files, one of them of several pieces."""
    Path("train.py").write_text("print(open('data/my table').read())")
    Path("data/deep").mkdir(parents=True)
    Path("data/my table").write_text("1 2 3")
    Path("data/deep/größe.bin").write_bytes(os.urandom(PIECE_BYTES) + b"end")
    return Path.cwd()


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Counts the storage transactions of the folder's queue."""
    meter = Meter()
    monkeypatch.setattr(
        "jobq.connect.open_stack", lambda address, settings, **_: metered(LocalStack(Path(address.place)), meter)
    )
    return meter


def stored() -> list[Path]:
    return sorted(path for path in Path("q/blobs/file").rglob("*") if path.is_file())


def test_files_are_stored_once_for_a_thousand_jobs(terminal: Terminal, backend: Backend, meter: Meter) -> None:
    lines = "".join(f"python train.py {n}\n" for n in range(1000))

    answer = terminal("push", "--file", "train.py", "--file", "data", "--batch", "b", given=lines)

    assert answer.code == 0, answer.err
    assert "Stored 3 files (4,194,347 bytes) for the jobs" in answer.err
    assert meter["blob.put"] == len(stored()) == 5  # one file is of two pieces, and there is the list of all
    names = {job["files"] for job in backend.jobs(Filter(), limit=1000)["jobs"]}
    assert len(names) == 1
    assert str(stored()[0].parent / names.pop()) in map(str, stored())


def test_second_push_of_the_same_files_stores_nothing(terminal: Terminal, meter: Meter) -> None:
    terminal("push", "--file", "data", "--file", "train.py", "-c", "true")
    before = meter["blob.put"]

    answer = terminal("push", "--file", "./train.py", "--file", "data/", "-c", "true")

    assert meter["blob.put"] == before
    assert "3 files for the jobs, stored before" in answer.err


def test_only_what_is_new_is_stored(terminal: Terminal, meter: Meter) -> None:
    terminal("push", "--file", "data", "-c", "true")
    before = meter["blob.put"]
    Path("data/my table").write_text("4 5 6")

    terminal("push", "--file", "data", "-c", "true")

    assert meter["blob.put"] - before == 2


def test_what_has_gone_from_the_store_is_stored_again(terminal: Terminal) -> None:
    terminal("push", "--file", "data", "-c", "true")
    were = stored()
    were[0].unlink()

    terminal("push", "--file", "data", "-c", "true")

    assert stored() == were


def test_dry_run_checks_the_files_and_stores_none(terminal: Terminal) -> None:
    assert terminal("push", "--dry-run", "--file", "nope", "-c", "true").code == 2

    answer = terminal("push", "--dry-run", "--file", "data", "-c", "true", "--output", "jsonl")

    assert json.loads(answer.out)["files"]
    assert not Path("q").exists()


def test_show_tells_the_files_and_lines_of_json_keep_them(terminal: Terminal, backend: Backend) -> None:
    lines = '{"cmd": "true", "env": {"A": "1"}}\n{"x": 1}\n'
    terminal("push", "--file", "train.py", "--batch", "b", given=lines)

    files = backend.job("b-000001")["files"]

    assert files == backend.job("b-000002")["files"] == pack(["train.py"]).name
    assert f"files     {files}\n" in terminal("show", "b-000001").out


def test_line_may_name_files_that_are_stored(terminal: Terminal, backend: Backend) -> None:
    line = json.dumps({"cmd": "true", "files": pack(["train.py"]).name})
    early = terminal("push", given=line)
    ship(backend, pack(["train.py"]))

    answer = terminal("push", given=line)

    assert (early.code, answer.code) == (2, 0)
    assert "are not stored" in early.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["/etc/passwd"], "'/etc/passwd' is absolute"),
        (["../train.py"], "'../train.py' has '..' in it"),
        (["data/../train.py"], "has '..' in it"),
        (["nope"], "cannot read the file 'nope': No such file"),
        (["train.py/x"], "cannot read the file 'train.py/x': Not a directory"),
        ([""], "empty name"),
        (["empty"], "the folder 'empty' has no file in it"),
        (["pipe"], "'pipe' is neither a file nor a folder"),
        (["with pipe"], "'with pipe/pipe' is neither a file nor a folder"),
        (["broken link"], "cannot read the file 'broken link': No such file"),
        (["linked"], "linked/data is a link to a folder"),
        (["train.py", "./train.py"], "the file 'train.py' is given twice"),
        (["data", "data/my table"], "the file 'data/my table' is given twice"),
        (["huge"], "the file 'huge' is over 268,435,456 bytes"),
        (["odd"], "control character"),
    ],
)
def test_what_cannot_be_shipped_is_refused_in_one_sentence(given: list[str], says: str, terminal: Terminal) -> None:
    for name in ("empty", "with pipe", "linked", "odd"):
        Path(name).mkdir()
    for pipe in ("pipe", "with pipe/pipe"):
        os.mkfifo(pipe)
    Path("broken link").symlink_to("nowhere")
    Path("linked/data").symlink_to("../data")
    Path("odd/a\nb").touch()
    with Path("huge").open("wb") as file:
        file.truncate(256 * 1024**2 + 1)

    answer = terminal("push", *[word for path in given for word in ("--file", path)], "-c", "true")

    assert answer.code == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("q").exists()


@pytest.mark.parametrize("given", ["train.py", "data/my table", "data"])
def test_file_that_cannot_be_read_is_refused(given: str, folder: Path, terminal: Terminal) -> None:
    Path("train.py").chmod(0)
    Path("data").chmod(0)
    for above in folder.parents:
        if "pytest-" in str(above):
            above.chmod(0o755)
    os.seteuid(os.getuid() or 65534)  # root may read all
    try:
        answer = terminal("push", "--file", given, "-c", "true")
    finally:
        os.seteuid(os.getuid())
        Path("data").chmod(0o755)

    assert (answer.code, answer.err) == (2, f"error: cannot read the file {given!r}: Permission denied\n")


def test_file_that_changes_while_it_is_pushed_is_refused_and_nothing_is_pushed(backend: Backend) -> None:
    packed = pack(["train.py"])
    Path("train.py").write_text("something else")

    with pytest.raises(BadInput, match=r"'train.py' has changed while it was pushed"):
        ship(backend, packed)

    assert stored() == []


def test_more_files_than_a_list_can_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.shipping.MAX_MANIFEST_BYTES", 200)
    with pytest.raises(BadInput, match="3 files are too many"):
        pack(["train.py", "data"])


def test_list_of_files_is_stored_after_all_that_it_names(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    packed, put, seen = pack(["train.py"]), DirectBackend.put_files, []

    def watched(backend: DirectBackend, contents: Contents) -> None:
        seen.append([*contents])
        put(backend, contents)

    monkeypatch.setattr(DirectBackend, "put_files", watched)
    ship(backend, packed)

    assert seen == [[*packed.pieces()], [packed.name]]


def test_whole_folder_is_shipped_without_its_own_name() -> None:
    os.chdir("data")
    assert set(pack(["."]).sources) == {"my table", "deep/größe.bin"}


def test_executable_bit_is_told_and_links_to_files_are_followed() -> None:
    Path("data/deep/link").symlink_to("../../train.py")
    Path("train.py").chmod(0o755)

    files = pack(["data", "train.py"]).manifest.files

    assert {path for path, file in files.items() if file.is_executable} == {"train.py", "data/deep/link"}


def test_python_client_ships_files_too() -> None:
    with Client("local:./q/demo") as queue:
        batch = queue.push(["cat 'data/my table'"], files=["train.py", Path("data")])

        assert queue.job(batch.ids[0])["files"] == pack(["data", "train.py"]).name
        with pytest.raises(BadInput, match="a list of paths"):
            queue.push(["true"], files="train.py")

    assert run_process("worker").out == f"[{batch.ids[0]}] 1 2 3\n"


def test_no_files_are_no_question(backend: Backend, meter: Meter) -> None:
    assert pack([]) == Shipment(pack([]).manifest, {}, pack([]).month)
    assert pack([]).name == ""
    assert ship(backend, pack([])) == 0
    assert meter.total() == 0


def test_repair_removes_files_that_no_job_names_and_says_so(terminal: Terminal) -> None:
    terminal("push", "--file", "data", "-c", "true", "--id", "j")
    old = [path.rename(path.with_name(f"202501{path.name[6:]}")) for path in stored()[:2]]

    assert terminal("sweep").code == 0
    assert [path for path in old if path.exists()] == old

    assert "removed 2 files that no job names" in terminal("sweep", "--repair").err
    assert [path for path in old if path.exists()] == []
    assert "removed" not in terminal("sweep", "--repair").err
