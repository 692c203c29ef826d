"""An identity provider on a port of this machine: discovery, keys, and tokens signed by them."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "transcription"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Any, status: HTTPStatus = HTTPStatus.OK) -> "Answer":
        return cls(status, json.dumps(document))


class Provider:
    """`with Provider() as provider:` starts one; `stop` and `restart` keep its address."""

    def __init__(self, *keys: Key) -> None:
        self.keys = list(keys or (RSA, EC))
        self.requests: list[str] = []
        """Paths, in the order they were requested."""
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._server = self._bound(0)
        self.url = f"http://127.0.0.1:{self._server.server_port}/realms/staff"
        self.issuer = self.url
        """The issuer of its discovery document and tokens."""

    def _bound(self, port: int) -> ThreadingHTTPServer:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._respond(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        return ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def documents(self) -> dict[str, Any]:
        """Everything to GET, by its path."""
        return {
            "/realms/staff/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.url}/keys",
            },
            "/realms/staff/keys": {"keys": [key.as_dict(private=False) for key in self.keys]},
        }

    def answer(self, method: str, target: str, headers: dict[str, str], body: str) -> Answer:
        document = self.documents().get(target)
        return Answer(HTTPStatus.NOT_FOUND, "") if document is None else Answer.of(document)

    def _respond(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(request.path)
        self._may_answer.wait()
        body = request.rfile.read(int(request.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self.answer(request.command, request.path, headers, body)
        content = answer.body.encode()
        with suppress(ConnectionError):  # the client has timed out
            request.send_response(answer.status)
            for name, value in answer.headers.items():
                request.send_header(name, value)
            request.send_header("content-length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def pause(self) -> None:
        """Accept requests, and answer none until `resume`."""
        self._may_answer.clear()

    def resume(self) -> None:
        self._may_answer.set()

    def stop(self) -> None:
        """Refuse connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def restart(self) -> None:
        self._server = self._bound(self._server.server_port)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.resume()
        self.stop()

    @staticmethod
    def now() -> int:
        return int(time.time())

    @property
    def fetches(self) -> int:
        """How often its keys were requested."""
        return self.requests.count("/realms/staff/keys")

    def token(
        self,
        key: Key = RSA,
        algorithm: str = "RS256",
        header: dict[str, Any] | None = None,
        **claims: object,
    ) -> str:
        """A token that expires in five minutes; a claim that is None is left out."""
        now = int(time.time())
        all_claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ada",
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        return jwt.encode(
            header or {"alg": algorithm, "kid": key.kid},
            {name: value for name, value in all_claims.items() if value is not None},
            key,
            registry=JWSRegistry(algorithms=[algorithm], strict_check_header=False),
        )
