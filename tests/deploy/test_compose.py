"""docker-compose.yml: what it tells the server, by the shell's variables and those of .env."""

import os
import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from websockets import Origin
from websockets.sync.client import connect

from app.__main__ import main
from app.engine.fake_model import FakeModel
from app.settings import Settings, read_settings
from tests.deploy.helm import Manifest
from tests.deploy.pods import BUILT_IN
from tests.support.client import CLIP, TRANSCRIPTIONS
from tests.support.live_server import ROOT, LiveServer
from tests.support.programs import require
from tests.support.served import fake_app, served
from tests.support.waiting import free_port, wait_until

BASE, GPU = "docker-compose.yml", "docker-compose.gpu.yml"

# From settings to what only a person can have.
GUARDS = [
    {"VERBATIM_ACCESS__KEYS_FILE": "/keys/keys.yaml"},
    {"VERBATIM_ACCESS__KEYS": "salt: x"},
    {
        "VERBATIM_ACCESS__OIDC__ISSUER": "https://login.example.com",
        "VERBATIM_ACCESS__OIDC__AUDIENCE": '["verbatim"]',
    },
]


def filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """What Compose makes of ${NAME:-default} and ${NAME:+replacement}."""
    if isinstance(value, dict):
        return {name: filled_in(each, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def replaced(found: re.Match[str]) -> str:
        name, operator, word = found.groups()
        given = variables.get(name, "")
        return (word if given else "") if operator == ":+" else given or word

    return re.sub(r"\$\{(\w+)(:[-+])([^{}]*)\}", replaced, value)


def merged(below: Any, above: Any) -> Any:
    """What Compose makes of one file after another."""
    if isinstance(below, dict):
        names = [*below, *(name for name in above if name not in below)]
        return {
            name: merged(below[name], above[name])
            if name in below and name in above
            else above.get(name, below.get(name))
            for name in names
        }
    return [*below, *above] if isinstance(below, list) else above


def composed(variables: Mapping[str, str] | None = None, *files: str) -> Manifest:
    """The whole document, of docker-compose.yml and the files after it."""
    document: Manifest = {}
    for file in (BASE, *files):
        document = merged(document, yaml.safe_load((ROOT / file).read_text()))
    found: Manifest = filled_in(document, variables or {})
    return found


def server(variables: Mapping[str, str] | None = None, *files: str) -> Manifest:
    found: Manifest = composed(variables, *files)["services"]["verbatim"]
    return found


def told(shell: Mapping[str, str], env_file: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the container. Compose fills in what the shell says, else .env, and takes a
    name without a value from there. The container gets all of .env that `environment` lacks."""
    variables = {**(env_file or {}), **shell}
    pairs = (each.partition("=") for each in server(variables)["environment"])
    return {
        **(env_file or {}),
        **{
            name: value if equals else variables[name]
            for name, equals, value in pairs
            if equals or name in variables
        },
    }


def settings(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the server reads them in the image, which listens everywhere."""
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("VERBATIM_SERVER__HOST", "0.0.0.0")
    return read_settings()


def test_it_is_open_to_this_machine_and_has_time_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(told({}), monkeypatch)
    assert read.access.open
    assert server()["ports"] == ["127.0.0.1:8000:8000"]
    minutes, seconds = re.findall(r"\d+", server()["stop_grace_period"])
    assert int(minutes) * 60 + int(seconds) > read.server.drain_seconds


@pytest.mark.parametrize("place", ["shell", ".env"])
@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: next(iter(guard)))
def test_it_is_not_open_once_a_setting_restricts_its_callers(
    guard: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = settings(told(guard) if place == "shell" else told({}, guard), monkeypatch)
    assert read.access.is_guarded
    assert not read.access.open


def test_who_wants_no_open_server_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="there are no API keys"):
        settings(told({}, {"VERBATIM_ACCESS__OPEN": "false"}), monkeypatch)


def test_a_token_of_metrics_contradicts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(told({}), monkeypatch).telemetry.metrics_port == 9100
    monkeypatch.delenv("VERBATIM_TELEMETRY__METRICS_PORT")
    token = {"VERBATIM_TELEMETRY__METRICS_TOKEN": "of Prometheus"}
    assert settings(told({}, token), monkeypatch).telemetry.metrics_port is None


def test_variables_of_the_shell_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = {
        "VERBATIM_MODEL": "small",
        "VERBATIM_LIMITS__STORE": "redis://redis:6379/0",
        "HF_TOKEN": "token",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
    }
    read = settings(told(shell), monkeypatch)
    assert read.model == "small"
    assert read.limits.store is not None
    assert (os.environ["HF_TOKEN"], os.environ["HTTPS_PROXY"]) == (
        "token",
        "http://proxy.example.com:3128",
    )


def test_every_other_setting_may_stand_in_a_file_that_need_not_be_there() -> None:
    assert server()["env_file"] == [{"path": ".env", "required": False}]
    # It may hold secrets, so neither Git nor the image takes it.
    assert subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT).returncode == 0
    assert (ROOT / ".dockerignore").read_text().startswith("*\n")
    # The container gets them too, and no setting of the server may be unknown.
    own = set(re.findall(r"\$\{(\w+)", (ROOT / BASE).read_text()))
    assert {name for name in own if not name.startswith("VERBATIM_")} == {
        "BAKED_MODEL",
        "DOMAIN",
        "KEYS",
        "LISTEN",
    }


def test_the_network_may_call_where_that_is_said() -> None:
    assert server({"LISTEN": "8000"})["ports"] == ["8000:8000"]


def test_volumes_hide_no_model_of_the_image_and_keep_pulled_ones() -> None:
    sources, places = zip(*(each.split(":") for each in server()["volumes"]), strict=True)
    assert [PurePosixPath(each) for each in places] == [
        PurePosixPath(each) for each in ("/models", "/keys", "/jobs")
    ]
    assert not any(BUILT_IN.is_relative_to(place) for place in places)
    assert set(sources) <= set(composed()["volumes"])
    assert "./keys:/keys" in server({"KEYS": "./keys"})["volumes"]


def test_the_model_in_the_image_can_be_chosen() -> None:
    assert server()["build"]["args"] == {"BAKED_MODEL": "base"}
    assert server({"BAKED_MODEL": "small"})["build"]["args"] == {"BAKED_MODEL": "small"}


def test_the_server_starts_alone_and_profiles_add_the_rest() -> None:
    def services(profile: str | None, *files: str) -> set[str]:
        found = composed({}, *files)["services"].items()
        return {name for name, each in found if each.get("profiles", [None]) == [profile]}

    assert services(None) == {"verbatim"}
    assert services("tls") == {"caddy"}
    assert services("monitoring") == {"prometheus", "grafana"}
    assert services("monitoring", GPU) == {"prometheus", "grafana", "dcgm-exporter"}


def test_every_file_that_is_mounted_is_there() -> None:
    mounts = [
        mount.split(":")[0]
        for each in composed()["services"].values()
        for mount in each.get("volumes", [])
    ]
    assert len([each for each in mounts if each.startswith("./")]) == 5
    assert [each for each in mounts if each.startswith("./") and not (ROOT / each).exists()] == []


def test_on_a_gpu_only_the_image_is_another_and_has_the_devices() -> None:
    on_cpu, on_gpu = server(), server({}, GPU)
    assert on_gpu["build"] == {**on_cpu["build"], "target": "cuda"}
    (device,) = on_gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    changed = {name for name in on_gpu if on_gpu[name] != on_cpu.get(name)}
    assert changed == {"build", "image", "deploy"}


def test_the_server_believes_the_proxy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (network,) = composed()["networks"]["default"]["ipam"]["config"]
    address = ip_address(composed()["services"]["caddy"]["networks"]["default"]["ipv4_address"])
    assert address in ip_network(network["subnet"])
    assert address not in ip_network(network["ip_range"]), "which others get"
    trusted = settings(told({}), monkeypatch).server.trusted_proxies
    assert [str(each) for each in trusted] == [f"{address}/32"]


def test_it_serves_with_a_key_that_was_made_as_its_comment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the very environment of the container, but for jobs, ports and the place of the volume."""
    file = {"VERBATIM_ACCESS__KEYS_FILE": str(tmp_path / "keys.yaml")}
    monkeypatch.setenv(*next(iter(file.items())))
    assert main(["keys", "create", "--name", "me"]) == 0
    key = capsys.readouterr().out.strip()
    assert "keys create --name me" in (ROOT / BASE).read_text()
    environment = told({}, {**file, "VERBATIM_JOBS__ENABLED": "false"})
    environment |= {"VERBATIM_TELEMETRY__METRICS_PORT": "0", "VERBATIM_SERVER__HOST": "0.0.0.0"}
    with LiveServer(api_key=key, **environment) as live:
        assert live.transcribe(CLIP).text
        assert httpx.get(f"{live.url}/v1/models").status_code == 401


@contextmanager
def proxied(upstream: str, folder: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A real Caddy with the real Caddyfile, at a port of its own: its URL, and who trusts it."""
    port, root = free_port(), folder / "caddy/pki/authorities/local/root.crt"
    configuration = folder / "Caddyfile"
    configuration.write_text(
        "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n"
        f"import {ROOT}/deploy/compose/Caddyfile\n"
    )
    process = subprocess.Popen(
        [require("caddy"), "run", "--adapter", "caddyfile", "--config", str(configuration)],
        env={
            "DOMAIN": f"https://localhost:{port}",
            "UPSTREAM": upstream.removeprefix("http://"),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(root.exists)
        context = ssl.create_default_context(cafile=root)
        url = f"https://localhost:{port}"
        wait_until(lambda: answers(url, context))
        yield url, context
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", verify=context).status_code == 200
    except httpx.TransportError:
        return False


def test_the_proxy_passes_calls_sockets_and_addresses_on_over_tls(tmp_path: Path) -> None:
    app = fake_app(FakeModel(), limits={"requests_per_minute": 3})
    with (
        served(app, trusted_proxies=("127.0.0.0/8", "::1/128")) as upstream,
        proxied(upstream, tmp_path) as (url, context),
        httpx.Client(base_url=url, verify=context) as client,
    ):
        answer = client.post(
            TRANSCRIPTIONS,
            data={"model": "whisper-1", "stream": "true"},
            files={"file": (CLIP.name, CLIP.read_bytes())},
        )
        assert "transcript.text.done" in answer.text
        assert "strict-transport-security" in answer.headers, "the server knows of TLS"
        socket = url.replace("https", "wss") + "/stream"
        with connect(socket, ssl=context, origin=Origin(url)):
            pass  # by the name that the browser called it by
        made_up = [{"x-forwarded-for": f"192.0.2.{number}"} for number in range(2)]
        statuses = [client.get("/v1/models", headers=each).status_code for each in made_up]
        assert statuses == [200, 429], "what a caller says of its address is not passed on"


def test_workers_share_the_servers_database_and_recordings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = re.search(r"VERBATIM_JOBS__DATABASE=(\S+) ", (ROOT / BASE).read_text())
    assert line
    variables = told({"VERBATIM_JOBS__DATABASE": line[1]})
    worker = composed()["services"]["worker"]
    files = [ROOT / each["path"] for each in worker["env_file"] if each.get("required", True)]
    own = dict(text.split("=") for file in files for text in file.read_text().splitlines())
    assert own.keys().isdisjoint(variables), "`environment` would win"
    jobs = settings(variables | own, monkeypatch).jobs
    assert (jobs.role, jobs.database and jobs.database.get_secret_value()) == ("worker", line[1])
    for shared in ("environment", "volumes", "image"):
        assert worker[shared] == server()[shared]
    assert worker["ports"] == []
    address = urlsplit(line[1])
    given = composed()["services"][str(address.hostname)]["environment"]
    assert (address.username, address.password) == (
        given["POSTGRES_USER"],
        given["POSTGRES_PASSWORD"],
    )
