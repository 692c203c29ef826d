"""`include[]=logprobs`, keywords, languages and usage through the official SDK, on real speech."""

import asyncio
from collections.abc import Iterable
from statistics import mean
from typing import Any

import httpx
import pytest

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, RATE, load_sample, noise, silence, wav

CLIP = "12_short_clip.wav"
KEYWORDS = ["Verbatim", "account manager", "Northwind Traders"]


def transcribe(
    server: LiveServer, file: Any, model: str = "gpt-4o-transcribe", **fields: Any
) -> Any:
    return server.transcribe(file, model, **fields)


def joined(logprobs: Iterable[Any]) -> str:
    return b"".join(map(raw, logprobs)).decode()


def raw(logprob: Any) -> bytes:
    return bytes(map(int, logprob.bytes))  # the SDK declares floats for `json`


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "whisper-1"])
@pytest.mark.parametrize("name", ["01_order_call.wav", "13_stereo_call.m4a", "09_german.wav"])
def test_logprobs_spell_the_text(server: LiveServer, name: str, model: str) -> None:
    answer = transcribe(server, FOLDER / name, model, include=["logprobs"])
    assert answer.text == transcribe(server, FOLDER / name, model).text
    assert joined(answer.logprobs) == answer.text
    assert all(-17 < each.logprob <= 0 for each in answer.logprobs)
    for each in answer.logprobs:
        assert each.token == raw(each).decode(errors="replace")
    assert answer.text.isascii() is (name != "09_german.wav"), "umlauts are two bytes"
    if model == "gpt-4o-transcribe":
        assert answer.usage.output_tokens == len(answer.logprobs)


def test_logprobs_are_absent_unless_asked_for(server: LiveServer) -> None:
    assert set(transcribe(server, FOLDER / CLIP).to_dict()) == {"text", "usage"}


@pytest.mark.parametrize("name", ["02_two_voices.wav", "09_german.wav"])
def test_a_streams_deltas_have_the_logprobs_of_their_own_text(
    server: LiveServer, name: str
) -> None:
    *deltas, done = transcribe(server, FOLDER / name, stream=True, include=["logprobs"])
    assert len(deltas) > 1
    for each in deltas:
        assert joined(each.logprobs) == each.delta
    sent = [item.to_dict() for each in deltas for item in each.logprobs]
    assert [item.to_dict() for item in done.logprobs] == sent
    whole = transcribe(server, FOLDER / name, include=["logprobs"])
    assert [item.to_dict() for item in whole.logprobs] == sent
    assert done.usage.output_tokens == whole.usage.output_tokens


def test_a_clean_recording_is_surer_than_the_same_in_noise(server: LiveServer) -> None:
    clean = load_sample("01_order_call.wav")
    noisy = clean + noise(len(clean) / RATE, level=0.06)[: len(clean)]

    def sureness(content: bytes) -> float:
        answer = transcribe(server, content, include=["logprobs"])
        return mean(float(each.logprob) for each in answer.logprobs)

    assert sureness(wav(clean)) > sureness(wav(noisy)) + 0.1


def test_silence_has_no_logprobs_and_no_languages(server: LiveServer) -> None:
    answer = transcribe(server, wav(silence(3)), "gpt-transcribe", include=["logprobs"]).to_dict()
    assert list(answer) == ["text", "languages", "logprobs", "usage"]
    assert (answer["text"], answer["languages"], answer["logprobs"]) == ("", [], [])
    assert answer["usage"]["output_tokens"] == 0


def test_gpt_transcribe_names_the_languages_of_the_recording(server: LiveServer) -> None:
    mixed = FOLDER / "15_english_then_german.wav"
    fields = {"extra_body": {"languages": ["en", "de"]}}
    answer = transcribe(server, mixed, "gpt-transcribe", **fields).to_dict()
    assert answer["languages"] == [{"code": "en"}, {"code": "de"}]
    *_, done = transcribe(server, mixed, "gpt-transcribe", stream=True, **fields)
    assert done.to_dict()["languages"] == answer["languages"]
    assert "languages" not in transcribe(server, mixed).to_dict()


def test_keywords_and_prompt_are_counted_as_text_that_went_in(server: LiveServer) -> None:
    def text_tokens(**fields: Any) -> int:
        usage = transcribe(server, FOLDER / CLIP, **fields).usage
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        return int(usage.input_token_details.text_tokens)

    biased: dict[str, Any] = {"extra_body": {"keywords": ["Northwind"]}}
    assert text_tokens() == 0
    assert text_tokens(**biased) == text_tokens(prompt="Northwind") > 0
    assert text_tokens(prompt="Hello.", **biased) == (
        text_tokens(prompt="Hello.") + text_tokens(**biased)
    )


async def test_keywords_of_one_request_do_not_reach_another(server: LiveServer) -> None:
    content = (FOLDER / "02_two_voices.wav").read_bytes()

    async def answer(client: httpx.AsyncClient, keywords: list[str]) -> dict[str, Any]:
        reply = await client.post(
            f"{server.url}/v1/audio/transcriptions",
            files={"file": content},
            data={
                "model": "gpt-4o-transcribe",
                "include[]": "logprobs",
                "language": "en",
                "keywords[]": keywords,
            },
        )
        return dict(reply.raise_for_status().json())

    async with httpx.AsyncClient(timeout=60) as client:
        alone = await answer(client, [])
        beside = await asyncio.gather(*(answer(client, each) for each in [[], KEYWORDS] * 2))
    assert beside[::2] == [alone] * 2
    assert beside[1] == beside[3]
