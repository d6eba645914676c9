"""What the timer does: sweep every realm of the stack that nobody has swept within the last minute."""

from __future__ import annotations

import logging

from jobq.core.sweep import sweep_if_due
from jobq.errors import JobqError
from jobq_service.realms import Realms

logger = logging.getLogger(__name__)


async def sweep_realms(realms: Realms, holder: str) -> int:
    """How many realms were swept. One in trouble does not keep the others waiting; raises what lists no realms."""
    count = 0
    for name in await realms.names():
        try:
            swept = await sweep_if_due(realms.realm(name), holder)
        except JobqError as error:
            logger.warning("could not finish the sweep of realm %s: %s", name, error)
            continue
        count += swept is not None
        if swept is not None and not swept.is_clean:
            logger.info("swept realm %s: %s", name, swept)
    return count
