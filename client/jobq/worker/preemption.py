"""The end of this machine, as Azure announces it: jobs go back in time; then it comes, or is withdrawn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jobq.errors import Unreachable
from jobq.model.durations import show_duration, utc_now

if TYPE_CHECKING:
    from jobq.worker.scheduled_events import Notice, ScheduledEvents

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 60.0
"""While the endpoint does not answer."""
AZURE_CHASSIS = "7783-7084-3265-9085-8269-3286-77"
"""The chassis asset tag of every virtual machine in Azure."""
SPARE = timedelta(seconds=3)
"""Before the machine may go: to put the jobs back."""
PATIENCE = timedelta(minutes=2)
"""A machine that is still there so long after it should have gone is taken to stay."""


class Preemptible(Protocol):
    def preempt(self, grace: timedelta | None) -> None: ...

    def resume(self) -> None: ...


@dataclass(slots=True)
class PreemptionWatch:
    """`run` it beside the worker."""

    events: ScheduledEvents
    worker: Preemptible
    now: Callable[[], datetime] = utc_now
    _notice: Notice | None = None
    """What the worker was preempted for."""
    _gone_by: datetime | None = None
    _outlived: set[str] = field(default_factory=set)
    """Events that should have ended this machine, and have not."""

    async def run(self) -> None:
        wait = POLL_SECONDS
        try:
            while True:
                try:
                    self.heed(await asyncio.to_thread(self.events.notices))
                    wait = POLL_SECONDS
                except Unreachable as error:
                    wait = min(LONGEST_POLL_SECONDS, 2 * wait)
                    logger.info("asking again in %.0f s: %s", wait, error)
                await asyncio.sleep(wait)
        finally:
            self.events.close()

    def heed(self, notices: Sequence[Notice]) -> None:
        """What is announced now."""
        notices = [notice for notice in notices if notice.id not in self._outlived]
        if self._notice is None and notices:
            self._preempt(notices[0])
        elif self._notice is not None and not notices:
            self._resume("is not announced any more")
        elif self._notice is not None and self._gone_by and self.now() > self._gone_by:
            self._outlived |= {notice.id for notice in notices}
            self._resume("should have come by now")

    def _preempt(self, notice: Notice) -> None:
        left = max(timedelta(0), notice.not_before - self.now() - SPARE) if notice.not_before else None
        self._notice, self._gone_by = notice, (notice.not_before or self.now()) + PATIENCE
        when = "now" if left is None else f"in {show_duration(left)}"
        logger.warning("this machine goes %s (%s): jobs go back to the queue", when, notice.kind)
        self.worker.preempt(left)

    def _resume(self, why: str) -> None:
        assert self._notice is not None
        logger.warning("the end of this machine (%s) %s: taking jobs again", self._notice.kind, why)
        self._notice = self._gone_by = None
        self.worker.resume()


def is_on_azure(dmi: Path = Path("/sys/class/dmi/id")) -> bool:
    """Whether this is a virtual machine of Azure's, or a container on one that shows it."""
    try:
        return (dmi / "chassis_asset_tag").read_text().strip() == AZURE_CHASSIS
    except OSError:
        return False
