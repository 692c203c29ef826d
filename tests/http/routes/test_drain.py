"""What callers see of a server that drains. The whole sequence: tests/process/test_server.py."""

import threading
import time
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from app.engine.fake_model import FakeModel
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, bearer, keys
from tests.support.client import post_recording
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def url(model: FakeModel) -> Iterator[str]:
    with served(fake_app(model, access={"keys": keys(sales={"key": SALES_KEY})})) as address:
        yield address


ask = partial(post_recording, key=SALES_KEY, language="en")


def test_new_work_is_accepted_until_the_propagation_has_passed_and_then_refused(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert "connection" not in ask(url).headers
        answers: list[httpx.Response] = []

        def drain(propagation: float) -> None:
            query = f"/internal/drain?propagation={propagation}&wait=60"
            answers.append(httpx.post(url + query, timeout=90))

        draining = threading.Thread(target=drain, args=[60])
        draining.start()
        wait_until(lambda: client.get("/health/ready").status_code == 503)
        taken = ask(url)
        assert (taken.status_code, taken.headers["connection"]) == (200, "close")
        assert not answers
        began = time.monotonic()
        drain(0.3)
        assert time.monotonic() - began >= 0.3
        draining.join(60)
        assert [each.json() for each in answers] == [{"status": "drained", "in_flight": 0}] * 2
        refused = ask(url)
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        assert refused.headers["x-should-retry"] == "true"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "server_error"
        assert client.get("/health/live").status_code == 200
        assert "stt_windows_total" in client.get("/metrics", headers=bearer(ADMIN_KEY)).text


def test_it_waits_for_what_is_in_flight_but_not_longer_than_asked(
    url: str, model: FakeModel
) -> None:
    answers: list[httpx.Response] = []

    def work() -> None:
        answers.append(ask(url))

    model.gate.clear()
    working = threading.Thread(target=work)
    working.start()
    assert model.started.wait(60)
    late = httpx.post(f"{url}/internal/drain?propagation=0&wait=0.3")
    assert late.json() == {"status": "draining", "in_flight": 1}
    threading.Timer(0.3, model.gate.set).start()
    done = httpx.post(f"{url}/internal/drain?wait=30", timeout=60)
    assert done.json() == {"status": "drained", "in_flight": 0}
    working.join(30)
    assert answers[0].status_code == 200


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"x-forwarded-for": "192.0.2.1"}, 401),
        ("POST", {"via": "1.1 proxy"}, 401),
        ("POST", {"origin": "https://elsewhere.example"}, 401),
        ("POST", {"origin": "null"}, 401),
        ("POST", {"referer": "https://elsewhere.example/"}, 401),
        ("POST", {"sec-fetch-site": "cross-site"}, 401),
        ("POST", {"sec-fetch-mode": "no-cors"}, 401),
        ("POST", {"accept": "text/html,*/*"}, 401),
        ("POST", {"host": "evil.example"}, 401),
        ("POST", {"host": "evil.example:8000"}, 401),
        ("POST", {"host": "127.0.0.1.evil.example"}, 401),
        ("POST", {"host": "localhost.evil.example"}, 401),
        ("POST", {"host": "evil"}, 401),
        ("POST", {"host": "192.0.2.1"}, 401),
        ("GET", {}, 401),
        ("GET", {"host": "evil.example", "accept": "image/avif,*/*"}, 401),
        ("POST", {"via": "1.1 proxy", "authorization": "Bearer wrong"}, 401),
        ("POST", {"via": "1.1 proxy", **bearer(SALES_KEY)}, 403),
        ("POST", {"via": "1.1 proxy", **bearer(ADMIN_KEY)}, 200),
        ("GET", {"host": "10.0.0.7:8000", **bearer(ADMIN_KEY)}, 200),
        ("POST", {"host": "localhost"}, 200),
        ("POST", {"host": "[::1]:8000"}, 200),
        ("POST", {"host": "127.0.0.1:9"}, 200),
        ("POST", {}, 200),
    ],
    ids=str,
)
def test_it_is_for_programs_on_this_machine_and_for_the_administrator(
    url: str, method: str, headers: dict[str, str], status: int
) -> None:
    answer = httpx.request(method, f"{url}/internal/drain?wait=0", headers=headers)
    assert answer.status_code == status
    ready = httpx.get(f"{url}/health/ready").status_code
    assert ready == (503 if status == 200 else 200)


@pytest.mark.parametrize("query", ["wait=soon", "wait=-1", "wait=nan", "propagation=inf"])
def test_what_is_no_number_of_seconds_is_named_and_changes_nothing(url: str, query: str) -> None:
    answer = httpx.post(f"{url}/internal/drain?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]
    assert httpx.get(f"{url}/health/ready").status_code == 200
