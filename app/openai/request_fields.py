"""Checks of request fields that uploads, sockets and jobs share."""

MAX_CONTEXT_CHARACTERS = 4_096
"""Of keywords together, and of the end of a prompt that is kept. Whisper reads 223 tokens of them,
and prose has four or five characters in one; to cut megabytes into tokens would hold up others."""
