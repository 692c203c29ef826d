"""The audit log of device calls, which shows that batches do not change results."""

from collections.abc import Iterable

import structlog

LOGGER = "verbatim.audit"
log = structlog.get_logger(LOGGER)


def device_call(stage: str, windows: Iterable[tuple[str, int]]) -> None:
    """Log one call: each window as the id of its request, `#` and its position, from 0.

    A window decoded once more (a fallback, or leftover speech) keeps its position.
    """
    log.info("device_call", stage=stage, windows=[f"{request}#{at}" for request, at in windows])
