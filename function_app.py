"""Which functions there are, their routes and who may call them. What they do is in `jobq_service`.

A catch-all matches the empty path, too, so `api/status/{*rest}` is also `api/status` (ASP.NET, `RoutePatternMatcher`).
The host takes the first template that fits, by the functions' names: they must not overlap.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "client"))  # where jobq lies: the host adds only the app's root

import azure.functions as func

from jobq.adapters.scale_set import ScaleSet
from jobq.connect import open_scale_set
from jobq_service.app import create_app
from jobq_service.problems import MEDIA_TYPE, unexpected
from jobq_service.rate_limit import RateLimit
from jobq_service.realms import Realms
from jobq_service.scaling_tick import scale_fleet
from jobq_service.settings import ScaleSettings, read_scale_settings, read_service_settings
from jobq_service.tick import sweep_realms

logger = logging.getLogger("jobq.functions")

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route("api/enqueue/{*rest}", methods=["POST", "PUT"])
async def enqueue(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _serve(req, context)


@app.route("api/status/{*rest}", methods=["GET"])
async def status(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _serve(req, context)


@app.route("api/manage/{*rest}", methods=["POST", "PATCH", "DELETE"])
async def manage(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _serve(req, context)


@app.route("api/checkout/{*rest}", methods=["GET", "POST"])
async def checkout(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _serve(req, context)


@app.route("api/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _serve(req, context)


@app.route("dashboard/{*rest}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def dashboard(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The page's files. What it asks for goes to the functions above, with their keys."""
    return await _serve(req, context)


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
async def tick(timer: func.TimerRequest, context: func.Context) -> None:
    realms, _ = _control_plane()
    await sweep_realms(realms, holder=context.invocation_id)


@app.timer_trigger(arg_name="timer", schedule="30 * * * * *")
async def scale(timer: func.TimerRequest, context: func.Context) -> None:
    """Nothing, where no scale set is named."""
    if fleet := _fleet():
        realms, _ = _control_plane()
        await scale_fleet(realms, *fleet)


@cache
def _fleet() -> tuple[ScaleSettings, ScaleSet] | None:
    """One for the life of the process, too."""
    settings, base = read_scale_settings(), read_service_settings().base
    if settings is None:
        return None
    identity = settings.managed_identity or base.managed_identity
    return settings, open_scale_set(settings.resource, replace(base, managed_identity=identity))


@cache
def _control_plane() -> tuple[Realms, func.AsgiMiddleware]:
    """One for the life of the process, made at its first call: all calls share its event loop, and so its clients."""
    settings = read_service_settings()
    realms = Realms(settings.stack)
    web = create_app(realms, max_body_bytes=settings.max_body_bytes, rate_limit=RateLimit(settings.rate_limit))
    return realms, func.AsgiMiddleware(web)  # type: ignore[no-untyped-call]  # the library has no types here


async def _serve(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The app's answer. What is raised would become an empty 500, so it becomes a problem with the invocation's id."""
    try:
        _, asgi = _control_plane()
        answer: func.HttpResponse = await asgi.handle_async(req, context)
        return answer
    except Exception:
        logger.exception("request %s failed", context.invocation_id)
        failure = unexpected(context.invocation_id)
        return func.HttpResponse(bytes(failure.body), status_code=failure.status_code, mimetype=MEDIA_TYPE)
