"""What a worker makes of a process that copies for a job, and cannot."""

from __future__ import annotations

import logging
import math

import pytest

from jobq.core.realm import Realm
from jobq.errors import Unreachable
from jobq.model.job import Job, Spec
from jobq.settings import Settings
from jobq.worker.companion import Companion
from jobq.worker.directory import JobDirectory
from jobq.worker.supervision import Supervision


@pytest.mark.parametrize(("outputs", "said"), [("out", "no room"), ("", "")])
async def test_checkpoint_that_nobody_can_save_is_said(
    realm: Realm,
    directory: JobDirectory,
    supervision: Supervision,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    outputs: str,
    said: str,
) -> None:
    async def fail(self: Companion, *, restores: bool) -> None:
        raise Unreachable("no room")

    monkeypatch.setattr(Companion, "_start", fail)
    (directory.checkpoint / "step").write_text("1")
    job = Job("b-1", "b", Spec(command="x", outputs=outputs), attempt=1)
    companion = Companion(realm, Settings(), job, directory, supervision, lambda: math.inf)

    with caplog.at_level(logging.WARNING):
        assert await companion.finish(is_ok=False) == said

    assert "could not save the checkpoint of job b-1: no room" in caplog.text
