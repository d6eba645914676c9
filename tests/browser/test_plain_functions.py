"""What the page makes of numbers, names and addresses, asked of the functions themselves where a browser runs them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.site import Site
from tests.browser.visits import Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")

_CALL = """async ([file, calls]) => {
  const found = await import(`/dashboard/${file}`);
  return calls.map(([name, ...given]) => found[name](...given));
}"""


async def answers(page: Page, file: str, *calls: list[Any]) -> list[Any]:
    """What the functions of one of the page's files answer: each call is a name and what is given."""
    found: list[Any] = await page.evaluate(_CALL, [file, list(calls)])
    return found


async def test_times_and_numbers_read_as_people_say_them(site: Site, visits: Visits) -> None:
    page = await visits.open(site.page())

    durations = await answers(page, "format.js", *[["duration", seconds] for seconds in (0.2, 37.5, 125, 4000, 200000)])
    ranges = await answers(page, "format.js", *[["etaRange", range] for range in ([660, 840], [3000, 7200], [5, 5])])
    shares = await answers(page, "format.js", *[["percent", part, 1000] for part in (0, 1, 500, 999, 1000)])

    assert durations == ["200 ms", "37 s", "2 min 5 s", "1 h 6 min", "2 d 7 h"]
    assert ranges == ["11\u201314 min", "50 min \u2013 2 h", "5 s"]
    assert shares == ["0%", "<1%", "50%", "99%", "100%"]


async def test_what_is_not_seen_or_turns_text_round_is_shown_as_its_code(site: Site, visits: Visits) -> None:
    page = await visits.open(site.page())

    seen = await answers(
        page, "format.js", ["visible", "a\u202eb\x07\n\u200b"], ["visible", "\U0001f469\u200d\U0001f52c é"]
    )
    [output] = await answers(page, "format.js", ["visibleOutput", "\x1b[31mred\x1b[0m\r\n10%\r20%\x08"])
    paths = await answers(page, "format.js", ["escapeName", "a/b é"], ["escapeName", "fit-000001"])

    assert seen == ["a⟨202E⟩b⟨0007⟩⟨000A⟩⟨200B⟩", "\U0001f469\u200d\U0001f52c é"]
    assert output == "red\n10%\n20%⟨0008⟩"
    assert paths == ["a!2fb!20!c3!a9", "fit-000001"]


async def test_address_says_the_view_and_nothing_that_does_not_fit(site: Site, visits: Visits) -> None:
    page = await visits.open(site.page())
    filter = {"tag": "house work", "state": "failed", "text": "a&b=c#d"}
    view = {"realm": "demo", "job": "a/b?c", "filter": filter, "range": "7d"}

    [address] = await answers(page, "route.js", ["toHash", view])
    back, strange = await answers(page, "route.js", ["parseHash", address], ["parseHash", "#/../x?state=odd&range=9y"])
    [box] = await answers(page, "route.js", ["parseBox", 'tag:"house work" state:failed http://x y'])

    assert back == view
    assert strange == {"realm": "", "job": "", "filter": {}, "range": "24h"}
    assert box == {"tag": "house work", "state": "failed", "text": "http://x y"}


async def test_gap_in_the_history_stays_a_gap_in_the_chart(site: Site, visits: Visits) -> None:
    page = await visits.open(site.page())
    ends = ["2026-11-25T12:01:00Z", "2026-11-25T12:02:00Z", "2026-11-25T12:09:00Z"]
    points = [{"at": end, "succeeded": 6, "failed": 2, "preempted": 1} for end in ends]

    [found] = await answers(page, "series.js", ["throughput", {"step": 60, "points": points}])
    [piled] = await answers(page, "series.js", ["stacked", found])

    assert [found[1], found[3]] == [[6, 6, None, 6], [1, 1, None, 1]]
    assert piled[3] == [9, 9, None, 9]
