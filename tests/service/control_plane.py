"""The app asked without a network; what it takes and what it answers is held against its own OpenAPI document."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from jobq.core.operate import change
from jobq.core.workers import WorkerRow
from jobq.model.job import Job, JobState, Reason
from jobq_service import asked, schemas
from jobq_service.problems import MEDIA_TYPE
from jobq_service.realms import Realms

NDJSON = {"content-type": "application/x-ndjson"}


class ControlPlane:
    """`realms` is what it serves, for a test to put jobs in states that only a worker can."""

    def __init__(self, app: FastAPI, realms: Realms) -> None:
        self.app = app
        self.realms = realms
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://jobq.test")

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.ask("GET", path, params=query or None)

    async def post(self, path: str, document: object = None, **more: Any) -> httpx.Response:
        return await self.ask("POST", path, **({"json": document} if document is not None else {}), **more)

    async def delete(self, path: str) -> httpx.Response:
        return await self.ask("DELETE", path)

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = await self.http.request(method, f"/api/{path}", **more)
        self._hold_against_document(method, answer)
        return answer

    async def push(self, *jobs: dict[str, Any], **options: Any) -> httpx.Response:
        return await self.post("enqueue/demo/jobs", {"batch": "b1", **options, "jobs": list(jobs)})

    async def force(self, job_id: str, state: JobState, **fields: Any) -> None:
        """Move a job of realm demo as a worker would."""

        def moved(job: Job) -> Job:
            return replace(job, state=state, **fields)

        await change(self.realms.realm("demo"), job_id, moved)

    async def fail(self, job_id: str) -> None:
        await self.force(job_id, JobState.FAILED, reason=Reason.EXIT, exit_code=3, attempt=1, tail="no such file")

    async def run(self, *job_ids: str) -> None:
        """Have a worker that says it runs these jobs of realm demo."""
        for job_id in job_ids:
            await self.force(job_id, JobState.RUNNING, attempt=1, worker="w")
        realm = self.realms.realm("demo")
        jobs = [await realm.read(job_id) for job_id in job_ids]
        await WorkerRow(realm, "w", 4).beat(jobs, believe=timedelta(minutes=5))

    def _hold_against_document(self, method: str, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == MEDIA_TYPE
            problem = schemas.Problem.model_validate_json(answer.content)
            assert problem.status == answer.status_code
        operation = self._operation(method, answer.request.url.path)
        if operation is None:
            assert answer.status_code in (404, 405, 429)
            return
        described = operation["responses"].get(str(answer.status_code))
        assert described, f"{method} {answer.request.url.path} answered {answer.status_code}, which is not documented"
        reference = _schema(described, answer.headers) if "content" in described else ""
        if reference:
            getattr(schemas, reference).model_validate_json(answer.content)
        request = answer.request
        is_whole = request.headers.keys().isdisjoint({"content-encoding", "transfer-encoding"})
        if answer.status_code < 300 and is_whole and request.content:
            sent = _schema(operation["requestBody"], request.headers)
            if sent and "ndjson" not in request.headers["content-type"]:
                getattr(asked, sent).model_validate_json(request.content)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in self.app.openapi()["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                found: dict[str, Any] | None = operations.get(method.lower())
                return found
        return None


def _schema(described: dict[str, Any], headers: httpx.Headers) -> str:
    """The name of the model that the document has for a body; empty where it has none."""
    media_type = headers["content-type"].partition(";")[0].lower()
    reference: str = described["content"][media_type]["schema"].get("$ref", "")
    return reference.rpartition("/")[2]
