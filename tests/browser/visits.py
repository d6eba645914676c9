"""Pages opened in contexts of their own, and all that went wrong in them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.until import until

PICTURES = Path(__file__).resolve().parents[2] / "build/screenshots"
PATIENCE_MS = 30_000
"""Generous: the machine may be busy with other tests. What is there costs no more than its poll."""
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}


@dataclass(slots=True)
class Visits:
    """`faults`: errors in a console, of scripts and against the page's policy, and requests to anywhere else. A test
    that brings some about names them, as patterns, in `forgiven`."""

    browser: Browser
    faults: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(self, address: str = "", **options: Any) -> Page:
        """In a new context, with Playwright's options for one."""
        context = await self.browser.new_context(
            **{**DESKTOP, "locale": "en-GB", "timezone_id": "UTC", "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        page = await context.new_page()
        self._watch(page)
        if address:
            await page.goto(address)
        return page

    async def close(self) -> list[str]:
        """What went wrong and was not expected."""
        for context in self.contexts:
            await context.close()
        return [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.forgiven)]

    def _watch(self, page: Page) -> None:
        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.faults.append(f"console: {message.text} ({message.location.get('url')})")

        def on_request(request: Request) -> None:
            is_own = request.is_navigation_request() or origin(request.url) == origin(request.frame.url)
            if request.url.startswith("http") and not (is_own and "//127.0.0.1:" in origin(request.url)):
                self.faults.append(f"request to {request.url}")

        page.on("console", on_console)
        page.on("request", on_request)
        page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))


async def counts(page: Page, state: str, number: int) -> None:
    """The page's counter comes to say so."""
    await expect(page.get_by_test_id(f"counter-{state}")).to_have_accessible_name(f"{number} {state}")


async def hurry(page: Page, condition: Callable[[], Awaitable[bool]]) -> None:
    """Have the page's clock, which was installed, run ahead until the condition holds."""

    async def once() -> bool:
        await page.clock.run_for(1000)
        return await condition()

    await until(once)


def origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
