"""`python -m app check`: the checks of a start, without serving."""

import argparse
import asyncio
from collections.abc import Callable

from app.serve import add_arguments as add_settings
from app.serve import chosen_settings, refused
from app.settings import Settings, prepare_libraries, variables_set

Check = Callable[[Settings], str]
"""Checks one thing: returns a description, raises ValueError for what prevents a start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line per check; returns 0, or 2 if any failed."""
    try:
        settings = chosen_settings(arguments)
    except ValueError as error:
        return refused(str(error))
    prepare_libraries()
    print(f"ok     settings  {', '.join(variables_set()) or 'none in the environment'}")
    checks: dict[str, Check] = {
        "device": _device,
        "model": _models,
        "port": _port,
        "keys": _keys,
        "redis": _redis,
    }
    is_wrong = False
    for name, check in checks.items():
        try:
            print(f"ok     {name:<8}  {check(settings)}")
        except ValueError as error:
            is_wrong = True
            print(f"WRONG  {name:<8}  {error}")
    return 2 if is_wrong else 0


def _device(settings: Settings) -> str:
    from app.engine.devices import check_device, chosen_device

    engine = settings.engine
    device = chosen_device(engine.device)
    check_device(device, engine.compute_type, engine.device_indexes)
    return device


def _models(settings: Settings) -> str:
    from app.services import configured_catalogue, models_directory

    models = models_directory(settings)
    found = []
    for model in configured_catalogue(settings).models:
        if models.find(model.source) is None:
            found.append(f"{model.id} is not here and will be pulled to {models.root}")
        else:
            found.append(f"{model.id} is intact in {models.check(model.source)}")
    return "; ".join(found)


def _port(settings: Settings) -> str:
    from app.process.server import bound_sockets

    for bound in bound_sockets(settings.server.host, settings.server.port):
        bound.close()
    return f"{settings.server.port} of {settings.server.host} is free"


def _keys(settings: Settings) -> str:
    from app.access.api_keys import configured_keys

    if not settings.access.is_guarded:
        return "none: everybody who reaches the port is served"
    configured_keys(settings.access)
    return "readable" if settings.access.oidc.issuer is None else "readable, or an OpenID provider"


def _redis(settings: Settings) -> str:
    if settings.limits.store is None:
        return "none: limits hold in this process alone"
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    async def ping(url: str) -> None:
        async with Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3) as redis:
            await redis.exists("verbatim")

    try:
        asyncio.run(ping(settings.limits.store.get_secret_value()))
    except (RedisError, OSError) as error:
        reason = type(error).__name__
        raise ValueError(f"VERBATIM_LIMITS__STORE does not answer ({reason})") from None
    return "answers"
