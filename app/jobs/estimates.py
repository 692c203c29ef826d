"""Seconds of audio in a recording that has not been opened yet."""

BYTES_PER_SECOND = 16_000
"""Between MP3 at 64 kbit/s, 8,000, and 16-bit PCM at 16 kHz, 32,000."""

UNKNOWN_SECONDS = 300.0
"""Of a recording at a url, which nobody has looked at: a phone call."""


def estimated_seconds(size: int) -> float:
    """Of a file of `size` bytes; at least a second, as every job costs something."""
    return max(1.0, size / BYTES_PER_SECOND)
