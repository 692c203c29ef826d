"""`known_speaker_references`: samples of voices, as data URLs; checked, but not used yet."""

import io
import re
from base64 import b64decode
from collections.abc import Sequence

from app.audio.decoder_process import decode
from app.domain import SAMPLE_RATE
from app.errors import AudioTooShort, InvalidRequest, UndecodableAudio

MIN_SECONDS, MAX_SECONDS = 2.0, 10.0
"""Length of a reference (docs/contract.md §1.1)."""

_FIELD = "known_speaker_references"
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w=.\"+-]+)*;base64,(?P<data>.*)", re.DOTALL)


def check_references(references: Sequence[str]) -> None:
    """Raises InvalidRequest unless each is decodable audio of 2 to 10 s. Blocking."""
    for number, reference in enumerate(references, 1):
        seconds = _seconds(reference, number)
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise InvalidRequest(
                f"Reference {number} of {_FIELD} is {seconds:.1f} seconds long; it must be "
                f"between {MIN_SECONDS:.0f} and {MAX_SECONDS:.0f} seconds.",
                _FIELD,
            )


def _seconds(reference: str, number: int) -> float:
    url = _DATA_URL.fullmatch(reference)
    if url is None:
        raise InvalidRequest(
            f"Reference {number} of {_FIELD} is not a data URL (data:audio/wav;base64,...).", _FIELD
        )
    count = 0
    try:
        for block in decode(io.BytesIO(b64decode(url["data"], validate=True))):
            count += len(block)
            if count > (MAX_SECONDS + 1) * SAMPLE_RATE:
                break  # too long already, however long it is
    except AudioTooShort:
        return count / SAMPLE_RATE
    except (ValueError, UndecodableAudio):
        raise InvalidRequest(
            f"Reference {number} of {_FIELD} is not audio in base64.", _FIELD
        ) from None
    return count / SAMPLE_RATE
