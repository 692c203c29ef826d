"""`python -m bench.access`: the cost of authentication and limits for a request.

Without transcription and sockets: the middleware around an application that answers at once is
measured by turns with that application alone. Each request has another key, and limits of requests,
of audio and of concurrency, counted in memory. The time is CPU time: nothing here waits.
"""

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.address_limits import AddressLimits
from app.access.api_keys import ApiKeys
from app.access.authenticator import Authenticator
from app.access.client_secrets import ClientSecrets
from app.access.counter_store import MemoryStore
from app.access.keys_file import Holder, KeysDocument, new_document
from app.access.limiter import Limiter
from app.access.metering import Metering, UsageRecord
from app.http.middleware.authentication import Authentication
from app.http.middleware.rate_limiting import RateLimits
from app.setting_groups import LimitsSettings

REQUESTS = 10_000
ROUNDS = 5
CALLERS = (1_000, 5_000)


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU for one request."""

    callers: int
    bare: float
    guarded: float

    @property
    def added(self) -> float:
        return self.guarded - self.bare


@dataclass(frozen=True, slots=True)
class Access:
    """The part of `Services` that the middleware uses."""

    authenticator: Authenticator
    limiter: Limiter
    metering: Metering
    address_limits: AddressLimits


@dataclass(slots=True)
class Statuses:
    """Status codes of the answers."""

    seen: set[int] = field(default_factory=set)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.seen.add(message["status"])


async def measure(callers: int, requests: int = REQUESTS, rounds: int = ROUNDS) -> Cost:
    """Medians of several rounds, each after one of the bare application."""
    access, keys = access_of(callers)
    guarded = Authentication(RateLimits(answer))
    bare_rounds, guarded_rounds = [], []
    for _ in range(rounds):
        bare_rounds.append(await milliseconds(answer, access, keys, requests))
        guarded_rounds.append(await milliseconds(guarded, access, keys, requests))
    return Cost(callers, median(bare_rounds), median(guarded_rounds))


def access_of(callers: int) -> tuple[Access, list[str]]:
    """Access for a number of callers, and their keys."""
    empty = new_document()
    keys = [f"vb_{index:043d}" for index in range(callers)]
    holders = tuple(
        Holder(name=f"caller-{index}", keys=(empty.stored(key, None),))
        for index, key in enumerate(keys)
    )
    known = ApiKeys(KeysDocument(salt=empty.salt, holders=holders))
    limits = LimitsSettings(
        requests_per_minute=1_000_000, audio_seconds_per_minute=1e6, max_concurrent=100
    )
    limiter = Limiter(MemoryStore(), limits)
    authenticator = Authenticator(known, ClientSecrets(None))
    return Access(authenticator, limiter, Metering(limiter), AddressLimits()), keys


async def milliseconds(app: ASGIApp, access: Access, keys: list[str], requests: int) -> float:
    statuses = Statuses()
    scopes = [scope_of(access, keys[index % len(keys)], index) for index in range(requests)]
    began = time.process_time()
    for scope in scopes:
        await app(scope, nothing, statuses.send)
    elapsed = time.process_time() - began
    assert statuses.seen == {200}, statuses.seen
    return elapsed / requests * 1000


def scope_of(access: Access, key: str, index: int) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": "/v1/models",
        "client": ("127.0.0.1", 50_000),
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())],
        "state": {"services": access, "usage": UsageRecord(f"req_{index}")},
    }


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def nothing() -> Message:
    return {"type": "http.disconnect"}


def main() -> None:
    for callers in CALLERS:
        cost = asyncio.run(measure(callers))
        print(
            f"{callers} callers: {cost.added:.3f} ms for authentication and limits "
            f"({cost.guarded:.3f} ms with, {cost.bare:.3f} ms without)"
        )


if __name__ == "__main__":
    main()
