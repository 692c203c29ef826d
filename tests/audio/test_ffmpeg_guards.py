import io

import numpy as np
import pytest

from app.audio.ffmpeg_guards import MAX_FRAGMENT_SAMPLES, check_fragments
from app.errors import UndecodableAudio
from tests.hostile.mp4 import box, fragments, full, numbers
from tests.support.recordings import MEDIA, load_sample

HALF = MAX_FRAGMENT_SAMPLES // 2


def is_allowed(content: bytes) -> bool:
    file = io.BytesIO(content)
    try:
        check_fragments(file)
    except UndecodableAudio:
        return False
    assert file.tell() == 0, "the decoder starts at the start"
    return True


def test_the_samples_of_all_fragments_and_tracks_count_together() -> None:
    assert is_allowed(fragments(1, 2, HALF))
    assert is_allowed(fragments(2, 1, HALF))
    assert not is_allowed(fragments(1, 2, HALF + 1))
    assert not is_allowed(fragments(3, 1, HALF))


@pytest.mark.parametrize("before", range(1024**2 - 40, 1024**2 + 8, 3))
def test_a_box_is_found_wherever_the_reading_cuts_it(before: int) -> None:
    """Files are read a mebibyte at a time."""
    run = full(b"trun", numbers(MAX_FRAGMENT_SAMPLES + 1))
    assert not is_allowed(box(b"moof", bytes(before), run))
    assert is_allowed(box(b"moof", bytes(before), full(b"trun", numbers(HALF)), bytes(100)))


def test_sound_that_happens_to_hold_the_letters_is_no_box() -> None:
    letters = np.random.default_rng(0).bytes(100_000).replace(b"a", b"trun" + b"\xff" * 8)
    assert is_allowed(box(b"ftyp", b"M4A ") + box(b"mdat", letters))
    assert is_allowed(b"RIFF\xff\xff\xff\xffWAVE" + letters)


@pytest.mark.parametrize("size", [0, 1])
def test_a_box_may_reach_to_the_end_or_have_a_long_size(size: int) -> None:
    run = full(b"trun", numbers(MAX_FRAGMENT_SAMPLES + 1))
    long = (16 + len(run)).to_bytes(8, "big") if size else b""
    assert not is_allowed(box(b"ftyp", b"M4A ") + numbers(size) + b"moof" + long + run)


def test_real_files_are_allowed() -> None:
    clip = load_sample("12_short_clip.wav")
    assert all(is_allowed(make(clip)) for make in MEDIA.values())
