"""A function app in a process of its own, asked through the real runtime library; see `runtime_harness`."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HARNESS = Path(__file__).with_name("runtime_harness.py")
NEEDED = "import azure.functions, fastapi, aiohttp, azure.data.tables, azure.storage.blob, azure_functions_runtime as a"


@dataclass(frozen=True, slots=True)
class Reply:
    id: str
    is_ok: bool
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class FunctionsHost:
    process: subprocess.Popen[str]
    functions: dict[str, list[dict[str, Any]]]
    """Bindings by the function's name."""

    def http(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        return self.many([self.request(method, path, body, **headers)])[0]

    def request(self, method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        """The function is the first segment of `path`, not counting `/api`, as the host's routing has it."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if data:
            named = {"content-type": "application/json", "content-length": str(len(data)), **named}
        return {
            "function": path.removeprefix("/api").split("/")[1].partition("?")[0],
            "method": method,
            "url": f"http://jobq.test{path}",
            "headers": {"host": "jobq.test", **named},
            "body": base64.b64encode(data).decode(),
        }

    def timer(self, function: str) -> Reply:
        return self.many([{"function": function}])[0]

    def break_(self, what: str) -> None:
        self.many([{"break": what}])

    def many(self, calls: list[dict[str, Any]]) -> list[Reply]:
        """All at once; the replies in the order of the calls."""
        assert self.process.stdin is not None
        ids = [str(uuid.uuid4()) for _ in calls]
        for call_id, call in zip(ids, calls, strict=True):
            self.process.stdin.write(json.dumps({"id": call_id, **call}) + "\n")
        self.process.stdin.flush()
        replies = {reply.id: reply for reply in (self._reply() for _ in ids)}
        return [replies[call_id] for call_id in ids]

    def _reply(self) -> Reply:
        document = _line(self.process)
        document.pop("trace", None)
        return Reply(**{**document, "body": base64.b64decode(document.get("body", ""))})


@contextmanager
def running_host(python: str, settings: Mapping[str, str], *, app: Path = ROOT) -> Iterator[FunctionsHost]:
    """The app of a directory under an interpreter, with these app settings and nothing else of our environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYENV_VERSION") if name in os.environ}
    # Nothing closes a function app, so what it leaves open at its end is no fault.
    command = [python, "-P", "-W", "error", "-W", "ignore::ResourceWarning", str(HARNESS), str(app)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**kept, **settings}, cwd="/", **pipes) as process:  # type: ignore[call-overload]
        try:
            yield FunctionsHost(process, _line(process)["functions"])
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def python_with_runtime(version: str) -> str | None:
    """An interpreter of that version that can import the runtime library: this one, .venv-VERSION's, or PATH's."""
    candidates = [str(ROOT / f".venv-{version}/bin/python"), shutil.which(f"python{version}")]
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        candidates.insert(0, sys.executable)
    return next((python for python in candidates if python and _has_runtime(python)), None)


def _has_runtime(python: str) -> bool:
    if not Path(python).exists():
        return False
    check = f"import importlib.metadata as m; {NEEDED}; assert m.version('azure-functions-runtime') == '1.3.0'"
    return subprocess.run([python, "-P", "-c", check], capture_output=True, cwd="/").returncode == 0


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"the function app's process ended with {process.wait(timeout=30)}; see above")
    document: dict[str, Any] = json.loads(line)
    return document
