"""Ranges of bytes that clients ask for (RFC 9110 §14)."""

import re

from app.errors import RangeNotSatisfiable


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end (exclusive) of a `Range` header over `size` bytes.

    None without one, and for several ranges or another unit, which may be ignored. Raises
    RangeNotSatisfiable.
    """
    found = re.fullmatch(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(f"The file has {size} bytes.", "Range")
    return start, end
