import asyncio
import io
import threading

import numpy as np
import pytest

from app.audio.container_stream import StreamedAudio
from app.audio.decoder_process import decode
from app.audio.decoding import STREAM_BLOCK_SAMPLES
from app.domain import SAMPLE_RATE, Samples
from app.errors import Overloaded, UndecodableAudio
from tests.support.client import uneven_chunks
from tests.support.recordings import BROKEN, FOLDER, MEDIA, load_sample, mp3

STREAMED = ["browser.webm", "opus.ogg", "streamed.mp3", "pcm16.wav", "endless.wav", "lossless.flac"]


@pytest.fixture(scope="module")
def clip() -> Samples:
    return load_sample("12_short_clip.wav")


async def decoded(parts: list[bytes]) -> list[Samples]:
    blocks: list[Samples] = []
    stream = StreamedAudio()

    async def consume(samples: Samples) -> None:
        blocks.append(samples)

    async with asyncio.TaskGroup() as group:
        group.create_task(stream.decode(consume))
        for part in parts:
            await stream.push(part)
        stream.end()
    return blocks


@pytest.mark.parametrize("name", STREAMED)
async def test_pieces_of_any_size_give_the_samples_of_the_whole(name: str, clip: Samples) -> None:
    content = MEDIA[name](clip)
    whole = np.concatenate(list(decode(io.BytesIO(content))))
    blocks = await decoded(uneven_chunks(content, largest=1_000))
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert {len(block) for block in blocks[:-1]} == {STREAM_BLOCK_SAMPLES}
    np.testing.assert_array_equal(np.concatenate(await decoded([content])), whole)


async def test_a_recording_of_the_samples_is_decoded_to_its_end() -> None:
    content = (FOLDER / "11_sales_call.mp3").read_bytes()
    whole = np.concatenate(list(decode(io.BytesIO(content))))
    streamed = np.concatenate(await decoded(uneven_chunks(content, largest=20_000)))
    # Only who can look at the end of an mp3 first knows how much of it is padding.
    np.testing.assert_array_equal(streamed[: len(whole)], whole)
    assert 0 <= len(streamed) - len(whole) < 0.1 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("name", "seconds"), [("browser.webm", 1.0), ("streamed.mp3", 0.8), ("opus.ogg", 1.3)]
)
async def test_sound_is_decoded_before_the_rest_arrives(
    name: str, seconds: float, clip: Samples
) -> None:
    content = MEDIA[name](clip)
    first_bytes = content[: round(len(content) * seconds / (len(clip) / SAMPLE_RATE))]
    await check_that_sound_is_decoded(first_bytes)


async def check_that_sound_is_decoded(first_bytes: bytes) -> None:
    """At least a first block comes of them, though the stream has no end yet."""
    first = asyncio.Event()

    async def consume(_: Samples) -> None:
        first.set()

    stream = StreamedAudio()
    decoding = asyncio.create_task(stream.decode(consume))
    await stream.push(first_bytes)
    await asyncio.wait_for(first.wait(), 30)
    stream.end()
    await decoding


async def test_a_wav_is_decoded_after_its_first_64_kilobytes(clip: Samples) -> None:
    await check_that_sound_is_decoded(MEDIA["pcm16.wav"](clip)[:72_000])


async def no_sound(_: Samples) -> None:
    pytest.fail("that is no sound")


@pytest.mark.parametrize("name", ["text.wav", "random.mp3", "picture.png", "silent_film.mp4"])
async def test_what_is_no_audio_is_refused_before_its_end(name: str, clip: Samples) -> None:
    content = BROKEN[name](clip)
    stream = StreamedAudio()
    decoding = asyncio.create_task(stream.decode(no_sound))
    await stream.push(content * (1 + 32_000 // len(content)))  # and no end
    with pytest.raises(UndecodableAudio) as caught:
        await asyncio.wait_for(decoding, 30)
    assert caught.value.param is None
    await stream.push(content)  # nobody is there, and nobody waits


async def test_a_stream_that_ends_in_its_header_is_refused(clip: Samples) -> None:
    for content in (MEDIA["browser.webm"](clip)[:200], MEDIA["fragmented.mp4"](clip)):
        with pytest.raises(ExceptionGroup) as caught:
            await decoded([content])
        assert caught.group_contains(UndecodableAudio)


async def test_an_empty_stream_is_no_error() -> None:
    assert await decoded([]) == []


async def test_the_decoder_waits_for_its_consumer(clip: Samples) -> None:
    seconds = 0.0

    async def consume(samples: Samples) -> None:
        nonlocal seconds
        seconds += len(samples) / SAMPLE_RATE
        await asyncio.Event().wait()

    stream = StreamedAudio()
    decoding = asyncio.create_task(stream.decode(consume))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.push(mp3(clip) * 20), 0.3)
    assert seconds <= 0.1
    decoding.cancel()
    await asyncio.wait([decoding])


async def test_push_waits_for_the_decoder() -> None:
    stream = StreamedAudio()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.push(bytes(1024**2)), 0.1)
    stream.end()
    with pytest.raises(UndecodableAudio):
        await stream.decode(no_sound)


@pytest.mark.parametrize("size", [20_000, 100])
async def test_cancelling_a_stream_ends_its_thread(size: int, clip: Samples) -> None:
    """While the thread waits for bytes, and while a block waits to be consumed."""
    ended = threading.Event()

    class Watched(StreamedAudio):
        def _decode(self) -> None:
            try:
                super()._decode()
            finally:
                ended.set()

    waiting = asyncio.Event()

    async def consume(_: Samples) -> None:
        waiting.set()
        await asyncio.Event().wait()

    stream = Watched()
    decoding = asyncio.create_task(stream.decode(consume))
    await stream.push(mp3(clip)[:size])
    if size > 1_000:
        await waiting.wait()
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    assert ended.is_set()


async def test_an_error_of_the_consumer_ends_the_stream(clip: Samples) -> None:
    async def full(_: Samples) -> None:
        raise Overloaded("that is too much")

    stream = StreamedAudio()
    decoding = asyncio.create_task(stream.decode(full))
    await stream.push(mp3(clip))
    with pytest.raises(Overloaded, match="that is too much"):
        await decoding
