"""The files of a checked-out job: written below a folder, and nowhere else."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from jobq.errors import BadInput, JobqError
from jobq.model.files import File, Manifest, digest_of, name_in
from jobq.unpacking import Unpacking

MONTH = "202611"


class Store:
    """What was shipped, and how often each piece of it was asked for."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()

    def put(self, data: bytes) -> str:
        name = name_in(MONTH, digest_of(data))
        self.contents[name] = data
        return name

    def ship(self, files: dict[str, bytes], *, executable: bool = False) -> str:
        """The manifest's name."""
        for data in files.values():
            self.put(data)
        listed = {path: File(len(data), (digest_of(data),), executable) for path, data in files.items()}
        return self.put(Manifest(listed).encode())

    def fetch(self, name: str) -> bytes:
        self.asked[name] += 1
        if name not in self.contents:
            raise BadInput(f"{name} is not in the store")
        return self.contents[name]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    here = tmp_path / "here"
    here.mkdir()
    return here


def _raw(store: Store, path: str) -> str:
    """A manifest that no push would write."""
    document = f'{{"v":1,"files":{{"{path}":{{"size":1,"pieces":["{digest_of(b"x")}"]}}}}}}'
    store.put(b"x")
    return store.put(document.encode())


def _all_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_are_written_at_their_paths_with_their_executable_bit(store: Store, here: Path) -> None:
    name = store.ship({"run.sh": b"echo hi\n", "data/x y/t.csv": b"1,2\n"}, executable=True)

    Unpacking(here).write(name, store.fetch)

    assert (here / "run.sh").read_bytes() == b"echo hi\n"
    assert (here / "data/x y/t.csv").read_bytes() == b"1,2\n"
    assert os.access(here / "run.sh", os.X_OK)
    assert _all_below(here) == ["data", "data/x y", "data/x y/t.csv", "run.sh"]


def test_a_file_that_is_there_is_replaced_and_whoever_has_it_open_keeps_it(store: Store, here: Path) -> None:
    (here / "run.sh").write_text("old")
    (here / "run.sh").chmod(0o755)
    with (here / "run.sh").open() as old:
        Unpacking(here).write(store.ship({"run.sh": b"new"}), store.fetch)
        assert old.read() == "old"
    assert (here / "run.sh").read_text() == "new"
    assert not os.access(here / "run.sh", os.X_OK)


def test_a_file_that_is_there_as_it_should_be_is_not_fetched(store: Store, here: Path) -> None:
    name = store.ship({"big": b"as it should be"})
    Unpacking(here).write(name, store.fetch)

    Unpacking(here).write(name, store.fetch)

    assert store.asked == {name: 2, name_in(MONTH, digest_of(b"as it should be")): 1}


@pytest.mark.parametrize("path", ["/tmp/x", "../x", "a/../../x", "a/./x", "", "a\\u0000b"])
def test_a_path_that_leads_elsewhere_is_refused_and_nothing_is_written(path: str, store: Store, here: Path) -> None:
    with pytest.raises(BadInput):
        Unpacking(here).write(_raw(store, path), store.fetch)
    assert _all_below(here.parent) == ["here"]


@pytest.mark.parametrize("link", ["data", "data/sub", "data/sub/x"])
def test_a_symbolic_link_on_the_way_is_refused(link: str, store: Store, here: Path) -> None:
    outside = here.parent / "outside"
    outside.mkdir()
    (here / link).parent.mkdir(parents=True, exist_ok=True)
    (here / link).symlink_to(outside, target_is_directory=True)

    with pytest.raises(BadInput, match=re.escape("symbolic link")):
        Unpacking(here).write(store.ship({"data/sub/x": b"x"}), store.fetch)

    assert _all_below(outside) == []
    assert (here / link).is_symlink()


def test_a_link_to_a_file_is_not_written_through(store: Store, here: Path) -> None:
    secret = here.parent / "secret"
    secret.write_text("keep")
    (here / "x").symlink_to(secret)

    with pytest.raises(BadInput, match="symbolic link"):
        Unpacking(here).write(store.ship({"x": b"x"}), store.fetch)

    assert secret.read_text() == "keep"


def test_bytes_of_another_digest_are_never_put_in_place(store: Store, here: Path) -> None:
    name = store.ship({"x": b"right"})
    store.contents[name_in(MONTH, digest_of(b"right"))] = b"wrong"

    with pytest.raises(BadInput, match="another digest"):
        Unpacking(here).write(name, store.fetch)

    assert _all_below(here) == []


def test_a_size_that_is_not_the_manifests_is_refused(store: Store, here: Path) -> None:
    store.put(b"four")
    name = store.put(Manifest({"x": File(5, (digest_of(b"four"),))}).encode())

    with pytest.raises(BadInput, match="not of the 5 bytes"):
        Unpacking(here).write(name, store.fetch)

    assert _all_below(here) == []


def test_jobs_pulled_together_share_files_but_not_a_name_for_two(store: Store, here: Path) -> None:
    unpacking = Unpacking(here)
    first, same = store.ship({"work.sh": b"1"}), store.ship({"work.sh": b"1", "more": b"2"})
    other = store.ship({"new": b"3", "work.sh": b"another"})
    for name in (first, first, same):
        unpacking.write(name, store.fetch)

    with pytest.raises(BadInput, match=r"'work\.sh' is not that of a job that was pulled with it"):
        unpacking.write(other, store.fetch)

    assert store.asked[first] == 1
    assert _all_below(here) == ["more", "work.sh"]
    assert (here / "work.sh").read_text() == "1"


@pytest.mark.parametrize(("there", "said"), [("x/y", "'x' cannot be written here"), ("x", "below a symbolic link")])
def test_what_is_in_the_way_is_named(there: str, said: str, store: Store, here: Path) -> None:
    (here / there).parent.mkdir(exist_ok=True)
    (here / there).touch()
    path = "x" if there == "x/y" else "x/y"

    with pytest.raises(JobqError, match=said):
        Unpacking(here).write(store.ship({path: b"1"}), store.fetch)
