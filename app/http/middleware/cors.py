"""Methods and headers that pages of other hosts may use, for Starlette's CORSMiddleware."""

METHODS = ("GET", "POST", "DELETE")

EXPOSED_HEADERS = (
    "X-Request-ID",
    "OpenAI-Processing-Ms",
    "Retry-After",
    "X-Should-Retry",
    *(
        f"X-RateLimit-{part}-{counted}"
        for part in ("Limit", "Remaining", "Reset")
        for counted in ("Requests", "Audio-Seconds")
    ),
)
"""Headers that a page may read; the official SDK decides by them whether to retry."""
