"""One function for each client, which sends a case to the live server."""

from collections.abc import Callable, Iterator

import pytest
from openai import OpenAI

from tests.conformance.case import Answer, Case, ClientName
from tests.conformance.cases import CASES
from tests.conformance.clients.curl import curl
from tests.conformance.clients.litellm import litellm
from tests.conformance.clients.node import node
from tests.conformance.clients.python import asynchronous, plain, raw, streaming
from tests.live_server import LiveServer

Ask = Callable[[Case], Answer]


@pytest.fixture(scope="session")
def through_litellm(server: LiveServer) -> Iterator[Ask]:
    with litellm(f"{server.url}/v1") as ask:
        yield ask


@pytest.fixture(scope="session")
def direct(server: LiveServer) -> Iterator[dict[ClientName, Ask]]:
    base_url = f"{server.url}/v1"
    with OpenAI(
        base_url=base_url, api_key="any key", max_retries=0, _strict_response_validation=True
    ) as strict:
        yield {
            "Python": plain(server.client),
            "async": asynchronous(lambda: server.async_client),
            "raw": raw(server.client),
            "streaming": streaming(server.client),
            "strict": plain(strict),
            "Node": node(base_url, CASES),
            "curl": curl(base_url),
        }


@pytest.fixture
def ask(request: pytest.FixtureRequest, client: ClientName) -> Ask:
    """Of the client that the test is parametrised with."""
    if client == "LiteLLM":
        through: Ask = request.getfixturevalue("through_litellm")
        return through
    functions: dict[ClientName, Ask] = request.getfixturevalue("direct")
    return functions[client]
