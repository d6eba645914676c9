"""All realms of a place as a mapping, for callers who keep data in jobs and run them elsewhere.

realms = Realms("http://localhost:7071/api")
realms.test.add("job 1", 0, "do the dishes", tags=["house work"])
for job_id, (lane, data) in realms.test.pull(count=5).items():
    ...
    realms.test.ack(job_id)
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from jobq.adding import all_added, check_added
from jobq.backend import open_backend
from jobq.client import client_settings
from jobq.errors import BadInput, JobqError
from jobq.model.address import parse_address
from jobq.model.names import job_id, realm_name
from jobq.realm import JobId, Lane, Realm, check_out, check_removed

_ANY = "default"
"""The realm of an address that names none: what is asked of a place is asked through it."""


class Realms(Mapping[str, Realm]):
    """The realms of a place: `realms["a-b"]`, or `realms.test` where the name is an identifier. Close it when done.

    `url` is a place, or the queue of any realm in it: `http://host/api`, `mystorage`, `sb://mybus`, `local:./folder/`
    (with a slash at its end where the last part could be a realm). Without it environment and files say so.
    """

    def __init__(
        self, url: str = "", *, connection_string: str = "", servicebus_connection_string: str = "", key: str = ""
    ) -> None:
        settings = client_settings(url, connection_string, servicebus_connection_string, key)
        self._address = parse_address(_with_realm(settings.address_text()))
        self._backend = open_backend(self._address, settings)
        self._realms: dict[str, Realm] = {}
        atexit.register(self._close_at_exit)

    def __enter__(self) -> Realms:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        atexit.unregister(self._close_at_exit)
        self._backend.close()

    def _close_at_exit(self) -> None:
        """For sessions that do not: the Azure SDKs would complain of open connections."""
        with suppress(RuntimeError):  # threads end before this runs, and a folder is closed by one
            self._backend.close()

    def __repr__(self) -> str:
        return f"<realms of {str(self._address).rpartition('/')[0]}>"

    def __getitem__(self, name: str) -> Realm:
        """Whether or not there is one yet. Raises BadInput for what cannot be a realm's name."""
        if name not in self._realms:
            self._realms[realm_name(name)] = Realm(name, self._backend.beside(name))
        return self._realms[name]

    def __getattr__(self, name: str) -> Realm:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except BadInput as error:
            raise AttributeError(str(error)) from error

    def __iter__(self) -> Iterator[str]:
        """Names of the realms that were used, in order."""
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __dir__(self) -> list[str]:
        found = list(super().__dir__())
        with suppress(JobqError):  # a completion is no place for errors
            found += [name for name in self._names() if name.isidentifier()]
        return found

    def pull(
        self, count: int = 5, realms: Iterable[str] | None = None, max_queue: Lane | None = None
    ) -> dict[str, dict[str, list[Any]]]:
        """Up to `count` jobs, from the lowest lane over all realms, or those named: `{realm: {id: [lane, data]}}`."""
        chosen = None if realms is None else tuple(map(realm_name, realms))
        if chosen == ():
            return {}
        pulled: dict[str, dict[str, list[Any]]] = {}
        for held in check_out(self._backend, count, max_queue, chosen):
            pulled.setdefault(held["realm"], {})[held["id"]] = self[held["realm"]]._take(held)
        return pulled

    def bulk_add(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """As `Realm.bulk_add`, for objects that also have a `realm_id`."""
        by_realm = all_added(jobs)
        check_added([(name, answer) for name, new in by_realm.items() for answer in self[name]._add(new)])

    def bulk_remove(self, jobs: Iterable[tuple[str, JobId]]) -> None:
        """As `Realm.bulk_remove`, for pairs of a realm and a job's id."""
        by_realm: dict[str, list[str]] = {}
        for realm, name in jobs:
            by_realm.setdefault(realm_name(realm), []).append(job_id(name))
        lost = {name: self[name]._remove(ids) for name, ids in by_realm.items()}
        for name, ids in lost.items():
            check_removed(name, ids)

    def _names(self) -> list[str]:
        found: list[str] = self._backend.realms()["realms"]
        return found


def _with_realm(text: str) -> str:
    """The address of some realm of a place, whether or not it names one."""
    place = text.strip()
    if _names_realm(place):
        return place
    if re.fullmatch(r"https?://[^/]+/*", place):  # as restq's users write a server
        place = f"{place.rstrip('/')}/api"
    return f"{place.rstrip('/')}/{_ANY}"


def _names_realm(place: str) -> bool:
    if place.startswith(("http://", "https://")):
        return "/api/" in place.rstrip("/")
    if not place.startswith("local:"):
        return "/" in place.removeprefix("sb://").rstrip("/")
    from jobq.adapters.local import STORE_NAME

    folder = Path(place.removeprefix("local:"))
    try:
        realm_name(folder.name)
    except BadInput:
        return False
    return not place.endswith("/") and not (folder / STORE_NAME).exists()
