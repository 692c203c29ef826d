import numpy as np
import pytest

from app.audio.loudness import SMOOTHED_FRAMES, SPEECH_FRAMES, Loudness
from app.audio.voice_activity import FRAME_SAMPLES, Activity


def activity(*parts: tuple[int, float, bool]) -> Activity:
    """Frames of a level, detected as speech or not."""
    levels = np.concatenate([np.full(count, level, np.float32) for count, level, _ in parts])
    speech = np.concatenate([np.full(count, is_speech) for count, _, is_speech in parts])
    samples = np.repeat(levels, FRAME_SAMPLES)
    return Activity(samples, speech.astype(np.float32), speech)


SPEECH = (SPEECH_FRAMES, 0.5, True)


def test_sound_down_to_10_db_below_the_speech_is_loud_from_half_a_second_on() -> None:
    loud = Loudness().push(activity(SPEECH, (100, 0.17, False)))
    assert not loud[: SPEECH_FRAMES + SMOOTHED_FRAMES - 1].any()
    assert loud[SPEECH_FRAMES + SMOOTHED_FRAMES - 1 :].all()


def test_quiet_sound_short_pauses_and_sound_before_speech_are_not_loud() -> None:
    assert not Loudness().push(activity(SPEECH, (100, 0.15, False))).any()
    pauses = [(10, 0.5, False), (30, 0.5, True)] * 5
    assert not Loudness().push(activity(SPEECH, *pauses)).any()
    assert not Loudness().push(activity((100, 0.5, False), (10, 0.1, True))).any()


def test_the_speech_is_that_of_the_last_seconds() -> None:
    louder = Loudness().push(activity(SPEECH, (64, 0.9, True), (40, 0.17, False)))
    assert not louder.any()


@pytest.mark.parametrize("frames_at_once", [1, 7, 50])
def test_blocks_of_any_size_give_much_the_same(frames_at_once: int) -> None:
    whole = activity(SPEECH, (60, 0.4, False), (30, 0.5, True), (60, 0.05, False))
    detector = Loudness()
    parts = []
    for at in range(0, len(whole.speech), frames_at_once):
        frames = slice(at, at + frames_at_once)
        samples = whole.samples[at * FRAME_SAMPLES : (at + frames_at_once) * FRAME_SAMPLES]
        parts.append(
            detector.push(Activity(samples, whole.probabilities[frames], whole.speech[frames]))
        )
    np.testing.assert_array_equal(np.concatenate(parts), Loudness().push(whole))
