"""A realm asked directly: the async core, run on one background thread for callers that are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from jobq import connect
from jobq.core.api import RealmApi, Selection, list_realms
from jobq.core.documents import Document
from jobq.core.files import Contents
from jobq.core.listing import Filter
from jobq.core.realm import Realm
from jobq.model.address import Address, Backend
from jobq.model.job import IfExists, NewJob
from jobq.settings import Settings

T = TypeVar("T")


class DirectBackend:
    """Opened at its first question, closed with `close`. Use it from one thread at a time.

    Raises BadInput, at once, where the settings lack what the address needs.
    """

    def __init__(self, address: Address, settings: Settings) -> None:
        connect.check_settings(address, settings)
        self._address = address
        self._settings = settings
        self._loop: _LoopThread | None = None
        self._api: RealmApi | None = None

    def push(
        self,
        jobs: Sequence[NewJob],
        *,
        batch: str,
        if_exists: IfExists = IfExists.SKIP,
        chunk: int = 1,
        token: str = "",
    ) -> list[Document]:
        return self._ask(lambda api: api.push(jobs, batch=batch, if_exists=if_exists, chunk=chunk, token=token))

    def missing_files(self, names: Sequence[str]) -> list[str]:
        return self._ask(lambda api: api.missing_files(names))

    def put_files(self, contents: Contents) -> None:
        self._ask(lambda api: api.put_files(contents))

    def status(self) -> Document:
        return self._ask(RealmApi.status)

    def total(self) -> Document:
        return self._ask(RealmApi.total)

    def tag_status(self, tag: str) -> Document:
        return self._ask(lambda api: api.tag_status(tag))

    def batch_status(self, batch: str) -> Document:
        return self._ask(lambda api: api.batch_status(batch))

    def job(self, job_id: str) -> Document:
        return self._ask(lambda api: api.job(job_id))

    def jobs(self, where: Filter, *, after: str = "", limit: int = 50) -> Document:
        return self._ask(lambda api: api.jobs(where, after=after, limit=limit))

    def log(self, job_id: str, *, attempt: int | None = None, start: int = 0) -> bytes:
        return self._ask(lambda api: api.log(job_id, attempt=attempt, start=start))

    def log_start(self, job_id: str, *, since: datetime, attempt: int | None = None) -> int:
        return int(self._ask(lambda api: api.log_start(job_id, since=since, attempt=attempt))["start"])

    def workers(self) -> Document:
        return self._ask(RealmApi.workers)

    def cancel(self, selection: Selection, *, message: str = "") -> Document:
        return self._ask(lambda api: api.cancel(selection, message=message))

    def retry(self, selection: Selection) -> Document:
        return self._ask(lambda api: api.retry(selection))

    def preempt(self, selection: Selection) -> Document:
        return self._ask(lambda api: api.preempt(selection))

    def preempt_worker(self, worker: str) -> Document:
        return self._ask(lambda api: api.preempt_worker(worker))

    def drain_worker(self, worker: str) -> Document:
        return self._ask(lambda api: api.drain_worker(worker))

    def pause(self, lane: str = "") -> Document:
        return self._ask(lambda api: api.pause(lane))

    def resume(self, lane: str = "") -> Document:
        return self._ask(lambda api: api.resume(lane))

    def remove(self, selection: Selection) -> Document:
        return self._ask(lambda api: api.remove(selection))

    def clear(self, lane: str) -> Document:
        return self._ask(lambda api: api.clear(lane))

    def sweep(self, *, repair: bool = False) -> Document:
        return self._ask(lambda api: api.sweep(repair=repair))

    def realms(self) -> Document:
        return self._ask(lambda api: list_realms(api.realm))

    def where(self) -> Document:
        place = self._address.place
        if self._address.backend is Backend.LOCAL:
            place = str(Path(place).resolve())
        address = Address(self._address.backend, place, self._address.realm)
        is_apart = address.backend is Backend.SERVICE_BUS
        return {"address": str(address), "tables": self._settings.tables if is_apart else ""}

    def close(self) -> None:
        """Ends what still runs. Idempotent."""
        loop, api, self._loop, self._api = self._loop, self._api, None, None
        if loop is not None:
            try:
                if api is not None:
                    loop.run(api.realm.stack.close())
            finally:
                loop.stop()

    def _ask(self, question: Callable[[RealmApi], Coroutine[Any, Any, T]]) -> T:
        if self._loop is None:
            self._loop = _LoopThread()
        if self._api is None:
            self._api = self._loop.run(self._open())
        return self._loop.run(question(self._api))

    async def _open(self) -> RealmApi:
        # On the loop: the Azure SDKs bind to the one that is running.
        return RealmApi(Realm(connect.open_stack(self._address, self._settings), self._address.realm))


class _LoopThread:
    """An event loop on a thread of its own, for as long as there is something to ask."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="jobq", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result; when the caller is interrupted (Ctrl-C), it is cancelled."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(_wind_down(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


async def _wind_down() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
