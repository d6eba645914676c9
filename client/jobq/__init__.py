"""jobq: a job queue for batch work on Azure.

from jobq import Client

with Client("local:./q/demo") as queue:
    batch = queue.push(["echo hello"])
    queue.wait(batch)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Batch", "Client", "JobqError", "Realms", "Tally", "__version__", "current_job", "run_worker"]

if TYPE_CHECKING:
    from jobq.client import Batch, Client, run_worker
    from jobq.errors import JobqError
    from jobq.many import Tally
    from jobq.realms import Realms
    from jobq.worker.current import current_job

_HOME = {
    "Batch": "jobq.client",
    "Client": "jobq.client",
    "run_worker": "jobq.client",
    "JobqError": "jobq.errors",
    "Realms": "jobq.realms",
    "Tally": "jobq.many",
    "current_job": "jobq.worker.current",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: `import jobq` alone loads nothing else."""
    if name not in _HOME:
        raise AttributeError(f"module 'jobq' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
