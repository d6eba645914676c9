"""One check after the other: what was looked at, what was found, and what mends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jobq.errors import JobqError, NotAllowed, Unreachable
from jobq.model.roles import Who

State = Literal["ok", "warning", "failed"]

CHECK_SECONDS = 60
"""For one check, with all that is tried again within it."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    detail: str
    """For people: what was found; if it failed, what happened, why, and what to do."""
    seconds: float = 0.0
    fix: str = ""
    """The command that mends it, where one does."""
    exit_code: int = 0


class Doubt(Exception):
    """What a check ends with that has found nothing broken, and something that people should know."""


@dataclass(slots=True)
class Checkup:
    """The checks so far, in order. `who`: the identity they ran as, once it is known."""

    checks: list[Check] = field(default_factory=list)
    who: Who | None = None

    async def look(self, name: str, examine: Callable[[], Awaitable[str]]) -> bool:
        """Run a check, which says what it found or raises a Doubt or a JobqError; whether it did not fail."""
        start = time.monotonic()
        state: State = "ok"
        code, fix = 0, ""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                detail = await examine()
        except Doubt as doubt:
            state, detail = "warning", str(doubt)
        except JobqError as error:
            state, detail, code = "failed", self._named(str(error)), error.exit_code
            fix = self._named(error.fix) if isinstance(error, NotAllowed) else ""
        except TimeoutError:
            state, detail, code = "failed", f"no answer within {CHECK_SECONDS} s", Unreachable.exit_code
        self.checks.append(Check(name, state, detail, time.monotonic() - start, fix, code))
        return state != "failed"

    def _named(self, text: str) -> str:
        return self.who.in_command(text) if self.who else text


def exit_code_of(checks: Sequence[Check]) -> int:
    """0 where nothing failed; what is not allowed comes before what is not reachable, and that before the rest."""
    codes = {check.exit_code for check in checks if check.state == "failed"}
    first = next((code for code in (NotAllowed.exit_code, Unreachable.exit_code) if code in codes), 1)
    return first if codes else 0
