"""Nothing of a job's text becomes markup or a script, wherever the page shows it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.browser.shown import MARK, Shown
from tests.browser.site import Site
from tests.browser.visits import PHONE, Visits, picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEEN = MARK[: MARK.index("\u202e")]
"""What there is to see of it; what turns the direction of text is to show some other way."""
STRANGE = "img[src='x'], main script, svg script, [onerror], [onclick], iframe, object, embed"


async def strangers(page: Page) -> int:
    return await page.locator(STRANGE).count()


async def is_too_wide(page: Page) -> bool:
    wide: bool = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
async def test_overview_shows_it_as_text(site: Site, shown: Shown, visits: Visits, device: dict[str, object]) -> None:
    page = await visits.open(site.page(f"{shown.realm}?batch=hostile"), **device)

    await expect(page.get_by_role("region", name="Tags", exact=True)).to_contain_text(SEEN)
    await expect(page.get_by_role("region", name="Failures", exact=True)).to_contain_text(SEEN[:17])
    await expect(page.get_by_test_id(f"job-{shown.ids['hostile']}")).to_contain_text(SEEN[:20])
    assert (await strangers(page), await is_too_wide(page)) == (0, False)


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
async def test_job_shows_it_as_text(site: Site, shown: Shown, visits: Visits, device: dict[str, object]) -> None:
    page = await visits.open(site.page(f"{shown.realm}/job/{shown.ids['hostile']}"), **device)

    log = page.get_by_test_id("log")
    await expect(log).to_contain_text(SEEN)
    await expect(log).to_contain_text("red")
    await expect(page.get_by_role("main")).to_contain_text(SEEN)
    assert (await strangers(page), await is_too_wide(page)) == (0, False)
    await picture(page, f"hostile-{'phone' if device else 'desktop'}")


async def test_text_never_turns_the_words_around_it(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(f"{shown.realm}/job/{shown.ids['hostile']}"))

    await expect(page.get_by_test_id("log")).to_contain_text(SEEN)

    assert "\u202e" not in await page.get_by_role("main").inner_text()


async def test_address_that_somebody_made_up_is_text_too(site: Site, shown: Shown, visits: Visits) -> None:
    visits.forgiven += ["status of 400"]
    page = await visits.open()

    for name in ("tag", "text", "batch", "lane", "state", "reason", "error", "range"):
        await page.goto(site.page(f"{shown.realm}?{name}={quote(MARK)}"))
        await expect(page.get_by_test_id("counter-total")).to_be_visible()
        await expect(page.get_by_role("region", name="Jobs", exact=True)).to_be_visible()
        assert await strangers(page) == 0


async def test_tag_with_markup_leads_to_its_job(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))

    await page.get_by_role("region", name="Tags", exact=True).get_by_role("link", name=SEEN).first.click()

    await expect(page.locator('[data-testid^="job-"]')).to_have_count(1)
