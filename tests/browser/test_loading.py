"""The page comes, from where it is served and from nowhere else."""

from __future__ import annotations

import pytest

from tests.browser.site import Site
from tests.browser.visits import Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_page_comes_at_the_address_that_serve_says(site: Site, visits: Visits) -> None:
    page = await visits.open(f"{site.origin}/dashboard#/demo")

    assert page.url == site.page("demo")
    assert "jobq" in await page.title()


@pytest.mark.parametrize(
    ("deed", "directive"),
    [
        ("fetch('https://example.com/').catch(() => 0)", "connect-src"),
        ("document.body.append(Object.assign(new Image(), {src: 'https://example.com/x.png'}))", "img-src"),
        ("document.body.setAttribute('style', 'background: url(//example.com)')", "style-src-attr"),
        ("setTimeout(() => { document.body.innerHTML = '<b>x</b>' })", "require-trusted-types-for"),
    ],
)
async def test_page_that_was_made_to_misbehave_is_stopped(
    site: Site, visits: Visits, deed: str, directive: str
) -> None:
    page = await visits.open(site.page("demo"))
    visits.forgiven += [".*"]

    violated = await page.evaluate(
        "(deed) => new Promise((done) => {"
        " addEventListener('securitypolicyviolation', (event) => done(event.violatedDirective));"
        f" {deed}; }})"
    )

    assert violated == directive
