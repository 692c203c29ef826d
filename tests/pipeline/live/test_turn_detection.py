from dataclasses import astuple, replace

from app.audio.voice_activity import FRAME_SAMPLES
from app.domain import SAMPLE_RATE
from app.pipeline.live.events import TurnDetection
from app.pipeline.live.turn_detection import Began, Boundary, Ended, Silent, TurnDetector

FRAME = FRAME_SAMPLES / SAMPLE_RATE
QUICK = TurnDetection(prefix_padding_seconds=2 * FRAME, silence_seconds=5 * FRAME)


Found = tuple[int, type[Boundary], tuple[int, ...]]


def boundaries(
    pattern: str, detection: TurnDetection = QUICK, *, sentence_at: int | None = 0
) -> list[Found]:
    """`#` is a frame of speech; each boundary with how many frames had come, and its times, in
    frames.

    `sentence_at`: from that frame on, the text ends like a sentence.
    """
    detector = TurnDetector(detection)
    found = []
    for count, mark in enumerate(pattern, 1):
        is_sentence = sentence_at is not None and count >= sentence_at
        boundary = detector.push(mark == "#", is_sentence)
        if boundary is not None:
            found.append((count, type(boundary), frames(boundary)))
    return found


def frames(boundary: Boundary) -> tuple[int, ...]:
    return tuple(round(seconds / FRAME) for seconds in astuple(boundary))


def test_a_turn_lasts_from_the_padding_before_it_to_the_end_of_the_silence_after_it() -> None:
    assert boundaries("." * 10 + "#" * 20 + "." * 30) == [
        (13, Began, (8,)),
        (35, Ended, (35,)),
    ]


def test_a_click_is_no_turn() -> None:
    assert boundaries(".." + "##" + "." * 20 + "#" + "." * 20) == []


def test_a_word_in_pieces_is_a_turn_if_the_silences_in_it_are_short() -> None:
    assert boundaries("...." + "#.#..#" + "." * 9) == [
        (10, Began, (2,)),
        (15, Ended, (15,)),
    ]


def test_a_turn_goes_on_over_a_silence_that_is_too_short() -> None:
    assert len(boundaries("####...." * 5 + ".....")) == 2


def test_the_padding_does_not_reach_into_the_turn_before() -> None:
    found = boundaries("####.....####.....")
    assert [times for _, _, times in found] == [(0,), (9,), (9,), (18,)]


def test_the_client_may_end_a_turn_during_speech() -> None:
    detector = TurnDetector(QUICK)
    assert [detector.push(True) for _ in range(10)].index(Began(0.0)) == 2
    detector.end()
    assert not detector.is_turn
    *nothing, began = [detector.push(True) for _ in range(3)]
    assert nothing == [None, None]
    assert began is not None
    assert frames(began) == (10,)


def test_the_first_frame_may_come_in_the_middle_of_a_session() -> None:
    detector = TurnDetector(QUICK, first_frame=1000)
    began = [detector.push(True) for _ in range(3)][-1]
    assert began is not None
    assert frames(began) == (1000,)


def test_an_unfinished_sentence_may_pause_for_longer() -> None:
    patient = replace(QUICK, patience_seconds=20 * FRAME)
    pattern = "#" * 10 + "." * 40
    assert boundaries(pattern, patient, sentence_at=0)[-1] == (15, Ended, (15,))
    assert boundaries(pattern, patient, sentence_at=22)[-1] == (22, Ended, (22,))
    assert boundaries(pattern, patient, sentence_at=None)[-1] == (30, Ended, (30,))


def test_silence_for_the_idle_timeout_is_reported_again_and_again() -> None:
    idle = replace(QUICK, idle_timeout_seconds=20 * FRAME)
    assert boundaries("." * 45, idle) == [
        (20, Silent, (0, 20)),
        (40, Silent, (20, 40)),
    ]


def test_the_idle_timeout_counts_from_the_end_of_a_turn_and_never_runs_in_one() -> None:
    idle = replace(QUICK, idle_timeout_seconds=20 * FRAME)
    assert boundaries("." * 10 + "#" * 50 + "." * 26, idle)[1:] == [
        (65, Ended, (65,)),
        (85, Silent, (65, 85)),
    ]


def test_a_silence_shorter_than_a_frame_is_one_frame() -> None:
    hasty = replace(QUICK, silence_seconds=0.0)
    assert boundaries("####.", hasty)[-1] == (5, Ended, (5,))
