"""How a run of figures was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    quick: bool = False
    """Small numbers, to see that everything works; the figures mean nothing."""
    slow: bool = False
    """Also what takes many minutes of real time."""
    ai4s: Path | None = None
    """The peer's program; without it, it is installed in bench/.cache."""

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        return self.count(3, 1)
