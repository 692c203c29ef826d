"""Ids of objects, as OpenAI's look."""

import secrets


def new_id(prefix: str) -> str:
    """`prefix` and 24 random hexadecimal digits."""
    return prefix + secrets.token_hex(12)
