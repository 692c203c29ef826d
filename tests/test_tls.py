"""HTTPS from the process itself, with an identity provider's tokens, as a company might run it."""

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

# Not the synchronous client: it reads and writes one TLS connection from two threads, which Python
# 3.11's ssl does not bear (a handshake in twenty gets no answer).
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.setting_groups import ServerSettings
from tests.access.provider import AUDIENCE, Provider
from tests.support.certificates import write_certificate
from tests.support.client import CLIP
from tests.support.live_server import ROOT, LiveServer
from tests.support.recordings import reference
from tests.support.words import word_errors


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(files: tuple[Path, Path], provider: Provider) -> Iterator[LiveServer]:
    """Its clients here trust its certificate as clients do that are told of a company's own."""
    certificate, key = files
    live = LiveServer(
        api_key=provider.token(),
        VERBATIM_SERVER__TLS_CERTIFICATE_FILE=str(certificate),
        VERBATIM_SERVER__TLS_KEY_FILE=str(key),
        VERBATIM_ACCESS__OIDC__ISSUER=provider.url,
        VERBATIM_ACCESS__OIDC__AUDIENCE=json.dumps([AUDIENCE]),
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(certificate))
        with live:
            yield live


def client(server: LiveServer, key: str) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def test_the_sdk_transcribes_over_https_with_a_token(server: LiveServer) -> None:
    answer = server.transcribe(CLIP, language="en")
    assert word_errors(reference(CLIP.name), answer.text) == 0


def test_a_bad_token_is_the_sdks_authentication_error(
    server: LiveServer, provider: Provider
) -> None:
    for token in (provider.token(exp=5), provider.token(aud="billing"), "a long guess"):
        with client(server, token) as sdk, pytest.raises(openai.AuthenticationError) as refused:
            sdk.audio.transcriptions.create(model="whisper-1", file=CLIP)
        assert refused.value.code == "invalid_api_key"
        assert token[9:] not in str(refused.value)


def test_browsers_are_ordered_to_stay_with_https(server: LiveServer) -> None:
    answer = httpx.get(f"{server.url}/health/ready")
    assert "max-age=" in answer.headers["strict-transport-security"]


def test_refused_heads_are_answered_over_tls_and_their_connections_closed(
    server: LiveServer, files: tuple[Path, Path]
) -> None:
    context = ssl.create_default_context(cafile=files[0])
    with ExitStack() as open_:
        connections = []
        for head in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 10**6):
            plain = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            connection = context.wrap_socket(
                open_.enter_context(plain), server_hostname="127.0.0.1"
            )
            connections.append(open_.enter_context(connection))
            connection.sendall(head)
        for connection, status in zip(connections, (400, 431), strict=True):
            assert connection.recv(4096).startswith(b"HTTP/1.1 %d " % status)
        for connection in connections:  # after some seconds, in which the client may close it
            with suppress(OSError):  # it may be reset instead
                assert connection.recv(4096) == b""


def test_a_client_that_does_not_know_the_certificate_does_not_connect(server: LiveServer) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.url}/health/ready", verify=ssl.create_default_context(capath="/"))


async def test_a_socket_over_tls_transcribes(server: LiveServer, files: tuple[Path, Path]) -> None:
    trust = ssl.create_default_context(cafile=files[0])
    url = server.url.replace("https:", "wss:") + "/stream"
    async with connect(url, ssl=trust, additional_headers=server.headers) as socket:
        for message in (json.dumps({"format": "auto"}), CLIP.read_bytes(), '{"type": "end"}'):
            await socket.send(message)
        last = [json.loads(message) async for message in socket][-1]
    assert word_errors(reference(CLIP.name), last["text"]) == 0


async def test_sockets_of_foreign_pages_are_refused_over_tls(
    server: LiveServer, files: tuple[Path, Path]
) -> None:
    trust = ssl.create_default_context(cafile=files[0])
    url = server.url.replace("https:", "wss:") + "/v1/realtime"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, ssl=trust, additional_headers={"origin": "https://elsewhere.example"})
    assert refused.value.response.status_code == 403
    assert b"Pages of this origin" in (refused.value.response.body or b"")


def test_versions_of_tls_before_1_2_are_refused(
    server: LiveServer, files: tuple[Path, Path]
) -> None:
    context = ssl.create_default_context(cafile=files[0])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    # The server hangs up; a client that could not speak it would say so.
    with pytest.raises(httpx.TransportError, match=r"EOF|alert|reset"):
        httpx.get(f"{server.url}/health/ready", verify=context)
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert httpx.get(f"{server.url}/health/ready", verify=context).status_code == 200


# --- files that cannot be used ----------------------------------------------------------------


def test_one_file_alone_is_refused(files: tuple[Path, Path]) -> None:
    for name, path in zip(("tls_certificate_file", "tls_key_file"), files, strict=True):
        with pytest.raises(ValueError, match="of no use alone"):
            ServerSettings.model_validate({name: path})


def test_files_that_do_not_fit_together_are_refused(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    _, other_key = write_certificate(tmp_path)
    with pytest.raises(ValueError, match=r"the TLS files cannot be used.*MISMATCH"):
        ServerSettings(tls_certificate_file=files[0], tls_key_file=other_key)


def test_a_key_with_a_password_is_refused_without_a_question(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, password=b"secret")
    with pytest.raises(ValueError, match="the TLS files cannot be used"):
        ServerSettings(tls_certificate_file=certificate, tls_key_file=key)


def test_a_process_with_bad_files_ends_with_one_line(files: tuple[Path, Path]) -> None:
    settings = {
        "VERBATIM_SERVER__TLS_CERTIFICATE_FILE": str(CLIP),
        "VERBATIM_SERVER__TLS_KEY_FILE": str(files[1]),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "Verbatim cannot start: VERBATIM_SERVER: the TLS files cannot be used"
    )
    assert ended.stderr.count("\n") == 1


def test_the_probe_of_the_same_machine_speaks_https_too(
    server: LiveServer, files: tuple[Path, Path]
) -> None:
    certificate, key = files
    settings = {
        "VERBATIM_SERVER__PORT": str(server.port),
        "VERBATIM_SERVER__TLS_CERTIFICATE_FILE": str(certificate),
        "VERBATIM_SERVER__TLS_KEY_FILE": str(key),
    }
    command = [sys.executable, "-m", "app.probe", "/health/ready"]
    answer = subprocess.check_output(command, cwd=ROOT, env=settings, text=True)
    assert json.loads(answer)["status"] == "ready"
