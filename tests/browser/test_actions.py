"""What can be done from the page, to jobs that real workers have run or will run."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.site import Site
from tests.browser.visits import Visits, counts
from tests.until import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask_for(page: Page, deed: str) -> None:
    await page.get_by_role("region", name="Jobs").get_by_test_id(f"action-{deed}").click()


async def test_all_that_failed_and_match_are_retried_after_their_number_was_said(
    site: Site, visits: Visits, realm: str
) -> None:
    mended = site.folder / f"{realm}-mended"
    site.push(realm, *[f"test -e {mended}"] * 3, batch="a", tags=["mine"])
    site.push(realm, *["exit 3"] * 2, batch="b", tags=["other"])
    await site.work(realm)
    mended.touch()
    page = await visits.open(site.page(f"{realm}?state=failed&tag=mine"))

    await ask_for(page, "retry")
    await expect(page.get_by_role("dialog")).to_contain_text("3 jobs")
    await page.get_by_test_id("confirm").click()

    await counts(page, "queued", 3)
    await site.work(realm)
    await counts(page, "succeeded", 3)
    await counts(page, "failed", 2)


async def test_all_that_match_are_cancelled_and_nothing_else(site: Site, visits: Visits, realm: str) -> None:
    site.push(realm, *["echo fit"] * 3, batch="a")
    site.push(realm, *["echo plot"] * 2, batch="b")
    page = await visits.open(site.page(f"{realm}?text=FIT"))

    await ask_for(page, "cancel")
    await expect(page.get_by_role("dialog")).to_contain_text("3 jobs")
    await page.get_by_test_id("confirm").dblclick()  # as people do

    await counts(page, "cancelled", 3)
    await expect(page.get_by_test_id("progress")).to_contain_text("3 of 3")
    await page.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert {"queued": 2, "cancelled": 3}.items() <= site.counts(realm).items()


async def test_question_that_is_not_confirmed_changes_nothing(site: Site, visits: Visits, realm: str) -> None:
    site.push(realm, "true", batch="a")
    page = await visits.open(site.page(realm))

    await ask_for(page, "cancel")
    await expect(page.get_by_test_id("confirm")).to_be_visible()
    await page.keyboard.press("Escape")

    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert site.counts(realm)["queued"] == 1


async def test_waiting_jobs_move_to_another_lane(site: Site, visits: Visits, realm: str) -> None:
    site.push(realm, *["true"] * 3, batch="a")
    page = await visits.open(site.page(f"{realm}?state=queued&lane=0"))

    await ask_for(page, "move")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("3 jobs")
    await dialog.get_by_label("to lane").fill("5")
    await page.get_by_test_id("confirm").click()

    await expect(page.get_by_test_id("lane-5").get_by_role("link", name="3 queued of lane 5")).to_be_visible()


async def test_jobs_that_match_are_removed(site: Site, visits: Visits, realm: str) -> None:
    site.push(realm, "true", "true", "exit 3", batch="a")
    await site.work(realm)
    page = await visits.open(site.page(f"{realm}?state=succeeded"))

    await ask_for(page, "remove")
    await expect(page.get_by_role("dialog")).to_contain_text("2 jobs")
    await page.get_by_test_id("confirm").click()

    await counts(page, "total", 1)
    assert site.counts(realm)["total"] == 1


async def test_lane_and_realm_are_paused_and_go_on(site: Site, visits: Visits, realm: str) -> None:
    site.push(realm, "true", batch="a", lane="3")
    page = await visits.open(site.page(realm))
    lane = page.get_by_test_id("lane-3")

    await lane.get_by_role("button", name="Pause lane 3").click()
    await page.get_by_test_id("confirm").click()
    await expect(lane).to_contain_text("paused")
    await lane.get_by_role("button", name="Resume lane 3").click()
    await page.get_by_test_id("confirm").click()
    await expect(lane).not_to_contain_text("paused")
    await page.get_by_test_id("action-pause").click()
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("action-resume")).to_be_visible()

    assert site.ask("GET", f"status/{realm}/settings")["paused"] == ["*"]


async def test_worker_that_is_drained_finishes_what_it_runs_and_ends(site: Site, visits: Visits, realm: str) -> None:
    end = site.folder / f"{realm}-end"
    site.push(realm, f"while ! test -e {end}; do sleep 0.05; done", batch="a")
    worker = site.worker(realm, "--forever")
    await until(lambda: site.counts(realm)["running"] == 1)
    page = await visits.open(site.page(realm))
    tile = page.locator('[data-testid^="worker-"]')
    await expect(tile).to_contain_text("a-000001")

    await tile.get_by_test_id("action-drain").click()
    await page.get_by_test_id("confirm").click()

    await expect(tile).to_contain_text("draining")
    end.touch()
    await until(lambda: worker.poll() is not None)
    assert (worker.returncode, site.counts(realm)["succeeded"]) == (0, 1)


async def test_one_job_is_cancelled_and_retried_from_its_page(site: Site, visits: Visits, realm: str) -> None:
    [job] = site.push(realm, "true", batch="a")
    page = await visits.open(site.page(f"{realm}/job/{job}"))
    main = page.get_by_role("main")

    await main.get_by_test_id("action-cancel").click()
    await page.get_by_test_id("confirm").click()
    await expect(main).to_contain_text("cancelled")
    await main.get_by_test_id("action-retry").click()
    await page.get_by_test_id("confirm").click()

    await expect(main).to_contain_text("queued")
