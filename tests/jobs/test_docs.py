"""What docs/jobs.md tells its readers to run, run."""

import json
import re
import subprocess

import pytest

from tests.jobs.served_jobs import ServedJobs
from tests.openai.document import operations
from tests.support.api_keys import SALES_KEY
from tests.support.client import CLIP
from tests.support.live_server import ROOT
from tests.support.programs import require
from tests.support.python_samples import printed_by_python

TEXT = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
IN_DOCS = {"batches", "jobs", "webhooks"}
SAMPLES = re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL)


def test_the_samples_do_what_they_say(jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OPENAI_API_KEY", SALES_KEY)
    printed = []
    for language, source in SAMPLES:
        source = source.replace("http://127.0.0.1:8000/", f"{jobs.url}/")
        printed.append(shell(source) if language == "sh" else python(source))
    assert '"status":"queued"' in printed[0]
    assert "00:00:0" in printed[1], "subtitles"
    assert [line.split()[0] for line in printed[2].splitlines()] == ["call-0", "call-1"]
    assert printed[1].splitlines()[0] == printed[2].splitlines()[0].removeprefix("call-0 ")


def test_the_examples_of_the_document_can_be_sent(jobs: ServedJobs) -> None:
    upload = {"file": ("call.wav", CLIP.read_bytes())}
    recording = jobs.send("POST", "/v1/files", files=upload, data={"purpose": "user_data"}).json()
    line = {
        "custom_id": "call",
        "method": "POST",
        "url": "/v1/audio/transcriptions",
        "body": {"model": "whisper-1", "file": recording["id"]},
    }
    lines = {"file": ("calls.jsonl", json.dumps(line).encode())}
    requests = jobs.send("POST", "/v1/files", files=lines, data={"purpose": "batch"}).json()
    ids = {"/v1/audio/jobs": recording["id"], "/v1/batches": requests["id"]}
    endpoint = ""
    for path, method, operation in operations():
        media = operation.get("requestBody", {}).get("content", {}).get("application/json")
        # The host of the example receives nothing: test_webhooks.py has a receiver.
        is_delivered = operation["operationId"] == "testWebhookEndpoint"
        if media is None or is_delivered or not IN_DOCS.intersection(operation["tags"]):
            continue
        body = json.loads(json.dumps(media["example"]).replace("file-ID", ids.get(path, "")))
        answer = jobs.send(method.upper(), path.replace("{id}", endpoint), json=body)
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        endpoint = answer.json()["id"] if path == "/v1/webhook_endpoints" else endpoint
    assert endpoint


def shell(source: str) -> str:
    command = source.replace("curl", f"{require('curl')} --fail", 1)
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def python(source: str) -> str:
    # The server is in this process, and its log goes to the same place.
    lines = printed_by_python(source).splitlines(keepends=True)
    return "".join(line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:", line))


def test_the_codes_of_wrong_lines_are_those_of_the_code() -> None:
    source = (ROOT / "app" / "jobs" / "batch_lines.py").read_text()
    source += (ROOT / "app" / "jobs" / "batch_expansion.py").read_text()
    for code in set(re.findall(r'LineError\(\s*"(\w+)"', source)):
        assert f"`{code}`" in TEXT, code
