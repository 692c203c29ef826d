import asyncio

import numpy as np
import pytest

from tests.pipeline.live.sessions import (
    BY_HAND,
    CLIP,
    ENGLISH,
    completed,
    events_of,
    finished,
    live,
    metronome,
    window_decoder,
)
from tests.support.recordings import silence


async def test_no_audio_is_lost_when_a_commit_is_cancelled() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, BY_HAND) as session:
        session.append(CLIP)
        committing = asyncio.create_task(session.commit())
        await asyncio.sleep(0)
        committing.cancel()
        await asyncio.wait([committing])
        (item,) = completed(await finished(session))
    assert item.transcript.duration == pytest.approx(len(CLIP) / 16_000)
    assert len(item.transcript.segments) == 2


async def test_sound_in_one_piece_is_cut_into_the_same_turns_as_in_many() -> None:
    sound = np.concatenate([CLIP, silence(1.0), CLIP])
    async with window_decoder(metronome()) as decoder:
        async with live(decoder, ENGLISH) as session:
            session.append(sound)
            at_once = await finished(session)
        in_pieces = await events_of(decoder, sound, ENGLISH)
    assert [each.transcript.segments for each in completed(at_once)] == [
        each.transcript.segments for each in completed(in_pieces)
    ]
