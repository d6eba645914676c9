"""What a realm's page shows of jobs that workers have run, run and will run; every number leads to what it counts."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.shown import COUNTS, Shown
from tests.browser.site import Site
from tests.browser.visits import Visits, counts

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOBS = '[data-testid^="job-"]'


async def test_every_counter_leads_to_exactly_the_jobs_that_it_counts(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))

    for state, number in [*COUNTS.items()][::-1]:
        await counts(page, state, number)
        await page.get_by_test_id(f"counter-{state}").click()
        await expect(page.locator(JOBS)).to_have_count(number)
        await expect(page).to_have_url(site.page(shown.realm + ("" if state == "total" else f"?state={state}")))


async def test_numbers_of_batches_tags_and_lanes_lead_to_their_jobs(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))
    numbers = {
        "batch-fit": "6 jobs of batch fit",
        "batch-broken": "5 failed of batch broken",
        "tag-exp7": "11 jobs of tag exp7",
        "tag-gpu": "0 succeeded of tag gpu",
        "lane-9": "3 queued of lane 9",
    }

    for part, number in numbers.items():
        await page.get_by_test_id(part).get_by_role("link", name=number).click()
        await expect(page.locator(JOBS)).to_have_count(int(number.split()[0]))


async def test_batch_says_how_far_it_is(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))

    bars = {name: page.get_by_test_id(f"batch-{name}").get_by_role("progressbar") for name in ("fit", "later")}
    await expect(bars["fit"]).to_have_attribute("aria-valuenow", "100")
    await expect(bars["later"]).to_have_attribute("aria-valuenow", "25")


async def test_failures_are_grouped_by_their_last_line(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))
    groups = page.locator('[data-testid^="failure-"]')
    await expect(groups).to_have_count(3)
    await expect(groups.first).to_contain_text("CUDA out of memory")

    await groups.first.get_by_role("link").click()

    await expect(page.locator(JOBS)).to_have_count(3)
    await expect(page).to_have_url(re.compile(r"[?&]error=[0-9a-f]{12}(&|$)"))


async def test_filters_live_in_the_address(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(f"{shown.realm}?tag=exp7&state=failed&reason=exit&lane=0"))
    await expect(page.locator(JOBS)).to_have_count(5)

    await page.get_by_test_id("filter-text").press_sequentially(" nowhere")
    await expect(page.locator(JOBS)).to_have_count(2)
    await page.reload()

    await expect(page.locator(JOBS)).to_have_count(2)
    assert "text=nowhere" in page.url
    await page.go_back()
    await page.go_forward()
    await expect(page.locator(JOBS)).to_have_count(2)


async def test_worker_shows_what_it_runs(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))

    worker = page.locator('[data-testid^="worker-"]')
    await expect(worker).to_have_count(1)
    await expect(worker).to_contain_text("gpu=a100")
    await expect(worker).to_contain_text("2 slots free")
    await worker.get_by_role("link", name=shown.ids["running"]).click()
    await expect(page.get_by_role("heading", name=shown.ids["running"])).to_be_visible()


async def test_run_times_can_be_read_as_a_table(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(shown.realm))
    chart = page.get_by_test_id("chart-durations")

    await chart.get_by_role("button", name="Table").click()

    cells = await chart.get_by_role("cell").all_inner_texts()
    assert sum(int(cell) for cell in cells if cell.isdigit()) == COUNTS["succeeded"]


async def test_empty_realm_has_the_three_commands_to_start_with(site: Site, visits: Visits, realm: str) -> None:
    page = await visits.open(site.page(realm))
    empty = page.get_by_test_id("empty")
    await expect(empty).to_be_visible()
    commands = await empty.locator("pre").all_inner_texts()

    address = f"{site.origin}/api/{realm}"
    assert [command.split()[:3] for command in commands] == [
        ["pip", "install", "'.[azure]'"],
        ["jobq", address, "push"],
        ["jobq", address, "worker"],
    ]
    site.push(realm, "true", batch="b")
    await counts(page, "queued", 1)
