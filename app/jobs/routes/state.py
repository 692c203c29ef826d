"""What the routes of jobs share: the store, and parameters of lists."""

from typing import Annotated, get_args

from fastapi import Depends
from fastapi.requests import HTTPConnection

from app.errors import InvalidRequest
from app.http.state import ThePrincipal
from app.jobs.database import DatabaseUnavailable, acting_for
from app.jobs.pages import Order, Page
from app.jobs.store import JobStore
from app.transcriptions.form_parts import whole_number


async def _store(connection: HTTPConnection, principal: ThePrincipal) -> JobStore:
    """The store, for this caller. Raises DatabaseUnavailable, before the body is read, if there
    would be no place for it."""
    store = connection.scope["state"]["jobs"]
    assert isinstance(store, JobStore)
    if not store.opened.is_set():
        raise DatabaseUnavailable
    acting_for.set(principal.id)
    return store


TheStore = Annotated[JobStore, Depends(_store)]


def read_page_query(request: HTTPConnection, default: int, most: int) -> Page:
    """`limit`, `order` and `after`. Raises InvalidRequest."""
    query = request.query_params
    try:
        limit = whole_number(1, most)(query.get("limit", str(default)))
    except ValueError:
        raise InvalidRequest(f"'limit' must be a whole number from 1 to {most}.", "limit") from None
    order = choice(query.get("order", "desc"), get_args(Order), "order")
    return Page(limit, "asc" if order == "asc" else "desc", query.get("after"))


def choice(value: str, allowed: tuple[str, ...], param: str) -> str:
    """The value, if it is allowed. Raises InvalidRequest."""
    if value not in allowed:
        raise InvalidRequest(
            f"Invalid value for '{param}': '{value[:100]}' is not one of {', '.join(allowed)}.",
            param,
        )
    return value
