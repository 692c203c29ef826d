"""The plain socket, by the websockets client, on real speech."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.api_keys import ADMIN_KEY, SALES_KEY, bearer, keys
from tests.support.client import uneven_chunks
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, MEDIA, RATE, Samples, load_sample, reference, silence
from tests.support.waiting import wait_until
from tests.support.words import normalise, word_errors

CLIP = "12_short_clip.wav"
END = json.dumps({"type": "end"})
Message = dict[str, Any]


def pcm16(samples: Samples, rate: int = RATE) -> bytes:
    """16-bit little-endian, at another rate by straight lines between the samples."""
    at = np.arange(0, len(samples), RATE / rate)
    values = np.interp(at, np.arange(len(samples)), samples)
    return bytes((np.clip(values, -1, 1) * 32767).astype("<i2").tobytes())


def socket(server: LiveServer, **options: Any) -> connect:
    return connect(f"{server.url.replace('http', 'ws')}/stream", max_size=None, **options)


async def talk(
    server: LiveServer, *messages: str | bytes, key: str = "any key"
) -> tuple[list[Message], int]:
    """All that the server says, and the code of its close frame."""
    async with socket(server, additional_headers=bearer(key)) as client:
        sending = asyncio.create_task(_send(client, messages))
        said = [json.loads(message) async for message in _until_closed(client)]
        await sending
        assert client.close_code is not None
        return said, client.close_code


async def _send(client: ClientConnection, messages: Iterable[str | bytes]) -> None:
    try:
        for message in messages:
            await client.send(message)
    except ConnectionClosed:
        pass  # the server has closed the socket


async def _until_closed(client: ClientConnection) -> Any:
    try:
        async for message in client:
            yield message
    except ConnectionClosed:
        pass


def of_type(said: list[Message], kind: str) -> list[Message]:
    return [message for message in said if message["type"] == kind]


@cache
def rest_text(server: LiveServer, name: str = CLIP) -> str:
    """What a whole upload of the recording gives."""
    return str(server.transcribe(FOLDER / name).text)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
async def test_raw_sound_of_any_rate_gives_the_words_of_the_recording(
    server: LiveServer, rate: int
) -> None:
    sound = pcm16(load_sample("14_telephone_mulaw.wav"), rate)
    said, code = await talk(
        server, json.dumps({"sample_rate": rate}), *uneven_chunks(sound, largest=9_999), END
    )
    assert code == 1000
    assert said[0]["type"] == "ready"
    assert said[0]["model"] == "starter"
    assert normalise(said[-1]["text"]) == normalise(rest_text(server, "14_telephone_mulaw.wav"))
    assert said[-1]["duration"] == pytest.approx(9.8, abs=0.1)


async def test_a_browsers_recording_needs_no_more_than_its_bytes(server: LiveServer) -> None:
    content = MEDIA["browser.webm"](load_sample(CLIP))
    said, code = await talk(
        server, json.dumps({"format": "auto"}), *uneven_chunks(content, largest=2_000), END
    )
    assert code == 1000
    assert normalise(said[-1]["text"]) == normalise(rest_text(server))


async def test_a_file_may_be_sent_as_fast_as_the_line_allows(server: LiveServer) -> None:
    """73 s of sound at once: more than may wait to be decoded."""
    content = (FOLDER / "08_long_call.flac").read_bytes()
    said, code = await talk(server, json.dumps({"format": "auto"}), content, END)
    assert code == 1000
    assert said[-1]["duration"] == pytest.approx(73.4, abs=0.1)
    wanted = reference("08_long_call.flac")
    by_rest = word_errors(wanted, rest_text(server, "08_long_call.flac"))
    assert word_errors(wanted, said[-1]["text"]) <= by_rest + 2


async def test_sound_may_come_without_a_word_before_it(server: LiveServer) -> None:
    said, code = await talk(server, pcm16(load_sample(CLIP)), END)
    assert code == 1000
    assert normalise(said[-1]["text"]) == normalise(rest_text(server))


async def test_lines_have_times_words_and_a_language(server: LiveServer) -> None:
    name = "01_order_call.wav"
    said, _ = await talk(server, json.dumps({"words": True}), pcm16(load_sample(name)), END)
    finals = of_type(said, "final")
    assert "".join(f" {final['text']}" for final in finals).strip() == said[-1]["text"]
    spoken = json.loads((FOLDER / name).with_suffix(".segments.json").read_text())
    assert finals[0]["start"] == pytest.approx(spoken[0]["start"], abs=0.3)
    assert finals[-1]["end"] == pytest.approx(spoken[-1]["end"], abs=0.3)
    for final in finals:
        assert final["language"] == "en"
        times = [time for word in final["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert final["start"] <= times[0] <= times[-1] <= final["end"]
        assert normalise(" ".join(word["word"] for word in final["words"])) == normalise(
            final["text"]
        )
    started = {message["id"]: message["start"] for message in of_type(said, "speech_started")}
    stopped = {message["id"]: message["end"] for message in of_type(said, "speech_stopped")}
    assert [final["id"] for final in finals] == list(started) == list(stopped)
    assert all(started[each["id"]] <= each["start"] for each in finals)


async def test_text_comes_while_a_person_speaks_and_is_not_changed_later(
    server: LiveServer,
) -> None:
    sound = pcm16(load_sample("01_order_call.wav"))
    first, step = RATE * 3 * 2, RATE // 5 * 2  # 3 s and 0.2 s
    said: list[Message] = []
    async with socket(server) as client:
        await client.send(sound[:first])
        while not of_type(said, "partial"):  # though nobody has stopped speaking
            said.append(json.loads(await client.recv()))
        assert not of_type(said, "speech_stopped")

        async def speak_on() -> None:
            for at in range(first, len(sound), step):
                await client.send(sound[at : at + step])
                await asyncio.sleep(0.05)  # four times as fast as it was spoken
            await client.send(END)

        speaking = asyncio.create_task(speak_on())
        async for message in client:
            said.append(json.loads(message))
        await speaking
    for final in of_type(said, "final"):
        lines = [each for each in of_type(said, "partial") if each["id"] == final["id"]]
        for line, later in zip(lines, [*lines[1:], {"stable": final["text"]}], strict=True):
            assert line["text"].startswith(line["stable"])
            assert later["stable"].startswith(line["stable"])


async def test_without_partials_there_are_only_certain_lines(server: LiveServer) -> None:
    said, _ = await talk(server, '{"partials": false}', pcm16(load_sample(CLIP)), END)
    assert all(message["text"] == message["stable"] for message in of_type(said, "partial"))
    assert said[-1]["text"] == rest_text(server)


async def test_a_commit_ends_a_line_where_the_client_wants(server: LiveServer) -> None:
    sound = pcm16(load_sample("01_order_call.wav"))
    middle = len(sound) // 4 * 2
    commit = json.dumps({"type": "commit"})
    whole, _ = await talk(server, sound, END)
    said, code = await talk(server, commit, sound[:middle], commit, sound[middle:], END)
    assert code == 1000
    (too_early,) = of_type(said, "error")
    assert too_early["error"]["code"] == "audio_too_short"
    assert len(of_type(said, "final")) > len(of_type(whole, "final"))


async def test_context_and_short_windows_keep_the_words(server: LiveServer) -> None:
    asked = {"language": "en", "chunk_duration": 5.0, "overlap": 0.5, "use_context": True}
    name = "02_two_voices.wav"
    said, code = await talk(server, json.dumps(asked), pcm16(load_sample(name)), END)
    assert code == 1000
    wanted = reference(name)
    errors = word_errors(wanted, said[-1]["text"])
    assert errors <= word_errors(wanted, rest_text(server, name)) + 1


async def test_silence_is_no_line(server: LiveServer) -> None:
    said, code = await talk(server, pcm16(silence(3.0)), END)
    assert code == 1000
    assert [message["type"] for message in said] == ["ready", "done"]
    assert (said[-1]["text"], said[-1]["duration"]) == ("", 3.0)


async def test_a_session_without_audio_ends_at_once(server: LiveServer) -> None:
    for first in ("{}", '{"format": "auto"}'):
        said, code = await talk(server, first, END, pcm16(load_sample(CLIP)))
        assert code == 1000
        assert [message["type"] for message in said] == ["ready", "done"]
        assert said[-1]["duration"] == 0.0


BAD = [
    ("{", None, 1007),
    ("[]", None, 1007),
    ('"end"', None, 1007),
    ("[" * 60_000, None, 1007),
    ("[" * 100_000, None, 1008),  # too large to be looked at
    ('{"langauge": "en"}', "langauge", 1008),
    ('{"language": "xx"}', "language", 1008),
    ('{"language": "es"}', "language", 1008),  # which the starter does not hear
    ('{"language": 5}', "language", 1008),
    ('{"model": "whisper-9"}', "model", 1008),
    ('{"format": "mp3"}', "format", 1008),
    ('{"sample_rate": 7999}', "sample_rate", 1008),
    ('{"sample_rate": 48001}', "sample_rate", 1008),
    ('{"sample_rate": "16000"}', "sample_rate", 1008),
    ('{"chunk_duration": 0.9}', "chunk_duration", 1008),
    ('{"chunk_duration": 31}', "chunk_duration", 1008),
    ('{"chunk_duration": NaN}', "chunk_duration", 1008),
    ('{"overlap": -1}', "overlap", 1008),
    ('{"overlap": 5}', None, 1008),
    ('{"use_context": "yes"}', "use_context", 1008),
    ('{"words": 1}', "words", 1008),
    ('{"type": "flush"}', "type", 1008),
]


@pytest.mark.parametrize(("message", "param", "close"), BAD)
async def test_what_is_wrong_is_named_before_the_end(
    server: LiveServer, message: str, param: str | None, close: int
) -> None:
    said, code = await talk(server, message)
    assert said[-1]["type"] == "error"
    assert set(said[-1]["error"]) == {"message", "type", "param", "code"}
    assert said[-1]["error"]["param"] == param
    assert code == close


async def test_a_second_configuration_is_refused(server: LiveServer) -> None:
    said, code = await talk(server, "{}", "{}")
    assert said[-1]["error"]["message"] == "The configuration must be the first message."
    assert code == 1008


async def test_what_is_no_container_is_refused(server: LiveServer) -> None:
    garbage = b"this is no container " * 2_000
    said, code = await talk(server, json.dumps({"format": "auto"}), garbage)
    assert said[-1]["error"]["message"].startswith("Invalid file format.")
    assert code == 1007


async def test_a_message_that_is_too_large_closes_the_socket(server: LiveServer) -> None:
    _, code = await talk(server, bytes(17 * 1024**2))
    assert code == 1009


async def test_a_client_that_leaves_abruptly_leaves_nothing_behind(server: LiveServer) -> None:
    webm = MEDIA["browser.webm"](load_sample(CLIP))
    far_ahead = (FOLDER / "08_long_call.flac").read_bytes() * 2
    await talk(server, END)
    tasks = server.metric("stt_event_loop_tasks")
    for first, sound in [
        ("{}", pcm16(load_sample(CLIP))),
        ('{"format": "auto"}', webm),
        ('{"format": "auto"}', far_ahead),
    ] * 3:
        async with socket(server) as client:
            await client.send(first)
            await client.send(sound[: len(sound) // 2])
            assert json.loads(await client.recv())["type"] == "ready"
            client.transport.abort()
    await asyncio.to_thread(
        wait_until,
        lambda: (
            server.metric("stt_live_sessions") == 0
            and server.metric("stt_event_loop_tasks") <= tasks
        ),
    )


async def test_the_end_of_the_server_loses_no_words() -> None:
    with LiveServer() as ending:
        async with socket(ending) as client:
            await client.send(pcm16(load_sample(CLIP)))
            while json.loads(await client.recv())["type"] != "speech_started":
                pass
            ending.terminate()
            said = [json.loads(message) async for message in _until_closed(client)]
        assert client.close_code == 1012
        assert said[-1]["type"] == "done"
        assert word_errors(reference(CLIP), said[-1]["text"]) == 0
        assert ending.stop() == 0


async def test_a_browser_gets_the_subprotocol_that_is_no_key(server: LiveServer) -> None:
    offered = ["verbatim", "openai-insecure-api-key.secret"]
    async with socket(server, subprotocols=offered) as client:
        assert client.subprotocol == "verbatim"


@pytest.fixture(scope="module")
def guarded() -> Iterator[LiveServer]:
    with LiveServer(
        VERBATIM_ACCESS__KEYS=keys(
            clerk={"key": SALES_KEY, "models": ["another"]},
            intern={"key": "an intern's key", "audio_seconds_per_minute": 1},
        ),
        api_key=ADMIN_KEY,  # which may read the metrics
    ) as live:
        yield live


async def test_a_server_with_keys_wants_one(guarded: LiveServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await socket(guarded)
    assert refused.value.response.status_code == 401
    assert b"You didn't provide an API key" in (refused.value.response.body or b"")


async def test_a_key_may_be_a_subprotocol_and_is_limited_to_its_models(guarded: LiveServer) -> None:
    offered = ["verbatim", f"openai-insecure-api-key.{SALES_KEY}"]
    async with socket(guarded, subprotocols=offered) as client:
        await client.send("{}")
        refusal = json.loads(await client.recv())
        await client.wait_closed()
    assert refusal["error"]["message"] == "`clerk` does not have access to model `starter`."
    assert client.close_code == 1008


async def test_beyond_the_callers_audio_limit_each_turn_is_an_error(guarded: LiveServer) -> None:
    said, code = await talk(guarded, pcm16(load_sample(CLIP)), END, key="an intern's key")
    (final,), (refused,) = of_type(said, "final"), of_type(said, "error")
    assert refused["id"] == of_type(said, "speech_started")[1]["id"]
    assert refused["error"]["code"] == "rate_limit_exceeded"
    assert (code, said[-1]["type"], said[-1]["text"]) == (1000, "done", final["text"])
    counted = guarded.metric('stt_usage_audio_seconds_total{key="intern",model="starter"}')
    assert final["end"] - final["start"] < counted < 3.0
