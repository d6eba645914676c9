"""A realm asked over HTTP: what a laptop does that has no rights on the storage account. Needs only requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

from jobq.bounded import NOTHING_DONE, added, carried_out, counted
from jobq.errors import BadInput, NotFound, Unreachable
from jobq.http_calls import Calls
from jobq.model.durations import to_iso
from jobq.model.job import IfExists, Json, NewJob
from jobq.model.names import COUNT, escape, job_segment, realm_name
from jobq.model.series import Range
from jobq.model.wire import dumps, spec_to_json

if TYPE_CHECKING:
    from jobq.core.api import Selection
    from jobq.core.documents import Document
    from jobq.core.files import Contents
    from jobq.core.listing import Filter
    from jobq.core.realm_settings import SettingsChange

MAX_JOBS = 1000
MAX_BYTES = 4_000_000
"""Of one push request: the service takes 8 MiB, and a job is never cut in two."""

NOTHING: Mapping[str, str] = {}

UPLOADS = 4
"""At the same time; each holds a piece of a file."""


class HttpBackend:
    """`base_url` up to `/api`, without a slash; `key_for` gives the key for a privilege."""

    def __init__(
        self,
        base_url: str,
        realm: str,
        key_for: Callable[[str], str] = lambda _privilege: "",
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = Calls(base_url.rstrip("/"), key_for, sleep)
        self._realm = realm

    def beside(self, realm: str) -> HttpBackend:
        """Over the same session."""
        other = HttpBackend(self._calls.base_url, realm_name(realm))
        other._calls = self._calls
        return other

    def push(
        self,
        jobs: Sequence[NewJob],
        *,
        batch: str,
        if_exists: IfExists = IfExists.SKIP,
        chunk: int = 1,
        token: str = "",
    ) -> list[Document]:
        head = {"batch": batch, "if_exists": if_exists.value, "chunk": chunk, "token": token}
        results: list[Document] = []
        for part in _parts(jobs):
            body = f'{dumps(head)[:-1]},"jobs":[{",".join(part)}]}}'.encode()
            answer = self._calls.ask("POST", f"enqueue/{self._realm}/jobs", body=body, again=bool(token))
            if len(answer.get("results", ())) != len(part):
                raise Unreachable(f"the service answered for {len(answer.get('results', ()))} of {len(part)} jobs")
            results += answer["results"]
        return results

    def missing_files(self, names: Sequence[str]) -> list[str]:
        missing: list[str] = []
        for start in range(0, len(names), MAX_JOBS):
            asked = {"names": names[start : start + MAX_JOBS]}
            answer = self._calls.ask("POST", f"enqueue/{self._realm}/files", body=asked)
            if not isinstance(answer.get("missing"), list):
                raise Unreachable("the service did not say which files are missing; is it as new as this jobq?")
            missing += answer["missing"]
        return missing

    def put_files(self, contents: Contents) -> None:
        with ThreadPoolExecutor(UPLOADS) as threads:
            try:
                for _ in threads.map(self._put_file, contents, contents.values()):
                    pass
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    def _put_file(self, name: str, read: Callable[[], bytes]) -> None:
        self._calls.upload(f"enqueue/{self._realm}/files/{name}", read())

    def get_file(self, name: str) -> bytes:
        try:
            return self._calls.download(f"checkout/{self._realm}/files/{name}")
        except NotFound as error:
            raise BadInput(str(error)) from error

    def check_out(
        self,
        count: int = 1,
        *,
        lease: timedelta | None = None,
        max_lane: str = "",
        realms: Sequence[str] | None = (),
    ) -> Document:
        asked = {"count": count, "max_lane": max_lane or None, "lease": _seconds(lease)}
        if realms == ():
            return self._calls.ask("POST", f"checkout/{self._realm}/jobs", body=asked, again=False)
        named = asked if realms is None else asked | {"realms": list(realms)}
        return self._calls.ask("POST", "checkout", body=named, again=False)

    def ack(self, job_id: str, token: str, *, result: Json = None, message: str = "") -> Document:
        return self._held(job_id, "ack", {"token": token, "result": result, "message": message})

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
        asked = {"token": token, "failed": failed, "exit_code": exit_code, "message": message, "delay": _seconds(delay)}
        return self._held(job_id, "nack", asked)

    def extend(self, job_id: str, token: str, *, lease: timedelta | None = None) -> Document:
        return self._held(job_id, "extend", {"token": token, "lease": _seconds(lease)})

    def _held(self, job_id: str, verb: str, asked: Mapping[str, object]) -> Document:
        return self._calls.ask("POST", f"checkout/{self._realm}/jobs/{escape(job_id)}/{verb}", body=asked)

    def settings(self) -> Document:
        return self._get("/settings")

    def change_settings(self, change: SettingsChange) -> Document:
        lanes = {lane: _seconds(lease) for lane, lease in change.lane_leases.items()}
        asked = {"lease": _seconds(change.lease), "lane_leases": lanes}
        return self._calls.ask("PATCH", f"manage/{self._realm}", body=asked)

    def delete_realm(self) -> Document:
        return self._calls.ask("DELETE", f"manage/{self._realm}")

    def status(self) -> Document:
        return self._get("")

    def total(self) -> Document:
        return self._get("/total")

    def summary(self) -> Document:
        return self._get("/summary")

    def history(self, back: Range = Range.HOUR) -> Document:
        return self._get("/history", range=back.value)

    def tag_status(self, tag: str) -> Document:
        return self._get(f"/tags/{escape(tag)}")

    def batch_status(self, batch: str) -> Document:
        return self._get(f"/batches/{escape(batch)}")

    def job(self, job_id: str) -> Document:
        return self._get(f"/jobs/{job_segment(job_id)}")

    def jobs(self, where: Filter, *, after: str = "", limit: int = 50) -> Document:
        return self._get("/jobs", **_filter_json(where), after=after, limit=limit)

    def count(self, where: Filter) -> int:
        return counted(lambda after: self._count(where, after))

    def _count(self, where: Filter, after: str) -> Document:
        try:
            return self._get(f"/jobs/{COUNT}", **_filter_json(where), after=after)
        except NotFound as error:  # that it has no job of this name
            raise Unreachable("the service cannot count jobs; is it as new as this jobq?") from error

    def log(self, job_id: str, *, attempt: int | None = None, start: int = 0) -> bytes:
        query = {"attempt": attempt, "start": start or None}
        return self._calls.download(f"status/{self._realm}/jobs/{escape(job_id)}/log", query=query)

    def log_start(self, job_id: str, *, since: datetime, attempt: int | None = None) -> int:
        return int(self._get(f"/jobs/{escape(job_id)}/log/start", since=to_iso(since), attempt=attempt)["start"])

    def workers(self) -> Document:
        return self._get("/workers")

    def cancel(self, selection: Selection, *, message: str = "") -> Document:
        return self._each("cancel", selection, again=True, more={"message": message})

    def retry(self, selection: Selection) -> Document:
        return self._each("retry", selection)

    def preempt(self, selection: Selection) -> Document:
        return self._each("preempt", selection)

    def preempt_worker(self, worker: str) -> Document:
        return self._manage("POST", f"workers/{escape(worker)}/preempt")

    def drain_worker(self, worker: str) -> Document:
        return self._manage("POST", f"workers/{escape(worker)}/drain", again=True)

    def pause(self, lane: str = "") -> Document:
        return self._manage("POST", "pause", body={"lane": lane} if lane else {}, again=True)

    def resume(self, lane: str = "") -> Document:
        return self._manage("POST", "resume", body={"lane": lane} if lane else {}, again=True)

    def remove(self, selection: Selection) -> Document:
        return self._each("remove", selection)

    def move(self, selection: Selection, *, source: str, target: str) -> Document:
        return self._each("move", selection, more={"from": source, "to": target})

    def clear(self, lane: str) -> Document:
        path = f"lanes/{escape(lane)}/jobs"
        return carried_out(lambda after: self._manage("DELETE", f"{path}?after={after}" if after else path))

    def sweep(self, *, repair: bool = False) -> Document:
        return self._manage("POST", "sweep", body={"repair": repair}, again=True)

    def realms(self) -> Document:
        return self._calls.ask("GET", "status")

    def where(self) -> Document:
        return self._get("/where")

    def close(self) -> None:
        self._calls.close()

    def _get(self, path: str, **query: object) -> Document:
        return self._calls.ask("GET", f"status/{self._realm}{path}", query=query)

    def _each(
        self,
        verb: str,
        selection: Selection,
        *,
        again: bool = False,
        more: Mapping[str, str] = NOTHING,
    ) -> Document:
        """A command for many jobs, in as many requests as it takes; their answers as one."""

        def ask(which: Mapping[str, Any]) -> Document:
            body = {**which, **more}
            return carried_out(
                lambda after: self._manage("POST", verb, body=body | ({"after": after} if after else {}), again=again)
            )

        return reduce(added, map(ask, _selections(selection)), dict(NOTHING_DONE))

    def _manage(self, method: str, path: str, *, body: object = None, again: bool = False) -> Document:
        return self._calls.ask(method, f"manage/{self._realm}/{path}", body=body, again=again)


def _parts(jobs: Sequence[NewJob]) -> Iterator[list[str]]:
    """The jobs as JSON, cut so that each part fits in a request."""
    part: list[str] = []
    size = 0
    for job in jobs:
        text = dumps({"id": job.id, **spec_to_json(job.spec)})
        if part and (len(part) == MAX_JOBS or size + len(text) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield part


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _filter_json(where: Filter) -> dict[str, Any]:
    named: Mapping[str, str] = {
        "tag": where.tag,
        "batch": where.batch,
        "lane": where.lane,
        "state": where.state.value if where.state else "",
        "reason": where.reason.value if where.reason else "",
        "text": where.text,
        "error": where.error,
    }
    return {name: value for name, value in named.items() if value}


def _selections(selection: Selection) -> Iterator[dict[str, Any]]:
    """Bodies. The service refuses one that names nothing."""
    if selection.where is None:
        ids = list(dict.fromkeys(selection.ids))
        yield from ({"ids": ids[start : start + MAX_JOBS]} for start in range(0, len(ids), MAX_JOBS))
    else:
        yield _filter_json(selection.where) or {"all": True}
