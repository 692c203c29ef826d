"""Services that live as long as the process: opened top to bottom, closed in reverse."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from app.access.address_limits import AddressLimits
from app.access.api_keys import ApiKeys, KeysFile
from app.access.authenticator import Authenticator
from app.access.client_secrets import ClientSecrets
from app.access.limiter import Limiter, limiter_of
from app.access.metering import Metering
from app.access.oidc import OidcVerifier
from app.access.oidc_provider_keys import ProviderKeys
from app.audio.decoder_process import start_decoder_server
from app.diarization.diarizer import Diarizer
from app.engine.batcher import Batcher
from app.fetch.fetcher import Fetcher
from app.fetch.lookup import SystemLookup
from app.models.background_pulls import ModelSource
from app.models.catalogue import Catalogue, ServedModel
from app.models.directory import ModelsDirectory
from app.models.loading import local_profile
from app.models.registry import Registry
from app.models.residency import LoadModel
from app.openai.model_families import OPENAI_NAMES
from app.pipeline.admission import Admission
from app.process.cpus import planned_cpus
from app.process.event_loop import watch_lag
from app.process.fair_threads import FairThreads
from app.process.lifecycle import Lifecycle
from app.process.watchdog import Watchdog
from app.setting_groups import AccessSettings, LimitsSettings
from app.settings import Settings, model_id
from app.telemetry import metrics, tracing
from app.telemetry.metrics_port import metrics_port

if TYPE_CHECKING:
    from app.access.daily_usage import DailyUsage
    from app.access.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Services:
    """All services; routes find them in `request.state.services`."""

    settings: Settings
    authenticator: Authenticator
    client_secrets: ClientSecrets
    sign_in: "SignIn | None"
    """None: nobody can sign in on the page."""
    registry: Registry
    admission: Admission
    limiter: Limiter
    address_limits: AddressLimits
    metering: Metering
    fetcher: Fetcher
    cpu: FairThreads
    """Threads for work on sound: decoding, voice activity, features."""
    diarizer: Diarizer
    lifecycle: Lifecycle
    watchdog: Watchdog

    @property
    def default_model(self) -> str:
        """The id of the model for requests that name none."""
        return model_id(self.settings.model)


@asynccontextmanager
async def open_services(
    settings: Settings,
    load_model: LoadModel,
    lifecycle: Lifecycle,
    keys: ApiKeys | None,
    catalogue: Catalogue,
    source: ModelSource | None = None,
) -> AsyncIterator[Services]:
    """Open all services and start loading the pinned models; leaving closes them in reverse."""
    async with AsyncExitStack() as stack:
        stack.enter_context(tracing.exported(settings.telemetry))
        watchdog = stack.enter_context(Watchdog(settings.engine.stuck_seconds))
        beating = asyncio.create_task(watch_lag(watchdog.beat), name="event-loop-lag")
        stack.callback(beating.cancel)
        threads = settings.audio.threads or planned_cpus(settings.server.cpus)
        cpu = stack.enter_context(FairThreads(threads))
        diarizer = stack.enter_context(Diarizer(settings.diarization.model))
        start_decoder_server()
        fetcher = Fetcher(settings.fetch, stack.enter_context(SystemLookup()))
        if isinstance(keys, KeysFile):
            watching = asyncio.create_task(keys.watch(), name="keys-file")
            stack.callback(watching.cancel)
        client_secrets = ClientSecrets(settings.access.signing_key)
        oidc, sign_in = await _provider(settings.access, stack)
        registry = await stack.enter_async_context(
            Registry(
                catalogue,
                load_model,
                settings.models.max_resident,
                settings.models.idle_seconds,
                partial(Batcher, watchdog=watchdog, on_broken=lifecycle.fail),
                source,
                lifecycle.refuse,
            )
        )
        if settings.telemetry.metrics_port is not None:
            host, port = settings.server.host, settings.telemetry.metrics_port
            stack.enter_context(metrics_port(host, port))
        freezing = asyncio.create_task(_freeze(registry), name="freeze")
        stack.callback(freezing.cancel)
        metrics.follow(metrics.REQUESTS_IN_FLIGHT, lambda: lifecycle.in_flight)
        admission = Admission(settings.limits, settings.live, registry.opening.check)
        limiter = limiter_of(settings.limits)
        stack.push_async_callback(limiter.close)
        yield Services(
            settings=settings,
            authenticator=Authenticator(keys, client_secrets, oidc),
            client_secrets=client_secrets,
            sign_in=sign_in,
            registry=registry,
            admission=admission,
            limiter=limiter,
            address_limits=AddressLimits(),
            metering=Metering(limiter, await _daily_usage(settings.limits, stack)),
            fetcher=fetcher,
            cpu=cpu,
            diarizer=diarizer,
            lifecycle=lifecycle,
            watchdog=watchdog,
        )


async def _freeze(registry: Registry) -> None:
    """Exclude the objects of the start-up from garbage collections."""
    await registry.opening.wait()
    gc.collect()
    gc.freeze()


async def _daily_usage(limits: LimitsSettings, stack: AsyncExitStack) -> "DailyUsage | None":
    if limits.store is None:
        return None
    from app.access.daily_usage import DailyUsage  # with Redis's client

    return await stack.enter_async_context(DailyUsage(limits.store.get_secret_value()))


async def _provider(
    access: AccessSettings, stack: AsyncExitStack
) -> "tuple[OidcVerifier | None, SignIn | None]":
    """What checks the identity provider's tokens, and what signs people in with it."""
    if access.oidc.issuer is None:
        return None, None
    keys = await stack.enter_async_context(
        ProviderKeys(access.oidc.issuer, access.oidc.keys_cache_seconds)
    )
    verifier = OidcVerifier(access.oidc, keys)
    if access.oidc.client_id is None:
        return verifier, None
    from app.access.sign_in import SignIn  # authlib, and another client of HTTP

    return verifier, SignIn(access.oidc, keys, access.signing_key)


def configured_catalogue(settings: Settings) -> Catalogue:
    """The served models, the default one first; all of OpenAI's names without an alias stand for
    it.

    Raises ValueError for a source that can be no model's, and for an invalid profile.
    """
    here = models_directory(settings)
    default = model_id(settings.model)
    pinned = {default, *settings.models.pinned}
    sources = {model_id(source): source for source in (settings.model, *settings.models.served)}
    models = [
        ServedModel(id, source, local_profile(source, here), id in pinned)
        for id, source in sources.items()
    ]
    return Catalogue(models, dict.fromkeys(OPENAI_NAMES, default) | settings.models.aliases)


def models_directory(settings: Settings) -> ModelsDirectory:
    models = settings.models
    return ModelsDirectory(models.directory, models.built_in, models.offline)
