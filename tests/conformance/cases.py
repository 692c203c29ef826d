"""Everything OpenAI's audio and model routes take, one case for each (docs/contract.md §1)."""

from tests.conformance.case import CLIP, EVERY_SENTENCE, Case
from tests.conformance.cases_of_models import DIARIZED, GPT_4O, SPEAKERS
from tests.conformance.checks import (
    both,
    cues_of,
    has,
    hears_the_sentences,
    is_exactly,
    is_streamed,
    lacks,
    names_the_models,
    says,
    segments_of,
    speakers_say_the_sentences,
    temperature_is,
    tokens_are_counted,
    words_of,
)
from tests.conformance.limits import NO_ROUTE, NO_STREAM, OWN_LIST, SENT_BY_ONE

GERMAN, MIXED, SILENCE = "09_german.wav", "15_english_then_german.wav", "10_silence.wav"
SENTENCES = "The printer is not working. I will call you back tomorrow."
SUBTITLES = {"srt": "", "vtt": "WEBVTT\n\n", "text": "\n"}
"""Of a recording in which nobody speaks."""

FORMATS = [
    Case("`file`, `model`", "json", both(says(CLIP), lacks("logprobs", "words"))),
    Case(
        "`file`, `model`",
        "text",
        is_exactly(f"{SENTENCES}\n"),
        fields={"response_format": "text"},
    ),
    *(
        Case(
            "`file`, `model`",
            name,
            both(says(CLIP), cues_of(CLIP)),
            fields={"response_format": name},
        )
        for name in ("srt", "vtt")
    ),
    Case(
        "`file`, `model`",
        "verbose_json",
        both(
            says(CLIP),
            segments_of(CLIP),
            has(task="transcribe", language="english", duration=4.69),
            lacks("words"),
        ),
        fields={"response_format": "verbose_json"},
    ),
    Case(
        "`gpt-4o-transcribe`",
        "json",
        both(says(CLIP), tokens_are_counted()),
        model="gpt-4o-transcribe",
    ),
]

FIELDS = [
    Case(
        "`timestamp_granularities[]`",
        "word",
        both(words_of(CLIP), lacks("segments")),
        fields={"response_format": "verbose_json", "timestamp_granularities": ["word"]},
    ),
    Case(
        "`timestamp_granularities[]`",
        "word and segment",
        both(words_of(CLIP), segments_of(CLIP)),
        fields={"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]},
    ),
    Case("`language`", "json", says(GERMAN), GERMAN, fields={"language": "de"}),
    Case(
        "`language`",
        "verbose_json",
        both(says(GERMAN), has(language="german")),
        GERMAN,
        fields={"language": "de", "response_format": "verbose_json"},
    ),
    Case("`languages[]`", "json", says(CLIP), fields={"languages": ["en", "de"]}),
    Case(
        "`languages[]`",
        "verbose_json",
        says(MIXED),
        MIXED,
        fields={"languages": ["en", "de"], "response_format": "verbose_json"},
    ),
    Case("`keywords[]`", "json", says(CLIP), fields={"keywords": ["printer", "Northwind"]}),
    Case(
        "`prompt`",
        "json",
        both(says(CLIP), tokens_are_counted(prompted=True)),
        model="gpt-4o-transcribe",
        fields={"prompt": "Hello, this is Anna."},
    ),
    Case(
        "`prompt`",
        "vtt",
        both(says(CLIP), cues_of(CLIP)),
        fields={"prompt": "Hello, this is Anna.", "response_format": "vtt"},
    ),
    Case("`temperature`", "json", says(CLIP), fields={"temperature": 0}),
    Case(
        "`temperature`",
        "verbose_json",
        temperature_is(0.2),
        fields={"temperature": 0.2, "response_format": "verbose_json"},
    ),
    Case("`chunking_strategy`", "auto", says(CLIP), fields={"chunking_strategy": "auto"}),
    Case(
        "`chunking_strategy`",
        "server_vad",
        both(says(CLIP), segments_of(CLIP)),
        fields={
            "response_format": "verbose_json",
            "chunking_strategy": {
                "type": "server_vad",
                "threshold": 0.4,
                "prefix_padding_ms": 200,
                "silence_duration_ms": 300,
            },
        },
    ),
    *(
        Case(
            "`stream`",
            model,
            both(is_streamed, says(CLIP), tokens_are_counted()),
            model=model,
            fields={"stream": True},
            cannot=NO_STREAM,
        )
        for model in ("gpt-4o-transcribe", "whisper-1")
    ),
]

NOBODY_SPEAKS = [
    Case("silence", "json", has(text=""), SILENCE),
    *(
        Case("silence", name, is_exactly(content), SILENCE, fields={"response_format": name})
        for name, content in SUBTITLES.items()
    ),
    Case(
        "silence",
        "verbose_json",
        has(text="", segments=[]),
        SILENCE,
        fields={"response_format": "verbose_json"},
    ),
    Case(
        "silence",
        "stream",
        both(is_streamed, has(text="")),
        SILENCE,
        fields={"stream": True},
        cannot=NO_STREAM,
    ),
]

OTHER_ROUTES = [
    Case("translations", "json", says(CLIP), route="translations", cannot=NO_ROUTE),
    Case(
        "translations",
        "text",
        is_exactly(f"{SENTENCES}\n"),
        route="translations",
        fields={"response_format": "text"},
        cannot=NO_ROUTE,
    ),
    *(
        Case(
            "translations",
            name,
            both(says(CLIP), cues_of(CLIP)),
            route="translations",
            fields={"response_format": name},
            cannot=NO_ROUTE,
        )
        for name in ("srt", "vtt")
    ),
    Case(
        "translations",
        "verbose_json",
        both(says(CLIP), segments_of(CLIP), has(language="english", task="translate")),
        route="translations",
        fields={"response_format": "verbose_json"},
        cannot=NO_ROUTE,
    ),
    Case("models", "list", names_the_models, route="models", cannot=OWN_LIST),
    Case(
        "models",
        "one",
        has(id="whisper-1", object="model"),
        route="model",
        cannot=OWN_LIST,
    ),
]

REAL_SPEECH = [
    Case("real speech", "json", hears_the_sentences, EVERY_SENTENCE, model="base"),
    *(
        Case(
            "real speech",
            name,
            hears_the_sentences,
            EVERY_SENTENCE,
            model="base",
            fields={"response_format": name},
            cannot=SENT_BY_ONE,
        )
        for name in ("text", "srt", "vtt", "verbose_json")
    ),
    Case(
        "real speech",
        "stream",
        both(is_streamed, hears_the_sentences),
        EVERY_SENTENCE,
        model="base",
        fields={"stream": True},
        cannot=SENT_BY_ONE | NO_STREAM,
    ),
    Case(
        "real speech",
        "diarized_json",
        speakers_say_the_sentences,
        EVERY_SENTENCE,
        model="base",
        fields=DIARIZED,
        cannot=SENT_BY_ONE,
    ),
]

CASES = [*REAL_SPEECH, *FORMATS, *FIELDS, *GPT_4O, *SPEAKERS, *NOBODY_SPEAKS, *OTHER_ROUTES]
