"""What a caller asks of a realm, wherever it is: plain values in, the JSON documents of `core.documents` out. Sync."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jobq.errors import BadInput
from jobq.model import address as addresses
from jobq.model.job import IfExists, Json, NewJob
from jobq.model.series import Range

if TYPE_CHECKING:
    from jobq.core.api import Selection
    from jobq.core.documents import Document
    from jobq.core.files import Contents
    from jobq.core.listing import Filter
    from jobq.core.realm_settings import SettingsChange
    from jobq.model.address import Address
    from jobq.settings import Settings


class Backend(Protocol):
    """One method per question. All raise what `jobq.errors` names."""

    def push(
        self,
        jobs: Sequence[NewJob],
        *,
        batch: str,
        if_exists: IfExists = IfExists.SKIP,
        chunk: int = 1,
        token: str = "",
    ) -> list[Document]:
        """`id, status, state, error` for each job, in order; what is answered as queued is durable.

        Safe to repeat with the same ids; with the same `token` (one per push) what it stored itself counts as queued.
        """
        ...

    def missing_files(self, names: Sequence[str]) -> list[str]:
        """Which of these manifests and pieces (see `model.files`) are not stored."""
        ...

    def put_files(self, contents: Contents) -> None:
        """Store them, several at a time; when it returns, all are stored. Safe to repeat."""
        ...

    def get_file(self, name: str) -> bytes:
        """A manifest or a piece. Raises BadInput for one that is gone or broken."""
        ...

    def check_out(
        self,
        count: int = 1,
        *,
        lease: timedelta | None = None,
        max_lane: str = "",
        realms: Sequence[str] | None = (),
    ) -> Document:
        """`jobs`, at most `count`, from the lowest lane over `realms`: none given is this one, None all of the place.

        Not safe to repeat: jobs of an answer that was lost come back when their lease ends.
        """
        ...

    def ack(self, job_id: str, token: str, *, result: Json = None, message: str = "") -> Document: ...

    def nack(
        self,
        job_id: str,
        token: str,
        *,
        failed: bool = False,
        exit_code: int | None = None,
        message: str = "",
        delay: timedelta | None = None,
    ) -> Document: ...

    def extend(self, job_id: str, token: str, *, lease: timedelta | None = None) -> Document: ...

    def settings(self) -> Document: ...

    def change_settings(self, change: SettingsChange) -> Document: ...

    def delete_realm(self) -> Document:
        """Close it, and remove what is in it: over HTTP in the background. `deleting` says whether some is left."""
        ...

    def status(self) -> Document: ...

    def total(self) -> Document: ...

    def summary(self) -> Document:
        """The realm as a page that polls shows it, at a cost that does not grow with it."""
        ...

    def history(self, back: Range = Range.HOUR) -> Document:
        """`step` (seconds) and `points`: what came in each step, and how it stood at its end."""
        ...

    def tag_status(self, tag: str) -> Document: ...

    def batch_status(self, batch: str) -> Document: ...

    def job(self, job_id: str) -> Document: ...

    def jobs(self, where: Filter, *, after: str = "", limit: int = 50) -> Document:
        """A page, which may be short, even empty, and have a `next` all the same."""
        ...

    def count(self, where: Filter) -> int:
        """How many jobs match: exact where nothing changes meanwhile."""
        ...

    def log(self, job_id: str, *, attempt: int | None = None, start: int = 0) -> bytes: ...

    def log_start(self, job_id: str, *, since: datetime, attempt: int | None = None) -> int:
        """The `start` of a `log` with what came since then; past its end where nothing did."""
        ...

    def workers(self) -> Document: ...

    def cancel(self, selection: Selection, *, message: str = "") -> Document: ...

    def retry(self, selection: Selection) -> Document: ...

    def preempt(self, selection: Selection) -> Document: ...

    def preempt_worker(self, worker: str) -> Document: ...

    def drain_worker(self, worker: str) -> Document: ...

    def pause(self, lane: str = "") -> Document: ...

    def resume(self, lane: str = "") -> Document: ...

    def remove(self, selection: Selection) -> Document: ...

    def move(self, selection: Selection, *, source: str, target: str) -> Document: ...

    def clear(self, lane: str) -> Document: ...

    def sweep(self, *, repair: bool = False) -> Document: ...

    def realms(self) -> Document: ...

    def where(self) -> Document:
        """`address`: what a worker pulls from directly; `tables`: the account with its rows, if that does not tell."""
        ...

    def beside(self, realm: str) -> Backend:
        """Another realm of the same place, over the same connection, which this one closes."""
        ...

    def close(self) -> None: ...


def open_backend(address: Address, settings: Settings) -> Backend:
    """Over HTTP where the address says so, else on this process's own connection. The caller closes it."""
    if address.backend is addresses.Backend.HTTP:
        from jobq.http import HttpBackend

        return HttpBackend(address.place, address.realm, settings.key_for)
    from jobq.direct import DirectBackend

    return DirectBackend(address, settings)


def direct_address(address: Address, settings: Settings) -> Address:
    """What a worker pulls from: a control plane is asked, and taken at its word only within Azure's clouds.

    Raises BadInput for another host, and for a folder of another machine.
    """
    if address.backend is not addresses.Backend.HTTP:
        return address
    backend = open_backend(address, settings)
    try:
        where = backend.where()
        direct = replace(addresses.parse_address(str(where["address"])), tables=str(where.get("tables", "")))
    finally:
        backend.close()
    if any(map(addresses.is_outside_azure, (str(direct), direct.tables))):
        raise BadInput(
            f"{address} says that its queue is at {direct}, outside of Azure's clouds, and no login is sent there on "
            "its word alone; if that is right, give the worker this address itself"
        )
    # A folder that is missing here would be made, and look like an empty queue.
    if direct.backend is addresses.Backend.LOCAL and not Path(direct.place).is_dir():
        raise BadInput(f"{address} keeps its queue in a folder of its own machine, {direct.place}: run workers there")
    return direct
