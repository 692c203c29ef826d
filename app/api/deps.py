"""What routes need of their request: the services, its id, and to stop when the caller leaves."""

import asyncio
import hmac
from collections.abc import Awaitable
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from app.errors import NotAllowed, NotAuthenticated, WrongKey
from app.services import Services

T = TypeVar("T")

MASKED_KEY_CHARS = 16
"""A shorter key is shown not even in part: six characters would be too much of it."""


def _services(request: Request) -> Services:
    return cast(Services, request.state.services)


def _request_id(request: Request) -> str:
    return cast(str, request.state.request_id)


TheServices = Annotated[Services, Depends(_services)]
RequestId = Annotated[str, Depends(_request_id)]


def keep_alive_seconds(request: Request) -> float:
    """After so long without a byte an answer shows that it is being worked on; 0: never."""
    return _services(request).settings.server.keep_alive_seconds


def _administrator(request: Request, services: TheServices) -> None:
    expected = services.settings.access.admin_key
    if expected is None:
        raise NotAllowed("Administration is off: VERBATIM_ACCESS__ADMIN_KEY turns it on.")
    # Everything after the first space: keys may hold more of them (docs/contract.md §0).
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise NotAuthenticated(
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    # Starlette decodes headers as latin-1, so this gives back the bytes that were sent.
    if not hmac.compare_digest(key.encode("latin-1"), expected.get_secret_value().encode()):
        raise WrongKey(f"Incorrect API key provided: {_masked(key)}.")


AsAdministrator = Depends(_administrator)


def _masked(key: str) -> str:
    """Enough to recognise one's own key; nothing of a short one, whose length would say much."""
    return f"{key[:2]}*****{key[-4:]}" if len(key) >= MASKED_KEY_CHARS else "*****"


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`; cancels it and raises ClientDisconnect when the caller hangs up.

    Neither Starlette nor FastAPI does this for a plain endpoint. The body must be read already.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        unfinished = [each for each in (task, gone) if not each.done()]
        for each in unfinished:
            each.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
