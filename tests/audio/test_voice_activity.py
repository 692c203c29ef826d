import time

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from app.audio.voice_activity import (
    CLEAR_SPEECH,
    FRAME_SAMPLES,
    SPEECH_BEGINS,
    WARM_UP_FRAMES,
    VoiceActivity,
)
from app.domain import SAMPLE_RATE
from tests.support.recordings import SPEECH, decode, load_sample, noise, silence


@pytest.mark.parametrize("block_samples", [100, 512, 4_000, 100_000])
def test_blocks_of_any_size_give_what_the_whole_recording_gives(block_samples: int) -> None:
    samples = load_sample("02_two_voices.wav")[:80_000]
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
    whole = get_vad_model()(padded).reshape(-1)

    detector = VoiceActivity()
    parts = [
        detector.push(samples[at : at + block_samples])
        for at in range(0, len(samples), block_samples)
    ]
    parts.append(detector.flush())

    np.testing.assert_allclose(
        np.concatenate([part.probabilities for part in parts]), whole, atol=1e-5
    )
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), padded)


def test_speech_is_detected_and_silence_and_noise_are_not() -> None:
    def share(samples: np.ndarray) -> float:
        return float(np.mean(VoiceActivity(CLEAR_SPEECH).push(samples).speech))

    assert share(load_sample("12_short_clip.wav")) > 0.5
    assert share(silence(5.0)) == 0.0
    assert share(noise(5.0, 0.05)) < 0.05


def test_a_voice_by_telephone_that_silero_alone_does_not_hear_is_heard() -> None:
    whole = decode(SPEECH / "digits.wav") * np.float32(0.5)
    whole = whole[: len(whole) // FRAME_SAMPLES * FRAME_SAMPLES]
    spectrum = np.fft.rfft(whole)
    hertz = np.fft.rfftfreq(len(whole), 1 / SAMPLE_RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(whole)).astype(np.float32)
    clear = VoiceActivity().push(whole).probabilities >= CLEAR_SPEECH
    assert np.mean(get_vad_model()(narrow)[clear] >= SPEECH_BEGINS) < 0.5
    assert np.mean(VoiceActivity().push(narrow).probabilities[clear] >= SPEECH_BEGINS) > 0.9


def test_no_samples_have_no_activity() -> None:
    detector = VoiceActivity()
    assert len(detector.push(np.zeros(0, np.float32)).speech) == 0
    assert len(detector.flush().speech) == 0


def test_a_higher_threshold_detects_less_speech_in_noise() -> None:
    speech = load_sample("12_short_clip.wav") * 0.05
    noisy = speech + noise(len(speech) / 16_000, 0.01)
    shares = [
        float(np.mean(VoiceActivity(begins).push(noisy).speech))
        for begins in (0.0, 0.1, 0.5, 0.9, 1.0)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0
    assert shares[1] > shares[2] + 0.05 > shares[3] + 0.1
    assert shares[-1] == 0.0


def test_at_threshold_zero_even_silence_is_speech() -> None:
    assert VoiceActivity(0.0).push(silence(3.0)).speech.all()


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-2])
def test_minutes_without_speech_do_not_delay_detection(level: float) -> None:
    """Silero itself detects words later, the longer the silence before them."""
    speech = load_sample("12_short_clip.wav")

    def first_frame(seconds: float) -> int:
        sound = noise(seconds + len(speech) / SAMPLE_RATE, level)
        sound[-len(speech) :] += speech
        detector = VoiceActivity(CLEAR_SPEECH)
        blocks = [detector.push(block) for block in np.array_split(sound, round(seconds))]
        detected = np.concatenate([block.speech for block in blocks])
        return int(np.argmax(detected)) - round(seconds * SAMPLE_RATE / FRAME_SAMPLES)

    assert first_frame(300.0) == pytest.approx(first_frame(2.0), abs=1)


def test_music_does_not_begin_to_be_speech_when_the_state_is_renewed() -> None:
    """An empty state gives the first frames of a chord a probability above 0.5."""
    time = np.arange(40 * SAMPLE_RATE) / SAMPLE_RATE
    beat = np.sin(np.pi * time * 2) ** 8
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330, 440))
    music = (0.1 * chord * beat).astype(np.float32) + noise(40.0, 1e-4)
    detector = VoiceActivity()
    blocks = [detector.push(block).probabilities for block in np.array_split(music, 20)]
    fresh = VoiceActivity().push(music[8 * SAMPLE_RATE : 9 * SAMPLE_RATE]).probabilities
    later = np.concatenate(blocks)[WARM_UP_FRAMES:]
    assert later.max() < 0.5 * fresh.max()


def test_an_hour_of_constant_samples_costs_a_second() -> None:
    block = silence(64 * FRAME_SAMPLES / SAMPLE_RATE)
    detector = VoiceActivity()
    started = time.process_time()
    for _ in range(1800):
        assert not detector.push(block).speech.any()
    assert time.process_time() - started < 1.0
