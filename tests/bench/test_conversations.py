"""Conversations that the bench of speakers puts together."""

import io
import itertools

import numpy as np

from app.audio.decoder_process import decode_channels
from app.domain import SAMPLE_RATE
from bench.calls import SAMPLES
from bench.diarization.conversations import Turn, dialogue
from bench.diarization.voices import Voice, cut
from bench.recordings import samples_of, wav

NAMES = ("01_order_call.wav", "12_short_clip.wav", "09_german.wav")
GROUP = [Voice(name, tuple(cut(samples_of(SAMPLES / name))), held_out=True) for name in NAMES]


def side_of(turn: Turn) -> int:
    return NAMES.index(turn.speaker) // 2


def test_each_voice_is_on_its_side_and_begins_early_only_where_the_other_side_speaks() -> None:
    made = [dialogue("call", GROUP, seed, overlapping=1.0, sides=(0, 0, 1)) for seed in range(4)]
    overlaps = 0
    for one in made:
        assert one.has_sides
        assert set(one.speakers) <= set(NAMES)
        loud = np.zeros(one.samples.shape, np.bool_)
        for turn in one.turns:
            first, last = round(turn.start * SAMPLE_RATE), round(turn.end * SAMPLE_RATE)
            loud[side_of(turn), first:last] = True
        power = np.square(one.samples)
        assert all(power[side][loud[side]].mean() > 1e-3 for side in (0, 1))
        assert all(power[side][~loud[side]].mean() < 1e-4 for side in (0, 1))
        for turn, following in itertools.pairwise(one.turns):
            if following.start < turn.end:
                overlaps += 1
                assert side_of(turn) != side_of(following)
    assert overlaps


def test_a_recording_of_two_sides_is_a_stereo_wav() -> None:
    sides = np.stack([np.full(8000, 0.5), np.full(8000, -0.25)]).astype(np.float32)
    found = np.concatenate(list(decode_channels(io.BytesIO(wav(sides)), split=True)), axis=1)
    assert found.shape == sides.shape
    assert np.abs(found - sides).max() < 1e-3
