"""`known_speaker_references`: samples of voices, as data URLs."""

import io
import re
from base64 import b64decode
from collections.abc import Sequence

import numpy as np

from app.audio.decoder_process import decode
from app.domain import SAMPLE_RATE, Samples
from app.errors import AudioTooShort, InvalidRequest, UndecodableAudio

MIN_SECONDS, MAX_SECONDS = 2.0, 10.0
"""Length of a reference (docs/contract.md §1.1)."""

_FIELD = "known_speaker_references"
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w=.\"+-]+)*;base64,(?P<data>.*)", re.DOTALL)


def read_references(references: Sequence[str]) -> list[Samples]:
    """The sound of each. Blocking. Raises InvalidRequest unless it is audio of 2 to 10 s."""
    found = []
    for number, reference in enumerate(references, 1):
        samples = _samples(reference, number)
        seconds = len(samples) / SAMPLE_RATE
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise InvalidRequest(
                f"Reference {number} of {_FIELD} is {seconds:.1f} seconds long; it must be "
                f"between {MIN_SECONDS:.0f} and {MAX_SECONDS:.0f} seconds.",
                _FIELD,
            )
        found.append(samples)
    return found


def _samples(reference: str, number: int) -> Samples:
    url = _DATA_URL.fullmatch(reference)
    if url is None:
        raise InvalidRequest(
            f"Reference {number} of {_FIELD} is not a data URL (data:audio/wav;base64,...).", _FIELD
        )
    blocks = [np.zeros(0, np.float32)]
    try:
        for block in decode(io.BytesIO(b64decode(url["data"], validate=True))):
            blocks.append(block)
            if sum(map(len, blocks)) > (MAX_SECONDS + 1) * SAMPLE_RATE:
                break  # too long already, however long it is
    except AudioTooShort:
        pass
    except (ValueError, UndecodableAudio):
        raise InvalidRequest(
            f"Reference {number} of {_FIELD} is not audio in base64.", _FIELD
        ) from None
    return np.concatenate(blocks)
