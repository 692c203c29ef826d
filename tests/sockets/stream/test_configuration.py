"""What is refused stands in test_stream.py, as a client sees it."""

import pytest

from app.domain import Options
from app.openai.request_fields import MAX_CONTEXT_CHARACTERS
from app.sockets.stream.configuration import StreamConfiguration, configuration


def test_an_empty_configuration_is_the_default_one() -> None:
    asked = configuration({})
    assert asked == StreamConfiguration()
    options = asked.live_options()
    assert options.options == Options(words=True)
    assert (options.partials, options.max_window_seconds) == (True, 5.0)


def test_every_key_reaches_the_session() -> None:
    asked = configuration(
        {
            "language": "English",
            "prompt": "Acme",
            "words": True,
            "partials": False,
            "chunk_duration": 10,
            "overlap": 0,
        }
    )
    options = asked.live_options()
    assert options.options == Options(language="en", prompt="Acme", words=True)
    assert (options.partials, options.max_window_seconds) == (False, 10.0)


@pytest.mark.parametrize(("text", "code"), [("nb_NO", "no"), ("auto", None), ("", None)])
def test_a_language_and_a_whole_number_may_be_written_as_clients_do(
    text: str, code: str | None
) -> None:
    asked = configuration({"language": text, "sample_rate": 24000.0})
    assert (asked.live_options().options.language, asked.sample_rate) == (code, 24000)


def test_what_was_heard_is_the_end_of_the_prompt_of_the_next_turn() -> None:
    asked = configuration({"prompt": "Names: Anna.", "use_context": True})
    assert asked.with_context(" Hello there.").options.prompt == "Names: Anna. Hello there."
    assert asked.with_context("").options.prompt == "Names: Anna."
    long = asked.with_context(" word" * 10_000).options.prompt
    assert len(long) == MAX_CONTEXT_CHARACTERS
    assert long.endswith("word word")
