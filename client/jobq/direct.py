"""A realm asked directly: the async core, run on one background thread for callers that are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from jobq import connect
from jobq.bounded import carried_out, counted
from jobq.core.api import RealmApi, Selection, check_out, list_realms
from jobq.core.documents import Document
from jobq.core.files import Contents
from jobq.core.listing import Filter
from jobq.core.ports import Stack
from jobq.core.realm import Realm
from jobq.core.realm_settings import SettingsChange
from jobq.model.address import Address, Backend
from jobq.model.job import IfExists, Json, NewJob
from jobq.model.names import realm_name
from jobq.model.series import Range
from jobq.settings import Settings

T = TypeVar("T")


class DirectBackend:
    """Opened at its first question, closed with `close`. Use it from one thread at a time.

    Raises BadInput, at once, where the settings lack what the address needs.
    """

    def __init__(self, address: Address, settings: Settings, connection: _Connection | None = None) -> None:
        connect.check_settings(address, settings)
        self._address = address
        self._settings = settings
        self._connection = connection or _Connection(address, settings)

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

    def get_file(self, name: str) -> bytes:
        return self._ask(lambda api: api.get_file(name))

    def check_out(
        self,
        count: int = 1,
        *,
        lease: timedelta | None = None,
        max_lane: str = "",
        realms: Sequence[str] | None = (),
    ) -> Document:
        async def ask(api: RealmApi) -> Document:
            names = (await list_realms(api.realm))["realms"] if realms is None else realms
            chosen = [self._connection.api(name).realm for name in names] or [api.realm]
            return await check_out(chosen, count=count, lease=lease, max_lane=max_lane or None)

        return self._ask(ask)

    def ack(self, job_id: str, token: str, *, result: Json = None, message: str = "") -> Document:
        return self._ask(lambda api: api.ack(job_id, token, result=result, message=message))

    def nack(
        self,
        job_id: str,
        token: str,
        *,
        failed: bool = False,
        exit_code: int | None = None,
        message: str = "",
        delay: timedelta | None = None,
    ) -> Document:
        return self._ask(
            lambda api: api.nack(job_id, token, failed=failed, exit_code=exit_code, message=message, delay=delay)
        )

    def extend(self, job_id: str, token: str, *, lease: timedelta | None = None) -> Document:
        return self._ask(lambda api: api.extend(job_id, token, lease=lease))

    def settings(self) -> Document:
        return self._ask(RealmApi.settings)

    def change_settings(self, change: SettingsChange) -> Document:
        return self._ask(lambda api: api.change_settings(change))

    def delete_realm(self) -> Document:
        async def delete(api: RealmApi) -> Document:
            done = await api.delete()
            return done | {"deleting": not await api.erase()}

        return self._ask(delete)

    def status(self) -> Document:
        return self._ask(RealmApi.status)

    def total(self) -> Document:
        return self._ask(RealmApi.total)

    def summary(self) -> Document:
        return self._ask(RealmApi.summary)

    def history(self, back: Range = Range.HOUR) -> Document:
        return self._ask(lambda api: api.history(back))

    def tag_status(self, tag: str) -> Document:
        return self._ask(lambda api: api.tag_status(tag))

    def batch_status(self, batch: str) -> Document:
        return self._ask(lambda api: api.batch_status(batch))

    def job(self, job_id: str) -> Document:
        return self._ask(lambda api: api.job(job_id))

    def jobs(self, where: Filter, *, after: str = "", limit: int = 50) -> Document:
        return self._ask(lambda api: api.jobs(where, after=after, limit=limit))

    def count(self, where: Filter) -> int:
        return counted(lambda after: self._ask(lambda api: api.count(where, after=after)))

    def log(self, job_id: str, *, attempt: int | None = None, start: int = 0) -> bytes:
        return self._ask(lambda api: api.log(job_id, attempt=attempt, start=start))

    def log_start(self, job_id: str, *, since: datetime, attempt: int | None = None) -> int:
        return int(self._ask(lambda api: api.log_start(job_id, since=since, attempt=attempt))["start"])

    def workers(self) -> Document:
        return self._ask(RealmApi.workers)

    def cancel(self, selection: Selection, *, message: str = "") -> Document:
        return self._carry_out(lambda api: api.cancel(selection, message=message))

    def retry(self, selection: Selection) -> Document:
        return self._carry_out(lambda api: api.retry(selection))

    def preempt(self, selection: Selection) -> Document:
        return self._carry_out(lambda api: api.preempt(selection))

    def preempt_worker(self, worker: str) -> Document:
        return self._ask(lambda api: api.preempt_worker(worker))

    def drain_worker(self, worker: str) -> Document:
        return self._ask(lambda api: api.drain_worker(worker))

    def pause(self, lane: str = "") -> Document:
        return self._ask(lambda api: api.pause(lane))

    def resume(self, lane: str = "") -> Document:
        return self._ask(lambda api: api.resume(lane))

    def remove(self, selection: Selection) -> Document:
        return self._carry_out(lambda api: api.remove(selection))

    def move(self, selection: Selection, *, source: str, target: str) -> Document:
        return self._carry_out(lambda api: api.move(selection, source=source, target=target))

    def clear(self, lane: str) -> Document:
        return self._carry_out(lambda api: api.clear(lane))

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

    def beside(self, realm: str) -> DirectBackend:
        return DirectBackend(replace(self._address, realm=realm_name(realm)), self._settings, self._connection)

    def close(self) -> None:
        """Ends what still runs, and the backends beside this one. Idempotent."""
        self._connection.close()

    def _carry_out(self, command: Callable[[RealmApi], Coroutine[Any, Any, Document]]) -> Document:
        """It works to its end, in one go."""
        return carried_out(lambda _after: self._ask(command))

    def _ask(self, question: Callable[[RealmApi], Coroutine[Any, Any, T]]) -> T:
        return self._connection.ask(self._address.realm, question)


class _Connection:
    """A stack, and the realms of it that were asked for, on a loop of their own."""

    def __init__(self, address: Address, settings: Settings) -> None:
        self._address = address
        self._settings = settings
        self._loop: _LoopThread | None = None
        self._stack: Stack | None = None
        self._apis: dict[str, RealmApi] = {}

    def ask(self, realm: str, question: Callable[[RealmApi], Coroutine[Any, Any, T]]) -> T:
        if self._loop is None:
            self._loop = _LoopThread()

        async def ask() -> T:
            return await question(self.api(realm))

        return self._loop.run(ask())

    def api(self, realm: str) -> RealmApi:
        """To be called on the loop: the Azure SDKs bind to the one that is running."""
        if self._stack is None:
            self._stack = connect.open_stack(self._address, self._settings)
        if realm not in self._apis:
            self._apis[realm] = RealmApi(Realm(self._stack, realm))
        return self._apis[realm]

    def close(self) -> None:
        loop, stack, self._loop, self._stack = self._loop, self._stack, None, None
        self._apis.clear()
        if loop is not None:
            try:
                if stack is not None:
                    loop.run(stack.close())
            finally:
                loop.stop()


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
