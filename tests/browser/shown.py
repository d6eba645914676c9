"""A realm that has something of everything to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.browser.site import Site
from tests.until import until

REALM = "shown"
WAITING_LANE = "9"
MARK = "<img src=x onerror=alert(1)><script>alert(2)</script>'\"&amp; \u202egpj.exe"
"""What would be markup, a script, an entity, or text that reads backwards."""
COUNTS = {"total": 18, "succeeded": 7, "failed": 6, "running": 1, "queued": 3, "cancelled": 1}


@dataclass(frozen=True, slots=True)
class Shown:
    realm: str
    hold: Path
    """A file: the running job runs while it is there."""
    ids: dict[str, str]
    """One job each that `succeeded`, `failed`, was `retried`, is `running`, `queued`, `cancelled` or `hostile`."""


async def show_all(site: Site) -> Shown:
    hold = site.folder / "hold"
    hold.touch()
    ids = _push(site, hold)
    site.ask("POST", f"manage/{REALM}/pause", {"lane": WAITING_LANE})
    site.ask("POST", f"manage/{REALM}/jobs/{ids['cancelled']}/cancel", {})
    site.worker(REALM, "-n", "3", "--forever", "--label", "gpu=a100")
    await until(lambda: COUNTS.items() <= site.counts(REALM).items())
    return Shown(REALM, hold, ids)


def _push(site: Site, hold: Path) -> dict[str, str]:
    fit = [f"echo fit --lr 0.{n}; echo '{{\"loss\": 0.{n}}}' > $JOBQ_RESULT" for n in range(1, 7)]
    oom = ["echo loading; echo 'CUDA out of memory on GPU 3' >&2; exit 3"] * 3
    again = "echo attempt $JOBQ_ATTEMPT; test $JOBQ_ATTEMPT = 2"
    running = f"echo one; while test -e {hold}; do sleep 0.1; done"
    jobs = {
        "succeeded": site.push(REALM, *fit, batch="fit", tags=["exp7"]),
        "failed": site.push(REALM, *oom, *["cat /nowhere/data"] * 2, batch="broken", tags=["exp7", "gpu"]),
        "retried": site.push(REALM, {"cmd": again, "num_retries": 1, "backoff": "1s..1s"}, batch="again"),
        "running": site.push(REALM, running, batch="long"),
        "queued": site.push(REALM, *["echo later"] * 4, batch="later", lane=WAITING_LANE),
        "hostile": site.push(REALM, hostile(), batch="hostile", tags=[MARK]),
    }
    return {**{name: ids[0] for name, ids in jobs.items()}, "cancelled": jobs["queued"][-1]}


def hostile() -> str:
    """A command that says in its log, its result and its error what it says itself."""
    mark = MARK.replace("'", "'\\''")
    return f"""MARK='{mark}'
export MARK
python3 -c '
import json, os, sys
mark = os.environ["MARK"]
open(os.environ["JOBQ_RESULT"], "w").write(json.dumps({{mark: [mark, "x" * 5000]}}))
print(mark, "\\x1b[31mred\\x1b[0m", "y" * 5000)
sys.exit(mark)
'"""
