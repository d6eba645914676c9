"""Run one call of a Python function in this process: `python -m jobq.worker.call module:function CONTROL_DIR`.

Reads `kwargs.json`, leaves `result.json` or `error.txt`. What the function prints is the job's output. With "" for the
directory it only looks whether there is such a function.
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
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

from jobq.model.wire import checked_json

MAGIC = {"_job_id": "JOBQ_JOB_ID", "_worker_id": "JOBQ_WORKER_ID"}
"""Parameters that are passed if the function asks for them."""


def main() -> int:
    reference, control = sys.argv[1], Path(sys.argv[2])
    reason = "exit"
    try:
        function = load(reference)
        if not callable(function):
            raise TypeError(f"{reference} is a {type(function).__name__}")
        if not control.name:
            return 0
        reason = "undecodable"
        kwargs = _arguments(function, json.loads((control / "kwargs.json").read_text()))
        reason = "exit"
        result = function(**kwargs)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        text = checked_json(result)
    except Exception as error:
        traceback.print_exc()
        if control.name:
            _tell(control, f"{type(error).__name__}: {error}", reason)
        return 1
    (control / "result.json").write_text(text)
    return 0


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
    return function


def _arguments(function: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """With the magic ones, checked against the signature before anything runs."""
    signature = inspect.signature(function)
    kwargs |= {name: os.environ[variable] for name, variable in MAGIC.items() if name in signature.parameters}
    signature.bind(**kwargs)
    return kwargs


async def _awaited(result: Any) -> Any:
    return await result


def _tell(control: Path, message: str, reason: str) -> None:
    (control / "error.txt").write_text(message[:2000])
    if reason == "undecodable":
        (control / "undecodable").touch()


if __name__ == "__main__":
    sys.exit(main())
