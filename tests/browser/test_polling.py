"""How the page keeps up: little asked while nothing changes, seldom while nobody looks, and again after a loss."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Response, expect

from tests.browser.shown import Shown
from tests.browser.site import Site
from tests.browser.visits import Visits, counts, hurry
from tests.until import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Summaries:
    """The status of each answer to a poll of the summary."""

    def __init__(self, page: Page) -> None:
        self.statuses: list[int] = []
        self.asked = 0
        page.on("request", lambda request: self._ask(request.url))
        page.on("response", self._hear)

    def _ask(self, url: str) -> None:
        self.asked += url.endswith("/summary")

    def _hear(self, response: Response) -> None:
        if response.url.endswith("/summary"):
            self.statuses.append(response.status)

    async def within(self, page: Page, seconds: int) -> int:
        """How many were asked for in that time by the page's clock, each of them answered."""
        before = self.asked
        for _ in range(seconds):
            await page.clock.run_for(1000)
            await until(lambda: len(self.statuses) == self.asked)
        return self.asked - before


async def test_nothing_is_sent_again_while_nothing_changes(site: Site, visits: Visits, realm: str) -> None:
    site.push(realm, "true", batch="b")
    page = await visits.open()
    await page.clock.install()
    summaries = Summaries(page)
    await page.goto(site.page(realm))
    await counts(page, "queued", 1)

    await summaries.within(page, 60)
    unchanged = summaries.statuses[1:]
    site.push(realm, "true", batch="c")
    await summaries.within(page, 10)

    assert {*unchanged} == {304}
    assert summaries.statuses.count(200) == 2
    await counts(page, "queued", 2)


async def test_page_that_nobody_sees_asks_seldom_and_at_once_when_it_is_seen(
    site: Site, shown: Shown, visits: Visits
) -> None:
    page = await visits.open()
    await page.clock.install()
    summaries = Summaries(page)
    await page.goto(site.page(shown.realm))
    await expect(page.get_by_test_id("counter-total")).to_be_visible()

    seen = await summaries.within(page, 60)
    await show(page, False)
    hidden = await summaries.within(page, 60)
    before = summaries.asked
    await show(page, True)
    await until(lambda: summaries.asked > before)

    assert 10 <= seen <= 30
    assert hidden <= 2


async def show(page: Page, is_seen: bool) -> None:
    """Whether the tab is one that somebody looks at."""
    await page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        not is_seen,
    )


async def test_loss_of_the_service_is_said_and_its_return_mends_it(own_site: Site, visits: Visits) -> None:
    visits.forgiven += ["ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"]
    await own_site.start()
    own_site.push("demo", "true", batch="b")
    page = await visits.open()
    await page.clock.install()
    await page.goto(own_site.page("demo"))
    await counts(page, "queued", 1)
    offline = page.get_by_test_id("offline")

    own_site.stop()
    await hurry(page, offline.is_visible)
    await counts(page, "queued", 1)  # what was known stays
    await own_site.start()
    own_site.push("demo", "true", batch="c")
    await hurry(page, offline.is_hidden)

    await counts(page, "queued", 2)
