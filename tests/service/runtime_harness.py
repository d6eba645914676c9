"""The host's part towards `azure-functions-runtime` 1.3.0, the library that runs Python apps in Azure from 3.13 on.

`python -P runtime_harness.py APP_DIRECTORY` indexes the app there, prints what it found as one line of JSON, and then
answers each line of standard input with one line: {"id", "function", "method", "url", "headers", "body"} calls an HTTP
function, without a method it fires a timer, and {"break": "module:Class.attribute"} makes that raise from then on.

Run by path in a process of its own: the library keeps one app in its modules, and the host, too, puts nothing but the
app's directory on sys.path. `native_invocation` came with 1.3.0 and is internal: when the pin moves, look at this file.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
import sys
from types import SimpleNamespace
from typing import Any

from azure_functions_runtime import handle_event, native_invocation  # type: ignore[import-untyped]  # it has no types
from azure_functions_runtime.bindings.datumdef import Datum  # type: ignore[import-untyped]

RUNTIME_VERSION = "1.3.0"


class Protos:
    """In place of the generated protobuf classes: they only carry what they are given."""

    class StatusResult(SimpleNamespace):
        Failure, Success = 0, 1

    class BindingInfo(SimpleNamespace):
        undefined, out, inout = 0, 1, 2

    class WorkerInitResponse(SimpleNamespace): ...

    class WorkerMetadata(SimpleNamespace): ...

    class RpcFunctionMetadata(SimpleNamespace): ...

    class RpcException(SimpleNamespace): ...

    class FunctionMetadataResponse(SimpleNamespace): ...


async def main(directory: str) -> None:
    sys.path.insert(0, directory)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what functions print is talk
        functions = await _index(directory)
        _write(answers, {"functions": {f.name: [json.loads(binding) for binding in f.raw_bindings] for f in functions}})
        ids = {function.name: function.function_id for function in functions}
        async with asyncio.TaskGroup() as group:
            while line := await asyncio.to_thread(sys.stdin.readline):
                group.create_task(_answer(json.loads(line), ids, answers))


async def _index(directory: str) -> list[Any]:
    asked = SimpleNamespace(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=directory))
    properties = {"host": "127.0.0.1", "protos": Protos}
    started = await handle_event.worker_init_request(SimpleNamespace(request=asked, properties=properties))
    if started.result.status != Protos.StatusResult.Success:
        sys.exit(f"{started.result.exception.message}\n{started.result.exception.stack_trace}")
    metadata = await handle_event.functions_metadata_request(None)
    return list(metadata.function_metadata_results)


async def _answer(call: dict[str, Any], ids: dict[str, str], answers: Any) -> None:
    if "break" in call:
        _break(call["break"])
        _write(answers, {"id": call["id"], "is_ok": True})
        return
    inputs = [_http_input(call) if "method" in call else _timer_input()]
    is_ok, value, _, error, trace = await native_invocation.invocation_request_native(
        call["id"], ids[call["function"]], inputs, {}
    )
    _write(answers, {"id": call["id"], "is_ok": is_ok, "error": error, "trace": trace, **_http_output(value)})


def _http_input(call: dict[str, Any]) -> tuple[str, Any]:
    headers = {name: Datum(value, "string") for name, value in call["headers"].items()}
    value = {
        "method": Datum(call["method"], "string"),
        "url": Datum(call["url"], "string"),
        "headers": headers,
        "params": {},
        "query": {},
        "body": Datum(base64.b64decode(call["body"]), "bytes"),
    }
    return "req", Datum(value, "http")


def _timer_input() -> tuple[str, Any]:
    return "timer", Datum(json.dumps({"Schedule": {"AdjustForDST": True}, "IsPastDue": False}), "json")


def _http_output(datum: Any) -> dict[str, Any]:
    if datum is None or datum.type != "http":
        return {}
    body = datum.value["body"].value
    return {
        "status": int(datum.value["status_code"].value),
        "headers": {name.lower(): header.value for name, header in datum.value["headers"].items()},
        "body": base64.b64encode(body.encode() if isinstance(body, str) else body or b"").decode(),
    }


def _break(what: str) -> None:
    module, _, path = what.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose; sesame")

    setattr(owner, name, broken)


def _write(answers: Any, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document) + "\n")
    answers.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
