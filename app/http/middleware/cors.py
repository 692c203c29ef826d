"""What pages of other hosts may send and read, by Starlette's CORSMiddleware."""

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
"""What a page may read besides the body; the official SDK retries by it."""
