"""What the decoder is to say for a window, and which phonemes each token stands for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from training.lexicon import Lexicon
from training.text import Sentence, words
from training.tokens import TICK, Tokens
from training.windows import Segment, Window

IGNORED = -1  # in place of a token that is not to be predicted

_LONGEST_PREVIOUS = 180  # tokens of an earlier window
_MISTAKEN = 0.04  # of the pieces fed
_BYTES = 256  # single bytes are numbered below it
_TRANSLATED = {"en": 0.06, "de": 0.35, "fr": 0.35}  # shares of the windows


@dataclass(frozen=True)
class Span:
    """Phonemes first to last, inclusive, of the window's phonemes.

    A punctuation mark has none: its `last` is the one before it, its `first` the one after it.
    """

    first: int
    last: int


Body = list[tuple[int, Span | None]]  # tokens and the phonemes each stands for


@dataclass
class Targets:
    """Tokens fed to the decoder and the ones wanted at each place, of equal length.

    `spans` are the phonemes of the wanted tokens, `phonemes` all that are said and `times` when
    they are said in seconds, taken as evenly spread over their sentence.
    """

    fed: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    spans: list[Span | None] = field(default_factory=list)
    phonemes: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


def make(
    window: Window,
    shift: float,
    previous: Sequence[str],
    tokens: Tokens,
    lexicon: Lexicon,
    dice: Random,
) -> Targets:
    """The targets of a window that stands `shift` seconds after the start of Whisper's 30 s.

    `previous` are sentences said before the window, as a prompt; it may be empty.
    """
    targets = Targets()
    for segment in window.segments:
        _add_phonemes(targets, segment, lexicon)
    translate = dice.random() < _TRANSLATED[window.language]
    timed = dice.random() < 0.7
    said = _said(window, translate and window.language != "en", tokens, lexicon)
    body = _with_times(window, said, shift, tokens) if timed else [t for one in said for t in one]
    body.append((tokens.end, None))
    task = "translate" if translate else "transcribe"
    _assemble(targets, window, task, body, timed, tokens)
    _clip_first_time(targets, tokens, dice)
    _mistake(targets, tokens, dice)
    _put_before(targets, previous, tokens, dice)
    return targets


def _said(window: Window, translated: bool, tokens: Tokens, lexicon: Lexicon) -> list[Body]:
    """The tokens of each sentence; a translation stands for no phonemes of its own."""
    if translated:
        english = [segment.sentence.translation or "" for segment in window.segments]
        return [
            [(token, None) for chunk in text.split() for token in tokens.encode_word(chunk)]
            for text in english
        ]
    sentences, position = [], 0
    for segment in window.segments:
        said, position = _text(segment.sentence, position, tokens, lexicon)
        sentences.append(said)
    return sentences


def _with_times(window: Window, sentences: Sequence[Body], shift: float, tokens: Tokens) -> Body:
    """Each sentence between its times; silence is <|0.00|>, a sentence cut off only its start."""
    body: Body = []
    for segment, said in zip(window.segments, sentences, strict=True):
        start, end = tokens.time(segment.start + shift), tokens.time(segment.end + shift)
        body += [(start, None), *said, (end, None)]
    if not window.segments:
        body.append((tokens.first_time, None))
    elif window.cut is not None:
        body.append((tokens.time(window.cut + shift), None))
    return body


def _add_phonemes(targets: Targets, segment: Segment, lexicon: Lexicon) -> None:
    language = segment.sentence.language
    spoken = [p for word in words(segment.sentence.text) for p in lexicon.phonemes(word, language)]
    step = (segment.end - segment.start) / max(1, len(spoken))
    targets.phonemes += spoken
    targets.times += [segment.start + (index + 0.5) * step for index in range(len(spoken))]


def _text(sentence: Sentence, position: int, tokens: Tokens, lexicon: Lexicon) -> tuple[Body, int]:
    """The sentence's tokens with their phonemes, counted from `position`, and the next position."""
    said: Body = []
    for chunk in sentence.text.split():
        word = words(chunk)[0]
        count = len(lexicon.phonemes(word, sentence.language))
        pieces = tokens.encode_word(chunk)
        sizes = [sum(map(str.isalpha, tokens.decode([token]))) for token in pieces]
        for index, token in enumerate(pieces):
            letters, size = sum(sizes[:index]), sizes[index]
            span = None
            if size:
                first = count * letters // len(word)
                last = max(first, -(-count * min(letters + size, len(word)) // len(word)) - 1)
                span = Span(position + first, position + min(last, count - 1))
            elif not any(sizes[index:]):
                span = Span(position + count, position + count - 1)
            said.append((token, span))
        position += count
    return said, position


def _assemble(
    targets: Targets,
    window: Window,
    task: str,
    body: Body,
    timed: bool,
    tokens: Tokens,
) -> None:
    """Whisper's opening and the body, each token wanted where the one before it is fed."""
    language = tokens.special(window.language)
    opening = [tokens.special("startoftranscript"), language, tokens.special(task)]
    if not timed:
        opening.append(tokens.special("notimestamps"))
    targets.fed = opening + [token for token, _ in body[:-1]]
    first = language if window.segments else tokens.special("nospeech")
    targets.wanted = [first] + [IGNORED] * (len(opening) - 2) + [token for token, _ in body]
    targets.spans = [*[None] * (len(opening) - 1), *(span for _, span in body)]


def _clip_first_time(targets: Targets, tokens: Tokens, dice: Random) -> None:
    """At times feed a first time of at most 1 s: faster-whisper allows no later one by default."""
    limit = tokens.time(1.0)
    if len(targets.fed) > 3 and targets.fed[3] > limit and dice.random() < 0.4:
        earlier = [limit, limit, tokens.first_time, dice.randrange(tokens.first_time, limit)]
        targets.fed[3] = dice.choice(earlier)


def _mistake(targets: Targets, tokens: Tokens, dice: Random) -> None:
    """Feed a wrong piece now and then, so that one mistake does not lead to the next."""
    for index, token in enumerate(targets.fed):
        if token < tokens.end and dice.random() < _MISTAKEN:
            targets.fed[index] = dice.randrange(_BYTES, tokens.end - 1)


def _put_before(targets: Targets, previous: Sequence[str], tokens: Tokens, dice: Random) -> None:
    """Earlier sentences as Whisper's prompt, half of the time with times of their own."""
    said: list[int] = []
    timed = dice.random() < 0.5
    for text in previous:
        start = dice.randrange(1400)
        spoken = [token for chunk in text.split() for token in tokens.encode_word(chunk)]
        if timed:
            spoken = [
                tokens.time(start * TICK),
                *spoken,
                tokens.time((start + dice.randint(40, 100)) * TICK),
            ]
        said += spoken
    if said:
        prompt = [tokens.special("startofprev"), *said[-_LONGEST_PREVIOUS:]]
        targets.fed = prompt + targets.fed
        targets.wanted = [IGNORED] * len(prompt) + targets.wanted
        targets.spans = [*[None] * len(prompt), *targets.spans]
