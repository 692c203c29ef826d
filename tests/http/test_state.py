"""What middleware and routes share."""

import pytest

from app.engine.fake_model import FakeModel
from tests.support.served import fake_app, in_process


def test_no_dependency_of_a_route_runs_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 600 requests at once each waited for threads, several times, and all others with them."""

    async def refused(call: object, **_: object) -> None:
        raise AssertionError(f"{call} is no coroutine")

    with in_process(fake_app(FakeModel())) as client:
        monkeypatch.setattr("fastapi.dependencies.utils.run_in_threadpool", refused)
        for path in ("/v1/models", "/v1/usage", "/health/ready"):
            assert client.get(path).status_code == 200, path
        assert client.post("/internal/drain?wait=0&propagation=0").status_code != 500
