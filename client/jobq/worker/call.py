"""Run one call of a Python function in this process: `python -m jobq.worker.call module:function CONTROL_DIR`.

Reads `kwargs.json`, leaves `result.json` or `error.txt`. What the function prints is the job's output. With "" for the
directory it only looks whether there is such a function; the exit code is IS_ASYNC for one that is async.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

from jobq.model.wire import checked_json

MAGIC = {"_job_id": "JOBQ_JOB_ID", "_worker_id": "JOBQ_WORKER_ID"}
"""Parameters that are passed if the function asks for them."""

IS_ASYNC = 64


def main() -> int:
    reference, control = sys.argv[1], Path(sys.argv[2])
    try:
        function = load(reference)
    except Exception as error:
        return failed(control, error)
    if not control.name:
        return IS_ASYNC if inspect.iscoroutinefunction(function) else 0
    try:
        kwargs = arguments(function, control, os.environ)
    except Exception as error:
        return failed(control, error, is_undecodable=True)
    try:
        result = function(**kwargs)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        return succeeded(control, result)
    except Exception as error:
        return failed(control, error)


def load(reference: str) -> Callable[..., Any]:
    """The function named by `module:function` or `/path/to/script.py:function`."""
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("__jobq_script__", place)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot import {place}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.insert(0, str(Path(place).parent))
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    function: Callable[..., Any] = attrgetter(name)(module)
    if not callable(function):
        raise TypeError(f"{reference} is a {type(function).__name__}")
    return function


def arguments(function: Callable[..., Any], control: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """With the magic ones, checked against the signature before anything runs."""
    kwargs: dict[str, Any] = json.loads((control / "kwargs.json").read_text())
    signature = inspect.signature(function)
    kwargs |= {name: env[variable] for name, variable in MAGIC.items() if name in signature.parameters}
    signature.bind(**kwargs)
    return kwargs


def succeeded(control: Path, result: object) -> int:
    """Leave the result; the exit code. Raises BadInput for what is no JSON."""
    text = checked_json(result)
    (control / "result.json").write_text(text)
    return 0


def failed(control: Path, error: BaseException, *, is_undecodable: bool = False) -> int:
    """Say why; the exit code."""
    traceback.print_exception(error)
    if control.name:
        (control / "error.txt").write_text(f"{type(error).__name__}: {error}"[:2000])
        if is_undecodable:
            (control / "undecodable").touch()
    return 1


async def _awaited(result: Any) -> Any:
    return await result


if __name__ == "__main__":
    sys.exit(main())
