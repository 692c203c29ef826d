"""The code samples of the document, run as a reader would run them."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.clients.python import ANNOUNCEMENTS
from tests.openai.document import operations
from tests.support.api_keys import ADMIN_KEY, keys
from tests.support.live_server import ROOT, LiveServer
from tests.support.model_names import BASE, STARTER
from tests.support.programs import require
from tests.support.python_samples import printed_by_python
from tests.support.recordings import SPEECH, reference
from tests.support.remembering_server import RememberingServer
from tests.support.words import normalise

ENGLISH, GERMAN = reference("jfk.flac", SPEECH), reference("german.wav", SPEECH)

# Operation -> what every sample of it prints, among other things.
PRINTED = {
    "createTranscription": (ENGLISH,),
    "createTranslation": ("the software",),
    "createTranscriptions": (ENGLISH, GERMAN),
    "transcribe": (ENGLISH,),
    "getUsage": ("usage", "office"),
    "createClientSecret": ("ek_", '"language":"en"'),
    "createTranscriptionSession": ("ek_", "g711_ulaw"),
    "listModels": ("whisper-1", "base"),
    "retrieveModel": ("base",),
    "loadModel": ("large-v3-turbo", "loaded"),
    "unloadModel": ("large-v3-turbo", "unloaded"),
    "live": ("live",),
    "ready": ("ready",),
    "metrics": ("stt_windows_total",),
    # The last ones, as nothing is served after them.
    "drainByGet": ("drained",),
    "drain": ("drained",),
}

IN_DOCS = {"batches", "files", "jobs", "webhooks"}


def samples() -> Iterator[object]:
    for _, _, operation in operations():
        name = operation["operationId"]
        for sample in operation.get("x-codeSamples", []):
            label = f"{name}: {sample['label']}"
            yield pytest.param(name, sample["lang"], sample["source"], id=label)


@pytest.fixture(scope="module")
def administered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Base, with a key, and the second model of the samples, for which the starter stands in."""
    second = tmp_path_factory.mktemp("models") / "large-v3-turbo"
    second.symlink_to(STARTER)
    with RememberingServer(
        VERBATIM_MODEL=BASE,
        VERBATIM_ACCESS__KEYS=keys(),
        VERBATIM_MODELS__SERVED=json.dumps([str(second)]),
    ) as live:
        yield live


@pytest.mark.filterwarnings(ANNOUNCEMENTS)
@pytest.mark.parametrize(("operation", "language", "source"), list(samples()))
def test_a_sample_prints_the_words(
    administered: LiveServer,
    operation: str,
    language: str,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OPENAI_API_KEY", ADMIN_KEY)
    assert "http://127.0.0.1:8000/" in source
    source = source.replace("http://127.0.0.1:8000/", f"{administered.url}/")
    shown = printed_by_shell(source) if language == "Shell" else printed_by_python(source)
    printed = f" {' '.join(normalise(shown))} "
    for words in PRINTED[operation]:
        assert f" {' '.join(normalise(words))} " in printed


def printed_by_shell(source: str) -> str:
    assert source.startswith("curl ")
    command = source.replace("curl", f"{require('curl')} --fail -sS", 1)
    run = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_what_can_succeed_has_a_sample_for_curl_and_what_the_sdk_does_one_in_python() -> None:
    for path, _, operation in operations():
        # Samples of jobs build upon each other: docs/jobs.md has them (tests/jobs/test_docs.py).
        # Those of webhooks need a receiver: docs/webhooks.md, tests/jobs/test_webhooks.py.
        if "200" not in operation["responses"] or IN_DOCS.intersection(operation["tags"]):
            continue
        languages = {sample["lang"] for sample in operation["x-codeSamples"]}
        assert languages == ({"Shell", "Python"} if path.startswith("/v1/") else {"Shell"})
