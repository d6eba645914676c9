"""A place where there is little of something: a cgroup of a test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def limited(controller: str, old_file: str, new_file: str, limit: int) -> Iterator[tuple[list[str], Path]]:
    """A command that runs another one in it, and its folder. It must be empty at the end.

    None to be had: a skip at home, an error in CI.
    """
    name = f"jobq-test-{os.getpid()}"
    old, new = Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup")
    group, file = (old / name, old_file) if old.is_dir() else (new / name, new_file)
    try:
        group.mkdir()
        (group / file).write_text(str(limit))
    except OSError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no cgroup with a limit of {controller} can be made: {error}")
        pytest.skip(f"no cgroup with a limit of {controller} can be made (it takes root): {error}")
    yield ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)], group
    group.rmdir()
