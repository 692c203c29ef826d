"""One function for each client, which sends a case to the live server."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from openai import OpenAI

from tests.conformance.case import EVERY_SENTENCE, Answer, Case, ClientName
from tests.conformance.cases import CASES
from tests.conformance.clients.curl import curl
from tests.conformance.clients.litellm import litellm
from tests.conformance.clients.node import node
from tests.conformance.clients.python import asynchronous, plain, raw, streaming
from tests.support.live_server import LiveServer
from tests.support.recordings import SENTENCES, SPEECH, decode, noise, wav

Ask = Callable[[Case], Answer]


@pytest.fixture(scope="session")
def server(remembering_server: LiveServer) -> LiveServer:
    """What one client was answered is not computed again for the next."""
    return remembering_server


@pytest.fixture(scope="session")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Case]:
    """The cases by their id, each with a recording that exists."""
    pause = noise(0.5, level=2e-4)
    parts = [part for name in SENTENCES for part in (decode(SPEECH / name), pause)]
    path = tmp_path_factory.mktemp("speech") / EVERY_SENTENCE
    path.write_bytes(wav(np.concatenate(parts)))
    return {
        case.id: replace(case, sample=str(path)) if case.sample == EVERY_SENTENCE else case
        for case in CASES
    }


@pytest.fixture(scope="session")
def through_litellm(server: LiveServer) -> Iterator[Ask]:
    with litellm(f"{server.url}/v1") as ask:
        yield ask


@pytest.fixture(scope="session")
def direct(server: LiveServer, placed: Mapping[str, Case]) -> Iterator[dict[ClientName, Ask]]:
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
            "Node": node(base_url, list(placed.values())),
            "curl": curl(base_url),
        }


@pytest.fixture
def ask(request: pytest.FixtureRequest, client: ClientName, placed: Mapping[str, Case]) -> Ask:
    """Of the client that the test is parametrised with."""
    if client == "LiteLLM":
        through: Ask = request.getfixturevalue("through_litellm")
    else:
        through = request.getfixturevalue("direct")[client]
    return lambda case: through(placed[case.id])
