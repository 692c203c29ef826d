"""The application: routes, middleware and error handlers around the services."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.requests import HTTPConnection
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from app.access.api_keys import configured_keys
from app.errors import InvalidRequest, SpeechError
from app.http.middleware.authentication import Authentication
from app.http.middleware.body_limit import BodyLimit
from app.http.middleware.cors import EXPOSED_HEADERS, METHODS
from app.http.middleware.in_flight import InFlight
from app.http.middleware.lingering_close import LingeringClose
from app.http.middleware.path_aliases import PathAliases
from app.http.middleware.rate_limiting import RateLimits
from app.http.middleware.request_context import RequestContext
from app.http.middleware.same_origin import SameOriginSockets
from app.http.middleware.security_headers import SecurityHeaders
from app.http.middleware.trusted_hosts import TrustedHosts
from app.http.paths import UNMEASURED
from app.http.replies import json_reply
from app.http.routes import auth, docs, drain, health, models, page, usage
from app.http.routes.metrics import AsMetricsReader
from app.models import loading
from app.models.background_pulls import ModelSource
from app.models.download.pull import pull
from app.models.residency import LoadModel
from app.openai.error_replies import reply, routing_reply
from app.process.lifecycle import Lifecycle
from app.services import configured_catalogue, models_directory, open_services
from app.settings import Settings
from app.sockets.realtime import client_secrets
from app.sockets.realtime import routes as realtime
from app.sockets.stream import routes as stream
from app.telemetry.metrics import SECONDS_OF_REQUESTS
from app.transcriptions import raw_body
from app.transcriptions import routes as transcriptions

ANY_PATH = "/{path:path}"


def whisper_loader(settings: Settings) -> LoadModel:
    """Loads real models, as the settings say."""
    engine = settings.engine
    choices = loading.EngineChoices(
        device=engine.device,
        compute_type=engine.compute_type,
        device_indexes=engine.device_indexes,
        cpus=settings.server.cpus,
        workers=engine.workers,
        threads_per_worker=engine.threads_per_worker,
        beam_size=engine.beam_size,
        max_batch_size=settings.batching.max_batch_size,
        full_context=engine.full_context,
        timestamps=engine.timestamps,
    )
    return partial(loading.load, choices=choices, models=models_directory(settings))


def model_source(settings: Settings) -> ModelSource:
    """Where models come from that are not on this machine, as the settings say."""
    models = models_directory(settings)
    return ModelSource(
        is_here=lambda source: models.find(source) is not None,
        pull=lambda source, progress: pull(source, models, progress),
    )


def create_app(
    settings: Settings, load_model: LoadModel | None = None, lifecycle: Lifecycle | None = None
) -> FastAPI:
    """An ASGI application; its pinned models begin to load when its lifespan starts.

    With a `load_model` of its own the application needs no models on this machine. `lifecycle`
    tells the process when to end, and is told when the port closes.
    Raises ValueError, with a sentence, for keys and models that cannot be served.
    """
    source = model_source(settings) if load_model is None else None
    load_model = load_model or whisper_loader(settings)
    lifecycle = lifecycle or Lifecycle()
    keys, catalogue = configured_keys(settings.access), configured_catalogue(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(
                open_services(settings, load_model, lifecycle, keys, catalogue, source)
            )
            state: dict[str, Any] = {"services": services}
            if settings.jobs.enabled:
                from app.jobs.jobs import open_jobs  # with a database's client and a queue

                state["jobs"] = await stack.enter_async_context(open_jobs(services))
            yield state

    # The routes parse their forms themselves, so FastAPI cannot know the document (routes/docs.py).
    # A redirect to the path without its last slash would have the upload sent twice.
    # FastAPI's own telemetry would send whole addresses, and prompts stand in those of /transcribe.
    app = FastAPI(
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    _add_routes(app, settings)
    _add_middleware(app, settings, lifecycle)
    app.add_exception_handler(SpeechError, _on_speech_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> None:
    for routes in (
        transcriptions,
        raw_body,
        stream,
        realtime,
        client_secrets,
        models,
        usage,
        health,
        drain,
    ):
        app.include_router(routes.router)
    if settings.jobs.enabled and settings.jobs.role != "worker":
        from app.jobs.routes import batches, files, job_events, jobs, uploads, webhooks

        for each in (jobs, job_events, files, uploads, batches, webhooks):
            app.include_router(each.router)
    # Before folders of files, which cannot answer a handshake.
    app.add_api_websocket_route(ANY_PATH, _on_unknown_socket)
    if settings.server.docs:
        app.include_router(docs.router)
        app.mount("/docs/assets", docs.assets)
    if settings.server.web_page:
        app.include_router(page.router)
        app.include_router(auth.router)
        app.mount("/web", page.files)
    if settings.telemetry.metrics_port is None:
        Instrumentator().expose(app, dependencies=[AsMetricsReader])


def _add_middleware(app: FastAPI, settings: Settings, lifecycle: Lifecycle) -> None:
    """From the inside out."""
    max_bytes, jobs = settings.audio.max_upload_bytes, settings.jobs
    app.add_middleware(
        BodyLimit,
        max_bytes=max_bytes,
        max_file_bytes=jobs.max_file_bytes if jobs.enabled else max_bytes,
    )
    app.add_middleware(RateLimits)
    app.add_middleware(Authentication)
    app.add_middleware(InFlight, lifecycle=lifecycle)
    if not settings.access.is_guarded:
        names = (settings.server.host, *settings.server.trusted_hosts)
        app.add_middleware(TrustedHosts, hosts=names)
    app.add_middleware(SameOriginSockets, allowed=settings.server.cors_origins)
    app.add_middleware(RequestContext)
    # Outside authentication: browsers send preflight requests without a key.
    if settings.server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.cors_origins,
            allow_methods=METHODS,
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(SecurityHeaders)
    # Around everything that may refuse a request, so that refusals are measured too.
    Instrumentator(excluded_handlers=UNMEASURED).instrument(
        app, latency_lowr_buckets=SECONDS_OF_REQUESTS, latency_highr_buckets=SECONDS_OF_REQUESTS
    )
    app.add_middleware(LingeringClose)
    app.add_middleware(PathAliases)


def _suggested_path(connection: HTTPConnection, path: str) -> str | None:
    """The same path under /v1 if there is such a route: a base_url often lacks `/v1`."""
    scope = {**connection.scope, "path": f"/v1{path}"}
    routes = (each for each in connection.app.routes if getattr(each, "path", "") != ANY_PATH)
    is_known = any(each.matches(scope)[0] is not Match.NONE for each in routes)
    return f"/v1{path}" if is_known else None


async def _on_unknown_socket(websocket: WebSocket) -> None:
    """Starlette would close the handshake, which is a 403 and looks like a wrong key."""
    path = websocket.scope["path"]
    answer = routing_reply(404, "GET", path, _suggested_path(websocket, path))
    await websocket.send_denial_response(json_reply(answer))


async def _on_speech_error(_: Request, error: Exception) -> Response:
    return json_reply(reply(error))


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """The caller has left; nginx logs this status."""
    return Response(status_code=499)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405):
        path = request.url.path
        answer = routing_reply(
            error.status_code, request.method, path, _suggested_path(request, path)
        )
        return json_reply(answer, error.headers)
    # Starlette's own error for a multipart body that it cannot parse.
    return json_reply(reply(InvalidRequest(str(error.detail))))
