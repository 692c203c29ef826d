import numpy as np
import pytest

from app.domain import Hypothesis
from app.engine.batcher import Batcher
from app.engine.model import DecodeOptions, Job
from app.pipeline import fallback
from tests.fakes import FakeModel, hypothesis

OPTIONS = DecodeOptions("transcribe", "en")


async def decode(
    model: FakeModel,
    options: DecodeOptions = OPTIONS,
    temperatures: tuple[float, ...] = fallback.TEMPERATURES,
) -> Hypothesis:
    async with Batcher(model) as batcher:
        job = Job("r", 1.0, np.array([0.5], np.float32))
        return await fallback.decode(batcher, job, options, temperatures)


async def test_a_good_hypothesis_is_taken_as_it_is() -> None:
    model = FakeModel()
    assert (await decode(model)).text == "0.50"
    assert len(model.decoded) == 1


async def test_doubtful_ones_are_decoded_again_at_rising_temperatures_without_encoding() -> None:
    model = FakeModel(
        answers={
            0.0: hypothesis(" la la la la", compression_ratio=3.0),
            0.2: hypothesis(" mumble", avg_logprob=-1.5),
            0.4: hypothesis(" good", avg_logprob=-0.9),
        }
    )
    assert (await decode(model)).text == "good"
    assert [each.temperature for each in model.decode_options] == [0.0, 0.2, 0.4]
    assert len(model.encoded) == 1


async def test_when_all_fail_the_likeliest_that_does_not_repeat_itself_wins() -> None:
    answers = {
        temperature: hypothesis(f" {temperature}", avg_logprob=-1.5 - temperature)
        for temperature in fallback.TEMPERATURES
    }
    answers[0.0] = hypothesis(" loop loop", avg_logprob=-1.1, compression_ratio=5.0)
    assert (await decode(FakeModel(answers=answers))).text == "0.2"


async def test_a_temperature_that_was_asked_for_is_the_only_one_tried() -> None:
    model = FakeModel(answers={0.7: hypothesis(" odd", avg_logprob=-3.0)})
    assert (await decode(model, temperatures=(0.7,))).text == "odd"
    assert len(model.decoded) == 1


async def test_silence_has_no_text_and_needs_no_second_look() -> None:
    model = FakeModel(
        answers={0.0: hypothesis(" Thank you.", avg_logprob=-1.5, no_speech_prob=0.9)}
    )
    assert (await decode(model)).segments == ()
    assert len(model.decoded) == 1


async def test_a_window_that_fills_its_budget_is_decoded_at_full_length() -> None:
    short = hypothesis(" cut", is_cut_off=True, is_full_length=False)
    model = FakeModel(answers={0.0: short})
    await decode(model)
    assert [each.full_length for each in model.decode_options] == [False, True]


async def test_a_window_that_had_full_length_is_not_decoded_again() -> None:
    model = FakeModel(answers={0.0: hypothesis(" cut", is_cut_off=True)})
    await decode(model)
    assert len(model.decoded) == 1


class Prompted(FakeModel):
    """Hears `with_prompt` when there is a prompt and `without` when there is none."""

    with_prompt: str
    without: str

    def decode(self, jobs, options):  # type: ignore[no-untyped-def]
        self.decode_options += options
        return [hypothesis(self.with_prompt if each.prompt else self.without) for each in options]


@pytest.mark.parametrize(
    ("prompted", "unprompted", "expected"),
    [
        (" Acme, Verbatim and Northwind.", " Good morning.", "Good morning."),
        (" It is by Acme, Verbatim and Northwind.", " It is by Acme verbatim and Northwind.", None),
        (" Good morning, Acme.", " Good morning, Ack me.", None),
    ],
    ids=["an echo is removed", "what is really said stays", "a name it helped with stays"],
)
async def test_the_prompt_is_context_and_not_text(
    prompted: str, unprompted: str, expected: str | None
) -> None:
    model = Prompted()
    model.with_prompt, model.without = prompted, unprompted
    heard = await decode(model, DecodeOptions("transcribe", "en", "Acme, Verbatim and Northwind."))
    assert heard.text == (expected or prompted.strip())


def test_an_echo_is_the_whole_prompt_or_four_words_in_a_row() -> None:
    assert fallback.echo_of("Verbatim", "So, verbatim!")
    assert fallback.echo_of("one two three four five", "zero two three four five")
    assert not fallback.echo_of("one two three four five", "one two three six")
    assert not fallback.echo_of("...", "anything")
