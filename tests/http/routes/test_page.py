"""The files of the page at /; tests/web looks at what a browser makes of them."""

import re
from pathlib import Path

import httpx
import pytest

from app.engine.fake_model import FakeModel
from tests.support.live_server import ROOT, LiveServer
from tests.support.served import fake_app, served

WEB = ROOT / "app" / "web"
FILES = sorted(path.name for path in WEB.iterdir())
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def test_the_page_is_served_as_it_lies_in_the_tree(server: LiveServer) -> None:
    answer = httpx.get(f"{server.url}/")
    assert answer.content == (WEB / "index.html").read_bytes()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", FILES)
def test_every_file_has_its_type_and_the_policy(server: LiveServer, name: str) -> None:
    answer = httpx.get(f"{server.url}/web/{name}")
    assert answer.content == (WEB / name).read_bytes()
    # Browsers run no module of another type.
    assert answer.headers["content-type"].partition(";")[0] == TYPES[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_policy_lets_nothing_inline_run_and_nothing_go_elsewhere(server: LiveServer) -> None:
    policy = httpx.get(f"{server.url}/").headers["content-security-policy"]
    sources = {source for rule in policy.split(";") for source in rule.split()[1:]}
    assert sources == {"'none'", "'self'", "blob:", "data:"}
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert [name for name, allowed in rules.items() if "blob:" in allowed] == ["media-src"]
    assert [name for name, allowed in rules.items() if "data:" in allowed] == ["img-src"]


def test_the_page_is_told_the_limit_of_uploads_and_whether_there_are_jobs() -> None:
    with served(fake_app(FakeModel(), audio={"max_upload_bytes": 1234})) as url:
        assert httpx.get(f"{url}/web/server.json").json() == {
            "docs": True,
            "jobs": False,
            "max_upload_bytes": 1234,
        }


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_an_unchanged_file_is_not_sent_again(server: LiveServer, path: str) -> None:
    first = httpx.get(server.url + path)
    assert first.headers["cache-control"] == "no-cache"
    again = httpx.get(server.url + path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", FILES)
def test_files_name_no_other_host_and_no_place_on_this_one(name: str) -> None:
    """A proxy may serve the page under any path, so its addresses are relative."""
    text = (WEB / name).read_text(encoding="utf-8")
    assert re.findall(r"(?:https?:)?//[a-z0-9]+\.[a-z]+/", text.replace("//www.w3.org/", "")) == []
    assert re.findall(r"""(?:src|href)="/|new URL\("/|from "/|fetch\("/""", text) == []


@pytest.mark.parametrize("path", ["/web/nothing.js", "/web/../main.py", "/web/%2e%2e/main.py"])
def test_nothing_else_is_served(server: LiveServer, path: str) -> None:
    answer = httpx.get(server.url + path)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_without_the_page_its_addresses_are_unknown() -> None:
    with served(fake_app(FakeModel(), server={"web_page": False})) as url:
        for path in ("/", "/web/main.js"):
            answer = httpx.get(url + path)
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == f"Invalid URL (GET {path})"
