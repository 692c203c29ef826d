from dataclasses import replace

import numpy as np
import pytest

from app.domain import Hypothesis
from app.engine.batcher import Batcher
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Job
from app.pipeline import fallback

OPTIONS = DecodeOptions("transcribe", "en")


def long_text(avg_logprob: float) -> Hypothesis:
    found = hypothesis(" twelve tokens of text", avg_logprob=avg_logprob)
    return replace(found, segments=(replace(found.segments[0], text_token_count=12),))


async def decode(
    model: FakeModel,
    options: DecodeOptions = OPTIONS,
    temperatures: tuple[float, ...] = fallback.TEMPERATURES,
) -> Hypothesis:
    async with Batcher(model) as batcher:
        job = Job("r", 1.0, np.array([0.5], np.float32))
        return await fallback.decode(batcher, job, options, temperatures)


async def test_a_good_hypothesis_is_decoded_once() -> None:
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


async def test_a_requested_temperature_is_the_only_one_tried() -> None:
    model = FakeModel(answers={0.7: hypothesis(" odd", avg_logprob=-3.0)})
    assert (await decode(model, temperatures=(0.7,))).text == "odd"
    assert len(model.decoded) == 1


async def test_silence_has_no_text_and_is_not_decoded_again() -> None:
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
    model = FakeModel(
        answers=lambda _, options: hypothesis(prompted if options.prompt else unprompted)
    )
    decoded = await decode(
        model, DecodeOptions("transcribe", "en", "Acme, Verbatim and Northwind.")
    )
    assert decoded.text == (expected or prompted.strip())


@pytest.mark.parametrize(
    ("prompted", "unprompted", "expected"),
    [
        (hypothesis(" ComfyUI."), hypothesis(" ComfUi."), "ComfyUI."),
        (hypothesis(" ComfyUI."), hypothesis(" Good morning to you."), "Good morning to you."),
        (
            hypothesis(" ComfyUI."),
            hypothesis(" Comfy.", no_speech_prob=0.9, avg_logprob=-1.5),
            "",
        ),
    ],
    ids=["really said", "something else was said", "nothing was said"],
)
async def test_a_short_prompt_that_is_the_whole_text_is_decoded_again_without_it(
    prompted: Hypothesis, unprompted: Hypothesis, expected: str
) -> None:
    model = FakeModel(answers=lambda _, options: prompted if options.prompt else unprompted)
    decoded = await decode(model, DecodeOptions("transcribe", "en", "ComfyUI"))
    assert decoded.text == expected


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [
        (hypothesis(" a word", avg_logprob=-0.6), True),
        (hypothesis(" Thank you.", avg_logprob=-0.8), False),
        (hypothesis(" I'm sorry, I'm sorry", avg_logprob=-0.1, compression_ratio=3.0), False),
        (hypothesis(" . . . .", avg_logprob=-0.6, no_speech_prob=0.8), False),
        (long_text(-0.85), True),
        (long_text(-0.95), False),
    ],
)
async def test_a_window_without_clear_speech_is_decoded_once_and_kept_if_sure(
    answer: Hypothesis, is_kept: bool
) -> None:
    model = FakeModel(answers={0.0: answer})
    async with Batcher(model) as batcher:
        job = Job("r", 1.0, np.array([0.5], np.float32))
        decoded = await fallback.decode(
            batcher, job, OPTIONS, fallback.TEMPERATURES, is_clear=False
        )
    assert bool(decoded.segments) is is_kept
    assert len(model.decoded) == 1


NAMES = ("Acme", "Northwind Traders", "Verbatim", "Zoë Müller")
LISTED = DecodeOptions("transcribe", "en", keywords=NAMES)


def biased(texts: dict[tuple[str, tuple[str, ...]], str]) -> FakeModel:
    """A model whose text depends on prompt and keywords."""
    return FakeModel(answers=lambda _, options: hypothesis(texts[options.prompt, options.keywords]))


async def test_keywords_that_are_spoken_are_no_echo_and_cost_no_second_decoding() -> None:
    model = biased({("", NAMES): " Good morning, Zoë Müller of Acme."})
    assert (await decode(model, LISTED)).text == "Good morning, Zoë Müller of Acme."
    assert len(model.decode_options) == 1


async def test_a_window_that_recites_the_keywords_is_decoded_again_without_them() -> None:
    recited = " Acme, Northwind Traders, Verbatim."
    model = biased({("", NAMES): recited, ("", ()): " Good morning."})
    assert (await decode(model, LISTED)).text == "Good morning."


async def test_a_list_that_is_really_read_out_stays_as_the_keywords_spell_it() -> None:
    model = biased(
        {
            ("", NAMES): " Acme, Northwind Traders, Verbatim.",
            ("", ()): " acme northwind traders verbatim",
        }
    )
    assert (await decode(model, LISTED)).text == "Acme, Northwind Traders, Verbatim."


async def test_a_prompt_that_comes_back_does_not_cost_the_keywords() -> None:
    prompt = "A call about an order."
    model = biased(
        {
            (prompt, NAMES): " A call about an order.",
            ("", NAMES): " Good morning, Zoë.",
        }
    )
    decoded = await decode(model, DecodeOptions("transcribe", "en", prompt, NAMES))
    assert decoded.text == "Good morning, Zoë."


@pytest.mark.parametrize(
    ("decoded", "options"),
    [
        (hypothesis(" no", no_speech_prob=0.9, avg_logprob=-1.5), OPTIONS),
        (hypothesis(" so so so so so", compression_ratio=3.0), OPTIONS),
        (hypothesis(" a call about printers"), replace(OPTIONS, prompt="A call about printers.")),
        (
            hypothesis(" Anna Smith, Bob Jones"),
            replace(OPTIONS, keywords=("Anna Smith", "Bob Jones")),
        ),
    ],
    ids=["silence", "repetition", "prompt", "keywords"],
)
def test_a_draft_shows_nothing_that_a_second_try_would_have_to_confirm(
    decoded: Hypothesis, options: DecodeOptions
) -> None:
    assert fallback.checked(decoded, options).segments == ()


def test_a_draft_that_is_only_unsure_is_shown() -> None:
    decoded = hypothesis(" Anna said so", avg_logprob=-1.5)
    assert fallback.checked(decoded, replace(OPTIONS, keywords=("Anna",))) == decoded
