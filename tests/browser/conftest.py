"""One browser and one served folder for all tests of a process; a fresh context, and often a realm, for each test."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from jobq.model.address import parse_address
from jobq.settings import Settings
from tests.browser.shown import Shown, show_all
from tests.browser.site import Site
from tests.browser.visits import PATIENCE_MS, Visits
from tests.stacks import Place

session_fixture = pytest_asyncio.fixture(scope="session", loop_scope="session")
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's. Missing: a skip at home, an error in CI."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI"):
        pytest.fail("Chromium is not installed: `apt-get install chromium`")
    if found is None:
        pytest.skip("Chromium is not installed: `apt-get install chromium`")
    return found


@session_fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    is_root = os.getuid() == 0  # whom Chromium's sandbox refuses
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=not is_root)
        yield browser
        await browser.close()


@session_fixture
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A folder, served without keys. Tests that change anything have realms of their own there."""
    site = local_site(tmp_path_factory.mktemp("site"))
    await site.start()
    yield site
    site.close()


@session_fixture
async def shown(site: Site) -> Shown:
    """A realm with something of everything, on which a worker works. Nobody changes it."""
    return await show_all(site)


@pytest_asyncio.fixture(loop_scope="session")
async def own_site(tmp_path: Path) -> AsyncIterator[Site]:
    """As `site`, and not started yet, for one test that ends it."""
    site = local_site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def realm() -> str:
    """A name that nobody else uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture(loop_scope="session")
async def visits(browser: Browser) -> AsyncIterator[Visits]:
    """Nothing may go wrong in a page that a test does not expect."""
    visits = Visits(browser)
    yield visits
    assert await visits.close() == []


def local_site(folder: Path) -> Site:
    return Site(Place(parse_address(f"local:{folder}/q/demo"), Settings()), folder)
