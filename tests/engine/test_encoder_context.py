import pytest

from app.engine.encoder_context import (
    CPU_STEP_FRAMES,
    FRAMES_PER_POSITION,
    FULL_FRAMES,
    GPU_STEP_FRAMES,
    STEP_POSITIONS,
    context_frames,
    decoded_positions,
)


@pytest.mark.parametrize(
    ("seconds", "margin", "step", "frames"),
    [
        (0.0, 4.0, 256, 512),
        (5.0, 4.0, 256, 1024),
        (6.24, 4.0, 256, 1024),
        (6.25, 4.0, 256, 1280),
        (5.0, 8.0, 256, 1536),
        (24.0, 4.0, 256, 2816),
        (25.7, 4.0, 256, FULL_FRAMES),
        (0.5, 30.0, 256, FULL_FRAMES),
        (30.0, 0.0, 256, FULL_FRAMES),
        (5.0, 6.0, 32, 1120),
        (5.12, 6.0, 32, 1120),
        (5.3, 6.0, 32, 1152),
    ],
)
def test_a_window_has_its_margin_of_silence_in_whole_steps(
    seconds: float, margin: float, step: int, frames: int
) -> None:
    assert context_frames(seconds, margin, step) == frames


@pytest.mark.parametrize(
    ("seconds", "positions"), [(0.1, 256), (2.12, 256), (2.13, 384), (11.0, 768), (24.0, 1408)]
)
def test_the_decoder_has_half_of_the_margin(seconds: float, positions: int) -> None:
    assert decoded_positions(seconds, 6.0) == positions


@pytest.mark.parametrize("step", [CPU_STEP_FRAMES, GPU_STEP_FRAMES])
@pytest.mark.parametrize("margin", [0.0, 1.0, 6.0, 8.0])
def test_the_encoder_gives_what_the_decoder_needs(step: int, margin: float) -> None:
    for tenths in range(301):
        frames = context_frames(tenths / 10, margin, step)
        needed = decoded_positions(tenths / 10, margin)
        assert frames == FULL_FRAMES or frames >= FRAMES_PER_POSITION * needed


def test_windows_have_few_lengths_to_decode_and_on_a_gpu_to_encode() -> None:
    tenths = range(301)
    decoded = {decoded_positions(each / 10, 6.0) for each in tenths}
    assert len(decoded) == 12
    assert all(length % STEP_POSITIONS == 0 for length in decoded)
    assert len({context_frames(each / 10, 4.0, GPU_STEP_FRAMES) for each in tenths}) == 11
