"""Deleting a realm: its rows, tickets and blobs, in the background, by whoever comes next if that is interrupted."""

from __future__ import annotations

from jobq.core.realm import Realm


async def delete_realm(realm: Realm) -> None:
    """Close the realm for good and for everybody: from now on nothing is pushed or taken. Raises NotFound."""
    raise NotImplementedError


async def erase(realm: Realm) -> bool:
    """Remove what is left of a realm that was deleted; whether all of it is gone, the realm's own row included.

    That row goes last, and not before other processes have noticed that the realm is closed: until then what they
    still write is removed by the next call.
    """
    raise NotImplementedError
