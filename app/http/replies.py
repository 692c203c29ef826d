"""Rendered values -> Starlette responses."""

from collections.abc import Mapping

from fastapi import Response

from app.openai.error_replies import Reply
from app.openai.responses import compact


def json_bytes(body: object) -> bytes:
    return compact(body).encode()


def json_response(body: object) -> Response:
    return Response(json_bytes(body), media_type="application/json")


def text_response(text: str) -> Response:
    """`text`, `srt` and `vtt` alike: openai-node would parse any JSON media type."""
    return Response(text, media_type="text/plain; charset=utf-8")


def json_reply(reply: Reply, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json_bytes(reply.body),
        status_code=reply.status,
        media_type="application/json",
        headers={**(headers or {}), **reply.headers},
    )
