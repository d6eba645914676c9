"""The page of a realm on Azure Storage: pushed, worked, failed, retried from the page, done."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobq.model.address import parse_address
from jobq.settings import Settings
from tests.azurite import ACCOUNT
from tests.browser.site import Site
from tests.browser.visits import Visits, counts, picture
from tests.stacks import Place

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_realm_is_watched_and_mended(azurite: str, tmp_path: Path, visits: Visits, realm: str) -> None:
    place = Place(parse_address(f"{ACCOUNT}/{realm}"), Settings(connection_string=azurite))
    site = Site(place, tmp_path)
    await site.start()
    mended = tmp_path / "mended"
    site.push(realm, "echo one", f"test -e {mended}", batch="b", tags=["t"])
    await site.work(realm)

    page = await visits.open(site.page(f"{realm}?state=failed"))
    await counts(page, "failed", 1)
    mended.touch()
    await page.get_by_role("region", name="Jobs").get_by_test_id("action-retry").click()
    await page.get_by_test_id("confirm").click()
    await counts(page, "queued", 1)
    await site.work(realm)

    await counts(page, "succeeded", 2)
    await picture(page, "azure-storage")
    site.close()
