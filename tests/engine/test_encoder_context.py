import pytest

from app.engine.encoder_context import FULL_FRAMES, STEP_FRAMES, context_frames


@pytest.mark.parametrize(
    ("seconds", "margin", "frames"),
    [
        (0.0, 4.0, 512),
        (5.0, 4.0, 1024),
        (6.24, 4.0, 1024),
        (6.25, 4.0, 1280),
        (5.0, 8.0, 1536),
        (24.0, 4.0, 2816),
        (25.7, 4.0, FULL_FRAMES),
        (0.5, 30.0, FULL_FRAMES),
        (30.0, 0.0, FULL_FRAMES),
    ],
)
def test_a_window_has_its_margin_of_silence_in_whole_steps(
    seconds: float, margin: float, frames: int
) -> None:
    assert context_frames(seconds, margin) == frames


def test_windows_have_few_lengths() -> None:
    lengths = {context_frames(seconds / 10, 4.0) for seconds in range(301)}
    assert len(lengths) == 11
    assert all(length % STEP_FRAMES == 0 for length in lengths - {FULL_FRAMES})
