"""Which windows shared a call on the device, for whoever doubts that companions change nothing."""

from collections.abc import Iterable

import structlog

LOGGER = "verbatim.audit"
log = structlog.get_logger(LOGGER)


def device_call(stage: str, windows: Iterable[tuple[str, int]]) -> None:
    """One line for one call: each window as the id of its request, `#` and its place in it.

    The first window of a request is `#0`. A window decoded once more (a fallback, or the rest of
    it that was left unheard) keeps its place.
    """
    log.info("device_call", stage=stage, windows=[f"{request}#{at}" for request, at in windows])
