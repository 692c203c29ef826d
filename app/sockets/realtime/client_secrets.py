"""Client secrets, made for browsers by a server with a real key; each opens realtime sessions.

Today's route and the beta's differ in their shapes alone (docs/contract.md §5.4).
"""

from typing import Literal, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, ValidationError

from app.access.principal import Principal
from app.errors import InvalidRequest
from app.http.replies import json_response
from app.http.state import ThePrincipal, TheServices
from app.intake import check_model
from app.openai.json_limits import check_body
from app.openai.request_errors import request_error
from app.openai.request_fields import WholeNumber
from app.services import Services
from app.sockets.realtime.dialects import Beta
from app.sockets.realtime.session_settings import TAGS, Part, SessionSettings

router = APIRouter(prefix="/v1/realtime", tags=["realtime"])


class Expiry(Part):
    anchor: Literal["created_at"] = "created_at"
    seconds: WholeNumber = Field(600, ge=10, le=7200)


class SecretRequest(Part):
    expires_after: Expiry = Expiry()
    session: object = {}


class BetaSecret(Part):
    expires_at: Expiry = Expiry()


class BetaRequest(Part):
    """The other keys of the body are the settings of the session."""

    model_config = ConfigDict(extra="allow")

    client_secret: BetaSecret = BetaSecret()


Body = TypeVar("Body", SecretRequest, BetaRequest)


@router.post("/client_secrets")
async def create_client_secret(
    request: Request, services: TheServices, principal: ThePrincipal
) -> Response:
    """A secret for sessions that begin with the settings in the body."""
    wanted = _parsed(SecretRequest, await _body(request))
    session = SessionSettings().updated(wanted.session)
    value, expires_at = _issue(services, principal, session, wanted.expires_after)
    body = session.body(_session_id(), expires_at=0)
    return json_response({"value": value, "expires_at": expires_at, "session": body})


@router.post("/transcription_sessions")
async def create_transcription_session(
    request: Request, services: TheServices, principal: ThePrincipal
) -> Response:
    """The same in the words of the beta: the session, with a secret in it."""
    wanted = _parsed(BetaRequest, await _body(request))
    dialect = Beta()
    try:
        session = SessionSettings().updated(dialect.changes(wanted.model_extra))
    except InvalidRequest as error:
        # The session is the body itself.
        message = dialect.named(str(error)).replace("'session.", "'")
        param = dialect.named(error.param or "").removeprefix("session.")
        raise InvalidRequest(message, param) from None
    value, expires_at = _issue(services, principal, session, wanted.client_secret.expires_at)
    body = dialect.body(session.body(_session_id(), expires_at=0))
    return json_response(body | {"client_secret": {"value": value, "expires_at": expires_at}})


async def _body(request: Request) -> bytes:
    """The whole body. Raises TooLarge as soon as it is larger than a session may be."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        check_body(len(body))
    return bytes(body)


def _parsed(kind: type[Body], content: bytes) -> Body:
    """The body; an empty one means the defaults. Raises InvalidRequest."""
    try:
        return kind.model_validate_json(content or b"{}")
    except ValidationError as error:
        raise request_error(error, tags=TAGS) from None


def _issue(
    services: Services, principal: Principal, session: SessionSettings, expiry: Expiry
) -> tuple[str, int]:
    check_model(principal, services, session.transcription.model)
    return services.client_secrets.issue(principal, session.changes(), expiry.seconds)


def _session_id() -> str:
    return f"sess_{uuid4().hex}"
