"""The code samples of the document, run as a reader would run them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.openai.document import operations
from tests.support.api_keys import ADMIN_KEY, keys
from tests.support.live_server import ROOT, LiveServer
from tests.support.model_names import BASE, STARTER
from tests.support.programs import require
from tests.support.recordings import SPEECH, reference
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
    with LiveServer(
        VERBATIM_MODEL=BASE,
        VERBATIM_ACCESS__KEYS=keys(),
        VERBATIM_MODELS__SERVED=json.dumps([str(second)]),
    ) as live:
        yield live


@pytest.mark.parametrize(("operation", "language", "source"), list(samples()))
def test_a_sample_prints_the_words(
    administered: LiveServer, operation: str, language: str, source: str
) -> None:
    assert "http://127.0.0.1:8000/" in source
    source = source.replace("http://127.0.0.1:8000/", f"{administered.url}/")
    if language == "Shell":
        assert source.startswith("curl ")
        command = ["sh", "-c", source.replace("curl", f"{require('curl')} --fail -sS", 1)]
    else:
        command = [sys.executable, "-c", source]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OPENAI_API_KEY": ADMIN_KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    printed = f" {' '.join(normalise(run.stdout))} "
    for words in PRINTED[operation]:
        assert f" {' '.join(normalise(words))} " in printed


def test_what_can_succeed_has_a_sample_for_curl_and_what_the_sdk_does_one_in_python() -> None:
    for path, _, operation in operations():
        if "200" not in operation["responses"]:
            continue
        languages = {sample["lang"] for sample in operation["x-codeSamples"]}
        assert languages == ({"Shell", "Python"} if path.startswith("/v1/") else {"Shell"})
