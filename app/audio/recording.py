"""One uploaded recording: decoding, voice activity and windows chained into one generator."""

from collections.abc import Generator
from typing import BinaryIO

from app.audio.decoding import decode
from app.audio.voice_activity import VoiceActivity
from app.audio.windows import WindowPacker, WindowPolicy
from app.domain import SAMPLE_RATE, Window


class Recording:
    """Windows of a file, decoded no further than they are pulled. Blocking: for CPU threads."""

    def __init__(self, file: BinaryIO, policy: WindowPolicy) -> None:
        self._file = file
        self._policy = policy
        self._sample_count = 0

    @property
    def duration(self) -> float:
        """Seconds decoded so far; the recording's length once `windows` has ended."""
        return self._sample_count / SAMPLE_RATE

    def windows(self) -> Generator[list[Window], None, None]:
        """The windows that each block of about 2 s completes, often none.

        One block is a few milliseconds of work, so that many recordings can share the threads
        and hours of silence hold up nobody. Raises what `decode` raises.
        """
        detector = VoiceActivity()
        packer = WindowPacker(self._policy)
        for block in decode(self._file):
            self._sample_count += len(block)
            yield packer.push(detector.push(block))
        yield packer.push(detector.flush()) + packer.flush()
