import pytest

from app.domain import Segment, Transcript
from app.pipeline.live.events import Completed, Partial
from bench.captions import Captions, SpokenWord


def test_a_word_is_timed_at_its_first_text_and_at_its_final_text() -> None:
    captions = Captions()
    captions.receive(Partial("a", "", "One too"), 1.0)
    captions.receive(Partial("a", "One", " two"), 2.0)
    captions.receive(Partial("a", " two.", ""), 3.0)
    captions.receive(Completed("a", _transcript("One two.")), 3.1)
    said = [SpokenWord("one", 0.5), SpokenWord("two", 0.9)]
    shown, stable = captions.delays(said)
    assert shown == pytest.approx([0.5, 1.1])
    assert stable == pytest.approx([1.5, 2.1])


def test_words_that_were_transcribed_wrong_have_no_delay() -> None:
    captions = Captions()
    captions.receive(Partial("a", "One tree"), 1.0)
    captions.receive(Partial("b", "four"), 2.0)
    said = [SpokenWord("one", 0.0), SpokenWord("three", 0.0), SpokenWord("four", 0.0)]
    assert captions.delays(said) == ([1.0, 2.0], [1.0, 2.0])
    assert captions.text == "One tree four"


def test_final_text_that_changes_is_an_error() -> None:
    captions = Captions()
    captions.receive(Partial("a", "One two"), 1.0)
    with pytest.raises(AssertionError, match="has changed"):
        captions.receive(Completed("a", _transcript("One")), 2.0)


def _transcript(text: str) -> Transcript:
    return Transcript("transcribe", "en", 1.0, (Segment(0.0, 1.0, f" {text}", ()),))
