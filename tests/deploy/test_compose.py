"""docker-compose.yml: what it tells the server, by the shell's variables and those of .env."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml

from app.settings import Settings, read_settings
from tests.deploy.helm import Manifest
from tests.deploy.pods import BUILT_IN
from tests.support.live_server import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
SERVERS = ["verbatim", "verbatim-gpu"]

# From settings to what only a person can have.
GUARDS = [
    {"VERBATIM_ACCESS__KEYS_FILE": "/keys/keys.yaml"},
    {"VERBATIM_ACCESS__KEYS": "salt: x"},
    {
        "VERBATIM_ACCESS__OIDC__ISSUER": "https://login.example.com",
        "VERBATIM_ACCESS__OIDC__AUDIENCE": '["verbatim"]',
    },
]


def service(name: str) -> Manifest:
    found: Manifest = yaml.safe_load(TEXT)["services"][name]
    return found


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """What Compose makes of ${NAME:-default} and ${NAME:+replacement}."""

    def value(found: re.Match[str]) -> str:
        name, operator, word = found.groups()
        given = variables.get(name, "")
        return (word if given else "") if operator == ":+" else given or word

    return re.sub(r"\$\{(\w+)(:[-+])([^{}]*)\}", value, text)


def told(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a container; a name without a value is taken from the shell."""
    entries = [filled_in(each, variables) for each in service(name)["environment"]]
    pairs = (each.partition("=") for each in entries)
    return {
        variable: value if equals else variables[variable]
        for variable, equals, value in pairs
        if equals or variable in variables
    }


def settings(name: str, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the server reads them in the image, which listens everywhere."""
    for variable, value in told(name, variables).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("VERBATIM_SERVER__HOST", "0.0.0.0")
    return read_settings()


@pytest.mark.parametrize("name", SERVERS)
def test_it_is_open_to_this_machine_and_has_time_to_drain(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = settings(name, {}, monkeypatch)
    assert read.access.open
    assert service(name)["ports"] == ["127.0.0.1:8000:8000"]
    minutes, seconds = re.findall(r"\d+", service(name)["stop_grace_period"])
    assert int(minutes) * 60 + int(seconds) > read.server.drain_seconds


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: next(iter(guard)))
@pytest.mark.parametrize("name", SERVERS)
def test_it_is_not_open_once_a_setting_restricts_its_callers(
    name: str, guard: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = settings(name, guard, monkeypatch)
    assert read.access.is_guarded
    assert not read.access.open


@pytest.mark.parametrize("name", SERVERS)
def test_variables_of_the_shell_reach_the_server(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = {
        "VERBATIM_MODEL": "small",
        "VERBATIM_LIMITS__STORE": "redis://redis:6379/0",
        "HF_TOKEN": "token",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
    }
    read = settings(name, shell, monkeypatch)
    assert read.model == "small"
    assert read.limits.store is not None
    assert (os.environ["HF_TOKEN"], os.environ["HTTPS_PROXY"]) == (
        "token",
        "http://proxy.example.com:3128",
    )


@pytest.mark.parametrize("name", SERVERS)
def test_every_other_setting_may_stand_in_a_file_that_need_not_be_there(name: str) -> None:
    assert service(name)["env_file"] == [{"path": ".env", "required": False}]
    # It may hold secrets, so neither Git nor the image takes it.
    assert subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT).returncode == 0
    assert (ROOT / ".dockerignore").read_text().startswith("*\n")


@pytest.mark.parametrize("name", SERVERS)
def test_volumes_hide_no_model_of_the_image(name: str) -> None:
    places = [PurePosixPath(each.split(":")[1]) for each in service(name)["volumes"]]
    assert places == [PurePosixPath(each) for each in ("/models", "/keys", "/jobs")]
    assert not any(BUILT_IN.is_relative_to(place) for place in places)


@pytest.mark.parametrize("name", SERVERS)
def test_the_model_in_the_image_can_be_chosen(name: str) -> None:
    (argument, value) = next(iter(service(name)["build"]["args"].items()))
    assert argument == "BAKED_MODEL"
    assert filled_in(value, {}) == "base"
    assert filled_in(value, {"BAKED_MODEL": "small"}) == "small"


def test_workers_share_the_servers_database_and_recordings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = re.search(r"VERBATIM_JOBS__DATABASE=(\S+) ", TEXT)
    assert line
    shell = {"VERBATIM_JOBS__DATABASE": line[1]}
    server, worker = service("verbatim"), service("worker")
    files = [ROOT / each["path"] for each in worker["env_file"] if each.get("required", True)]
    own = dict(text.split("=") for file in files for text in file.read_text().splitlines())
    read = settings("worker", shell | own, monkeypatch)
    for variable, value in own.items():
        monkeypatch.setenv(variable, value)
    assert read_settings().jobs.role == "worker"
    assert read.jobs.database == settings("verbatim", shell, monkeypatch).jobs.database
    assert worker["volumes"] == server["volumes"]
    assert worker["ports"] == []
    assert "aliases" not in str(worker["networks"]), "callers would reach it"
    address = urlsplit(line[1])
    given = service(str(address.hostname))["environment"]
    assert (address.username, address.password) == (
        given["POSTGRES_USER"],
        given["POSTGRES_PASSWORD"],
    )


def test_the_commented_line_opens_it_to_the_network() -> None:
    (line,) = re.findall(r'^( +)# (- "8000:8000")', TEXT, re.M)
    opened = TEXT.replace('    - "127.0.0.1:8000:8000"\n', "").replace(f"# {line[1]}", line[1])
    assert yaml.safe_load(opened)["services"]["verbatim"]["ports"] == ["8000:8000"]
