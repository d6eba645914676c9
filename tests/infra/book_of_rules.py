"""All rules: importing a file of rules puts them into the book."""

from tests.infra.rules import control_plane, data, files, fleet, roles
from tests.infra.rules.book import RULES

__all__ = ["RULES", "control_plane", "data", "files", "fleet", "roles"]
