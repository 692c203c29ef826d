"""openai-python, in each of the ways it can be called."""

import asyncio
from collections.abc import Callable
from typing import Any

from openai import AsyncOpenAI, AsyncStream, OpenAI, Stream

from tests.conformance.case import Answer, Case, Json

# The SDK announces the end of translations and of old models with every call.
ANNOUNCEMENTS = "ignore:.*:DeprecationWarning"


def plain(client: OpenAI) -> Callable[[Case], Answer]:
    return lambda case: Answer(_content(_call(client, case)))


def asynchronous(connect: Callable[[], AsyncOpenAI]) -> Callable[[Case], Answer]:
    """With an event loop, and so a client, of its own for every case."""

    async def ask(case: Case) -> Answer:
        async with connect() as client:
            result = await _call(client, case)
            if isinstance(result, AsyncStream):
                return Answer([event.to_dict() async for event in result])
            return Answer(_content(result))

    return lambda case: asyncio.run(ask(case))


def raw(client: OpenAI) -> Callable[[Case], Answer]:
    def ask(case: Case) -> Answer:
        response = _call(client, case, "with_raw_response")
        return Answer(_content(response.parse()), response.headers)

    return ask


def streaming(client: OpenAI) -> Callable[[Case], Answer]:
    def ask(case: Case) -> Answer:
        with _call(client, case, "with_streaming_response") as response:
            return Answer(_content(response.parse()), response.headers)

    return ask


def _call(client: OpenAI | AsyncOpenAI, case: Case, view: str | None = None) -> Any:
    """`view`: an attribute of each resource that has the same methods."""
    resource: Any = client.models
    if case.route in ("transcriptions", "translations"):
        resource = getattr(client.audio, case.route)
    if view is not None:
        resource = getattr(resource, view)
    if case.route == "models":
        return resource.list()
    if case.route == "model":
        return resource.retrieve(case.model)
    return resource.create(file=case.path, model=case.model, **case.fields)


def _content(result: Any) -> Json | str | list[Json]:
    if isinstance(result, Stream):
        return [event.to_dict() for event in result]
    if isinstance(result, str):
        return result
    body: Json = result.to_dict()
    return body
