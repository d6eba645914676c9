"""Whether a folder will do as a queue. One that is not there yet is not made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from jobq.adapters.local import STORE_NAME, LocalStack
from jobq.doctor.check import Checkup, Doubt
from jobq.doctor.probes import new_name, try_blobs, try_queue, try_table
from jobq.errors import BadInput, NotAllowed

SCARCE_BYTES = 500 * 1024 * 1024


async def examine_folder(folder: Path, checkup: Checkup) -> None:
    """`folder`: absolute."""

    async def look() -> str:
        return judge_folder(folder)

    if not await checkup.look("folder", look) or not (folder / STORE_NAME).exists():
        return
    stack = LocalStack(folder)
    try:
        await checkup.look("table", lambda: try_table(stack.table))
        await checkup.look("blob", lambda: try_blobs(stack.blobs))
        await checkup.look("queue", lambda: try_queue(stack.queue(new_name())))
    finally:
        await stack.close()


def judge_folder(folder: Path) -> str:
    """Raises Doubt; BadInput and NotAllowed where no queue can be."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise BadInput(f"{nearest} is a file; name a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise NotAllowed(f"{nearest}: you may not write there; name another folder, or have its owner let you")
    free = shutil.disk_usage(nearest).free
    if not (folder / STORE_NAME).exists():
        raise Doubt(f"there is no queue in {folder} yet; the first push makes it. Is the name right?")
    if free < SCARCE_BYTES:
        raise Doubt(f"only {free / 2**20:,.0f} MiB are free in {folder}; make room")
    return f"{folder} can be written, {free / 2**30:,.1f} GiB free"
