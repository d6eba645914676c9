"""Pausing a realm, or lanes of it: workers finish what they run there, and take nothing new."""

from __future__ import annotations

from jobq.core.ports import merge
from jobq.core.realm import EVERY_LANE, Realm, lanes_in, paused_in
from jobq.core.rows import REALMS
from jobq.errors import Conflict, IllegalTransition, NotFound, ReplyLost
from jobq.model.names import lane_order


async def pause(realm: Realm, lane: str = EVERY_LANE) -> list[str]:
    """What is paused now: lanes, or EVERY_LANE. Raises NotFound, and IllegalTransition while the realm is deleted."""
    return await _change(realm, lane, is_paused=True)


async def resume(realm: Realm, lane: str = EVERY_LANE) -> list[str]:
    """The same. Raises NotFound, and IllegalTransition for a lane of a realm that is paused as a whole."""
    return await _change(realm, lane, is_paused=False)


async def _change(realm: Realm, lane: str, *, is_paused: bool) -> list[str]:
    while True:
        row = await realm.open_row()
        if row is None or lane not in {EVERY_LANE, *lanes_in(row)}:
            what = f"lane {lane} in {realm.address}" if row else f"realm {realm.address}"
            raise NotFound(f"there is no {what} yet; the first push makes it")
        before = paused_in(row)
        if lane == EVERY_LANE:
            after = {EVERY_LANE} if is_paused else set()
        elif EVERY_LANE in before and not is_paused:
            raise IllegalTransition(f"the whole of {realm.address} is paused; resume that, then pause other lanes")
        else:
            after = before | {lane} if is_paused else before - {lane}
        names = sorted(after, key=lane_order)
        try:
            await realm.stack.table.commit(REALMS, [merge(realm.name, {"paused": ",".join(names)}, row.etag)])
            return names
        except (Conflict, ReplyLost):
            continue
