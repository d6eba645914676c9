"""By keyboard, in the dark, on a phone, and for who does not see it; a picture of each view is kept in build/."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.accessible import obstacles
from tests.browser.shown import Shown
from tests.browser.site import Site
from tests.browser.visits import DESKTOP, PHONE, Visits, picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEVICES: dict[str, dict[str, Any]] = {"desktop": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", DEVICES)
async def test_nothing_is_in_anybodys_way(
    site: Site, shown: Shown, visits: Visits, realm: str, device: str, scheme: str
) -> None:
    page = await visits.open(color_scheme=scheme, **DEVICES[device])
    views = {
        "overview": (shown.realm, "counter-total"),
        "failed": (f"{shown.realm}?state=failed&tag=exp7", f"job-{shown.ids['failed']}"),
        "job": (f"{shown.realm}/job/{shown.ids['retried']}", "attempt-2"),
        "empty": (realm, "empty"),
    }
    found = {}
    for name, (where, sign) in views.items():
        await page.goto(site.page(where))
        await expect(page.get_by_test_id(sign)).to_be_visible()
        await picture(page, f"{name}-{device}-{scheme}")
        found[name] = await obstacles(page)
    await page.goto(site.page(shown.realm))
    await page.get_by_role("region", name="Jobs").get_by_test_id("action-cancel").click()
    await expect(page.get_by_test_id("confirm")).to_be_visible()
    await picture(page, f"question-{device}-{scheme}")
    found["question"] = await obstacles(page)

    assert {name: each for name, each in found.items() if each} == {}


async def test_keyboard_does_it_all(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))
    await expect(page.get_by_test_id("counter-total")).to_be_visible()

    await page.keyboard.press("/")
    await expect(page.get_by_test_id("filter-text")).to_be_focused()
    await page.keyboard.type("nowhere")
    await expect(page.locator('[data-testid^="job-"]')).to_have_count(2)
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.get_by_test_id("help")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await expect(page.get_by_role("dialog", name=re.compile("retry", re.IGNORECASE))).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("c")
    await expect(page.get_by_role("dialog", name=re.compile("cancel", re.IGNORECASE))).to_be_visible()


async def test_theme_is_chosen_and_stays(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm), color_scheme="light")
    await expect(page.get_by_test_id("counter-total")).to_be_visible()
    light = await background(page)

    for _ in range(3):
        await page.get_by_test_id("theme").click()
        if await background(page) != light:
            break
    dark = await background(page)
    await page.reload()
    await expect(page.get_by_test_id("counter-total")).to_be_visible()

    assert (await background(page), dark == light) == (dark, False)


async def background(page: Page) -> str:
    color: str = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return color


async def test_phone_needs_no_scrolling_to_the_side(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm), **PHONE)
    await expect(page.get_by_test_id("counter-total")).to_be_visible()

    widths = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")

    assert widths[0] <= widths[1]
