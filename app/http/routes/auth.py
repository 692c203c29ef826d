"""Signing in and out on the page. Cookies hold everything, so that any replica may answer."""

from contextlib import suppress
from typing import TypedDict

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access.sessions import Session
from app.errors import NotAllowed, NotFound, RateLimited, Refused, SpeechError
from app.http.middleware.authentication import address_of
from app.http.replies import json_response
from app.http.sessions import (
    PENDING,
    PENDING_SECONDS,
    SESSION,
    cookie_name,
    forget_cookie,
    page_session,
    set_cookie,
)
from app.http.state import TheServices

router = APIRouter(prefix="/auth", include_in_schema=False)

NOT_CONFIGURED = "Nobody can sign in here: this server has no identity provider for its page."


class Account(TypedDict):
    """What the page shows of the person at it."""

    sign_in: str | None
    """Where signing in begins; None: nobody can."""
    name: str | None
    """None: not signed in."""
    seconds_left: int | None


@router.post("/session")
async def account(request: Request, services: TheServices) -> Response:
    """Who is signed in. A session that ends soon is extended, if the provider agrees."""
    sign_in, session = services.sign_in, page_session(request)
    if sign_in is None or session is None:
        return json_response(_account(None if sign_in is None else sign_in.start_url, None))
    renewed: Session | None = session
    if session.ends_soon:
        services.address_limits.count_sign_in(address_of(request))
        renewed = await sign_in.renewed(session)
    response = json_response(_account(sign_in.start_url, renewed))
    if renewed is None:
        forget_cookie(response, SESSION, sign_in.page_url)
    elif renewed is not session:
        set_cookie(response, SESSION, sign_in.cookies.value(renewed), sign_in.page_url)
    return response


@router.delete("/session")
async def sign_out(request: Request, services: TheServices) -> Response:
    """Ends the session here, and says where the provider ends its own."""
    sign_in, session = services.sign_in, page_session(request)
    if sign_in is None:
        raise NotFound(NOT_CONFIGURED)
    if session is None:
        return json_response({"url": sign_in.page_url})
    url = sign_in.page_url
    # After too many, as of one cookie again and again, the provider is left alone.
    with suppress(RateLimited):
        services.address_limits.count_sign_in(address_of(request))
        url = await sign_in.end(session)
    response = json_response({"url": url})
    forget_cookie(response, SESSION, sign_in.page_url)
    return response


@router.get("/sign-in")
async def start(request: Request, services: TheServices) -> Response:
    """Sends the browser to the provider."""
    sign_in = services.sign_in
    if sign_in is None:
        raise NotFound(NOT_CONFIGURED)
    try:
        url, pending = await sign_in.begin(request)
    except SpeechError as error:
        return _failed(sign_in.page_url, error)
    response = RedirectResponse(url, 302)
    set_cookie(response, PENDING, pending, sign_in.page_url, PENDING_SECONDS)
    return response


@router.get("/callback")
async def come_back(request: Request, services: TheServices) -> Response:
    """Where the provider sends the browser, which goes on to the page."""
    sign_in = services.sign_in
    if sign_in is None:
        raise NotFound(NOT_CONFIGURED)
    pending = request.cookies.get(cookie_name(PENDING, sign_in.page_url))
    try:
        services.address_limits.count_sign_in(address_of(request))
        session = await sign_in.complete(request, pending)
    except SpeechError as error:
        response = _failed(sign_in.page_url, error)
    else:
        response = RedirectResponse(sign_in.page_url, 303)
        set_cookie(response, SESSION, sign_in.cookies.value(session), sign_in.page_url)
    forget_cookie(response, PENDING, sign_in.page_url)
    return response


def _account(start_url: str | None, session: Session | None) -> Account:
    if session is None:
        return {"sign_in": start_url, "name": None, "seconds_left": None}
    return {
        "sign_in": start_url,
        "name": session.principal.name,
        "seconds_left": int(session.seconds_left),
    }


def _failed(page_url: str, error: SpeechError) -> Response:
    """Back to the page, which has the words for it (web/account.js)."""
    reason = "refused"
    if isinstance(error, NotAllowed):
        reason = "not-allowed"
    elif isinstance(error, Refused):
        reason = "unavailable"
    return RedirectResponse(f"{page_url}#not-signed-in={reason}", 303)
