"""LiteLLM's proxy between openai-python and the server."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
from openai import OpenAI

from tests.conformance.case import Answer, Case
from tests.conformance.clients import python
from tests.support.live_server import ROOT
from tests.support.programs import require
from tests.support.waiting import bound_port

START_SECONDS = 240
"""It needs twenty of a core, of which a busy machine has little."""


@contextmanager
def litellm(base_url: str) -> Iterator[Callable[[Case], Answer]]:
    """Asks through a proxy that is started here and stopped at the end."""
    key = f"sk-{secrets.token_hex(16)}"
    configuration = str(ROOT / "examples" / "integrations" / "litellm.yaml")
    process = subprocess.Popen(
        [require("litellm"), "--config", configuration, "--host", "127.0.0.1", "--port", "0"],
        env={
            **os.environ,
            "VERBATIM_URL": base_url,
            "LITELLM_MASTER_KEY": key,
            # Or it asks the network for prices.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = bound_port(process, START_SECONDS)
        _wait(process, f"http://127.0.0.1:{port}/health/liveliness")
        with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0) as client:
            ask = python.plain(client)
            yield lambda case: _unwrapped(ask(case), case)
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("LiteLLM did not start")


def _unwrapped(answer: Answer, case: Case) -> Answer:
    """LiteLLM puts texts and subtitles into a JSON object, and nulls where a key is absent."""
    if isinstance(answer.content, dict):
        present = {key: value for key, value in answer.content.items() if value is not None}
        return replace(answer, content=present)
    if isinstance(answer.content, str) and case.format in ("text", "srt", "vtt"):
        return replace(answer, content=json.loads(answer.content)["text"])
    return answer
