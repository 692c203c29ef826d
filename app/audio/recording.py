"""Windows of one uploaded recording: decoding, voice activity and windowing in one generator."""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace
from math import inf
from typing import BinaryIO

from app.audio.channels import without_copy
from app.audio.decoder_process import decode_channels
from app.audio.voice_activity import SPEECH_BEGINS, VoiceActivity
from app.audio.windowing import WindowPacker, WindowPolicy
from app.domain import SAMPLE_RATE, Chunking, Samples, Window


class Recording:
    """The windows of a file, decoded no further than requested. Blocking: for CPU threads.

    `chunking` overrides parts of `policy`; `split_channels` keeps the channels of stereo apart.
    """

    def __init__(
        self,
        file: BinaryIO,
        policy: WindowPolicy,
        chunking: Chunking | None = None,
        *,
        split_channels: bool = False,
    ) -> None:
        self._file = file
        self._policy = policy.chunked(chunking) if chunking else policy
        self._threshold = chunking.threshold if chunking else SPEECH_BEGINS
        self._split_channels = split_channels
        self._sample_count = 0
        self.has_sides = False
        """Have two channels differed so far? Only if they are split."""

    @property
    def duration(self) -> float:
        """Seconds decoded so far; the recording's length once `windows` has ended."""
        return self._sample_count / SAMPLE_RATE

    def windows(self) -> Generator[list[Window], None, None]:
        """For each block of about 2 s, the windows that it completes, often none, in order of
        start.

        One block is a few milliseconds of work, so that many recordings can share the threads
        and hours of silence block none. A window waits until no other channel can still have
        an earlier one, so memory holds one window's length of each channel. Raises as
        `decode_channels`.
        """
        channels: list[_Channel] = []
        for block in decode_channels(self._file, split=self._split_channels):
            channels = channels or [
                _Channel(number, self._policy, self._threshold) for number in range(len(block))
            ]
            self._sample_count += block.shape[1]
            sides = without_copy(block)
            self.has_sides = self.has_sides or (len(block) == 2 and sides is block)
            for channel, samples in zip(channels, sides, strict=True):
                channel.push(samples)
            yield _in_order(channels)
        for channel in channels:
            channel.flush()
        yield _in_order(channels)


class _Channel:
    """One channel, and its complete windows that wait for those of other channels."""

    def __init__(self, number: int, policy: WindowPolicy, threshold: float) -> None:
        self._number = number
        self._detector = VoiceActivity(threshold)
        self._packer = WindowPacker(policy)
        self._ended = False
        self.waiting: deque[Window] = deque()

    def push(self, samples: Samples) -> None:
        self._wait(self._packer.push(self._detector.push(samples)))

    def flush(self) -> None:
        self._wait(self._packer.push(self._detector.flush()) + self._packer.flush())
        self._ended = True

    def _wait(self, windows: list[Window]) -> None:
        self.waiting += [replace(window, channel=self._number) for window in windows]

    @property
    def next_start(self) -> float:
        """The start of the next window, or a lower bound of it."""
        if self.waiting:
            return self.waiting[0].start
        return inf if self._ended else self._packer.next_start


def _in_order(channels: Sequence[_Channel]) -> list[Window]:
    """Remove and return the windows that no later window can precede, `others_start` set."""
    ready = []
    while (first := min(channels, key=lambda each: each.next_start)).waiting:
        window = first.waiting.popleft()
        others = min((each.next_start for each in channels if each is not first), default=inf)
        ready.append(replace(window, others_start=others))
    return ready
