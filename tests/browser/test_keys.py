"""The page where a key is asked for: typed, kept for this tab, sent as a header, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import local_site
from tests.browser.site import Site
from tests.browser.visits import Visits, counts, hurry

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATUS, MANAGE, NEWER = "status-key-0123456789", "manage-key-0123456789", "newer-key-0123456789"
PUSH = {"batch": "b", "jobs": [{"cmd": "true"}]}
REFUSED = "401"


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(tmp_path: Path) -> AsyncIterator[Site]:
    site = local_site(tmp_path)
    site.keys = f"enqueue={STATUS},status={STATUS},manage={MANAGE}"
    await site.start()
    site.ask("POST", "enqueue/demo/jobs", PUSH, key=STATUS)
    yield site
    site.close()


async def give(page: Page, key: str) -> None:
    await page.get_by_test_id("key-input").fill(key)
    await page.get_by_test_id("key-input").press("Enter")


async def test_keys_are_asked_for_one_by_one_and_kept_in_this_tab_only(guarded: Site, visits: Visits) -> None:
    visits.forgiven += [REFUSED]
    page = await visits.open(guarded.page("demo"))
    addresses = [page.url]
    page.on("request", lambda request: addresses.append(request.url))

    await give(page, "wrong-key-0123456789")
    await expect(page.get_by_test_id("key-dialog")).to_contain_text("not")
    await give(page, STATUS)
    await counts(page, "queued", 1)
    await page.get_by_role("region", name="Jobs").get_by_test_id("action-cancel").click()
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("key-dialog")).to_contain_text("manage")
    await give(page, MANAGE)
    await counts(page, "cancelled", 1)
    await page.reload()
    await counts(page, "cancelled", 1)

    kept = json.loads(await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])"))
    assert {STATUS, MANAGE} <= {*kept[0].values()}
    assert "key-0123456789" not in json.dumps(kept[1:]) + " ".join([*addresses, page.url])


async def test_key_that_is_not_good_any_more_is_asked_for_again(guarded: Site, visits: Visits) -> None:
    visits.forgiven += [REFUSED, "ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"]
    page = await visits.open()
    await page.clock.install()
    await page.goto(guarded.page("demo"))
    await give(page, STATUS)
    await counts(page, "queued", 1)

    guarded.stop()
    guarded.keys = NEWER
    await guarded.start()
    guarded.ask("POST", "enqueue/demo/jobs", PUSH | {"batch": "c"}, key=NEWER)
    await hurry(page, page.get_by_test_id("key-dialog").is_visible)
    await give(page, NEWER)

    await counts(page, "queued", 2)
