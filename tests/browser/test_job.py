"""A job's page: how it went, what it said and what came out."""

from __future__ import annotations

import pytest
import requests
from playwright.async_api import expect

from jobq.model.files import File, Manifest, digest_of, name_in
from tests.browser.shown import Shown
from tests.browser.site import Site
from tests.browser.visits import Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_timeline_has_every_attempt_and_how_it_ended(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(f"{shown.realm}/job/{shown.ids['retried']}"))
    timeline = page.get_by_test_id("timeline")

    await expect(timeline.get_by_test_id("attempt-1")).to_contain_text("exit 1")
    await expect(timeline.get_by_test_id("attempt-2")).to_be_visible()
    await expect(page.get_by_test_id("log")).to_contain_text("attempt 2")
    await timeline.get_by_test_id("attempt-1").get_by_role("button").click()
    await expect(page.get_by_test_id("log")).to_contain_text("attempt 1")


async def test_failure_shows_its_reason_its_exit_code_and_its_last_lines(
    site: Site, shown: Shown, visits: Visits
) -> None:
    page = await visits.open(site.page(f"{shown.realm}/job/{shown.ids['failed']}"))

    await expect(page.get_by_role("main")).to_contain_text("exit 3")
    await expect(page.get_by_test_id("log")).to_contain_text("CUDA out of memory on GPU 3")


async def test_success_shows_its_result(site: Site, shown: Shown, visits: Visits) -> None:
    page = await visits.open(site.page(f"{shown.realm}/job/{shown.ids['succeeded']}"))

    await expect(page.get_by_role("main")).to_contain_text('"loss": 0.1')


async def test_files_that_came_with_a_job_are_listed_as_text(site: Site, visits: Visits, realm: str) -> None:
    manifest = Manifest({"<b>run</b>.sh": File(1234, ("a" * 64,), is_executable=True)}).encode()
    name = name_in("202611", digest_of(manifest))
    url, headers = f"{site.origin}/api/enqueue/{realm}/files/{name}", {"content-type": "application/octet-stream"}
    requests.put(url, data=manifest, headers=headers, timeout=30).raise_for_status()
    [job] = site.push(realm, {"cmd": "true", "files": name}, batch="b")
    page = await visits.open(site.page(f"{realm}/job/{job}"))

    await expect(page.get_by_test_id("files")).to_contain_text("<b>run</b>.sh executable1,234")


async def test_log_of_a_running_job_follows(site: Site, visits: Visits, realm: str) -> None:
    said, end = site.folder / f"{realm}-said", site.folder / f"{realm}-end"
    wait = "while ! test -e {0}; do sleep 0.05; done"
    command = f"echo first words; {wait.format(said)}; echo second words; {wait.format(end)}; echo last words"
    [job] = site.push(realm, command, batch="b")
    site.worker(realm, "--exit-when-empty")
    page = await visits.open(site.page(f"{realm}/job/{job}"))
    log = page.get_by_test_id("log")

    await expect(log).to_contain_text("first words")
    await expect(log).not_to_contain_text("second words")
    said.touch()
    await expect(log).to_contain_text("second words")
    end.touch()
    await expect(log).to_contain_text("last words")
    await expect(page.get_by_role("main")).to_contain_text("succeeded")


async def test_job_that_is_not_there_is_said_to_be_so(site: Site, shown: Shown, visits: Visits) -> None:
    visits.forgiven += ["404"]
    page = await visits.open(site.page(f"{shown.realm}/job/nope"))

    await expect(page.get_by_role("alert")).to_contain_text("nope")
