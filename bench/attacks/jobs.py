"""Attacks on jobs, files, uploads, batches and webhooks."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import repeat
from threading import Thread

import httpx

from bench.attacks.target import MULTIPART, Attack, BoundBroken, Target, expect
from tests.support.api_keys import bearer
from tests.support.client import post_recording

JOBS = "/v1/audio/jobs"
ENDED = ("completed", "failed", "cancelled", "expired")
MIB = b"a" * 2**20

LISTENERS = 300
BATCHES, BATCH_LINES = 40, 20_000
JOINS, TESTS, ASKING = 16, 4, 30
JOB_SECONDS = 15.0
"""In which a job of another caller must end, beside jobs of the attacker that do not."""

SEND_SECONDS = 120.0


def _sent(target: Target, method: str, path: str, **arguments: object) -> httpx.Response:
    options = {"headers": target.headers, "timeout": SEND_SECONDS, **arguments}
    return httpx.request(method, target.url + path, **options)  # type: ignore[arg-type]


def _body(target: Target, kind: str, pieces: Iterator[bytes]) -> str:
    """The status of a body that is sent to jobs until it is refused."""
    count = 0

    def counted() -> Iterator[bytes]:
        nonlocal count
        for piece in pieces:
            count += len(piece)
            yield piece

    headers = {**target.headers, "content-type": kind}
    try:
        status = _sent(target, "POST", JOBS, content=counted(), headers=headers).status_code
    except httpx.HTTPError:
        status = 0
    return expect(status in (0, 400, 413), f"{status or 'broken off'} after {count >> 20} MiB")


def _texts(target: Target) -> str:
    head = b'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n'

    def parts() -> Iterator[bytes]:
        for _ in range(60):
            yield head
            yield from repeat(MIB, 10)
            yield b"\r\n"
        yield b"--b--\r\n"

    kind = MULTIPART.decode().partition(": ")[2].strip()
    return _body(target, kind, parts())


def _ampersands(target: Target) -> str:
    return _body(target, "application/x-www-form-urlencoded", repeat(b"&" * 2**16, 400))


def _batches(target: Target) -> str:
    """Each has lines that are valid, but for the last one."""
    line = {"method": "POST", "url": "/v1/audio/transcriptions", "body": {"model": "first"}}
    url = "https://example.com/a.wav"
    lines = [
        json.dumps({**line, "custom_id": f"{n}", "body": {"model": "first", "url": url}})
        for n in range(BATCH_LINES)
    ]
    content = "\n".join([*lines, "{"]).encode()
    fields, file = {"purpose": "batch"}, {"file": ("lines.jsonl", content)}
    made = _sent(target, "POST", "/v1/files", data=fields, files=file).raise_for_status().json()
    body = {
        "input_file_id": made["id"],
        "endpoint": line["url"],
        "completion_window": "24h",
    }
    ids = [
        _sent(target, "POST", "/v1/batches", json=body).raise_for_status().json()["id"]
        for _ in range(BATCHES)
    ]
    seconds = _job_of_another(target)
    for id in ids:
        _sent(target, "POST", f"/v1/batches/{id}/cancel")
    return expect(seconds < JOB_SECONDS, f"a job of another caller after {seconds:.1f} s")


def _job_of_another(target: Target) -> float:
    """Seconds until a job of another caller has ended, 60 at most. Raises BoundBroken."""
    began = time.monotonic()
    headers = bearer(target.other_key)
    job = post_recording(target.url, target.wav, JOBS, headers=headers).json()
    answer = httpx.get(
        f"{target.url}{JOBS}/{job['id']}", params={"wait": 60}, headers=headers, timeout=90
    ).json()
    seconds = time.monotonic() - began
    if answer["status"] not in ("completed", "queued", "in_progress"):
        raise BoundBroken(f"a job of another caller: {answer['status']}")
    return seconds


@contextmanager
def _host(target: Target, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a host of the attacker's; `answer` has each connection on a thread."""
    with socket.create_server(("127.0.0.1", target.host_port)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                Thread(target=answer, args=(connection,), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{target.host_port}/"
        # Else `accept` would go on with the port.
        listening.shutdown(socket.SHUT_RDWR)


def _slow_host(target: Target) -> str:
    """Jobs that wait for their recordings, and callers that wait for these."""

    def drip(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                while True:
                    connection.sendall(b"x")
                    time.sleep(1)
            except OSError:
                return

    with _host(target, drip) as url, ExitStack() as stack:
        jobs = [
            _sent(target, "POST", JOBS, json={"model": "first", "url": url})
            .raise_for_status()
            .json()["id"]
            for _ in range(20)
        ]
        for number in range(2 * LISTENERS):
            path = f"{JOBS}/{jobs[number % 20]}" + ("/events" if number % 2 else "?wait=60")
            connection = stack.enter_context(target.connection())
            connection.sendall(target.request(b"GET", path.encode(), b"\r\n"))
        seconds = _job_of_another(target)
        _sent(target, "DELETE", f"{JOBS}?status=queued")
        for id in jobs:
            _sent(target, "DELETE", f"{JOBS}/{id}")
    return expect(seconds < JOB_SECONDS, f"a job of another caller after {seconds:.1f} s")


def _endless_heads(target: Target) -> str:
    """A receiver of webhooks that answers, provisionally, for ever."""

    def flood(connection: socket.socket) -> None:
        with connection:
            try:
                while True:
                    connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 2000)
            except OSError:
                return

    with _host(target, flood) as url:
        new = {"name": "n", "url": url, "event_types": ["batch.failed"]}
        id = (
            _sent(target, "POST", "/v1/webhook_endpoints", json=new).raise_for_status().json()["id"]
        )
        path, body = f"/v1/webhook_endpoints/{id}/test", {"event_type": "batch.failed"}
        with ThreadPoolExecutor(TESTS) as pool:
            answers = pool.map(lambda _: _sent(target, "POST", path, json=body), range(3 * TESTS))
            statuses = Counter(answer.status_code for answer in answers)
        _sent(target, "DELETE", f"/v1/webhook_endpoints/{id}")
    return expect(set(statuses) <= {400, 502, 503}, f"{dict(statuses)}")


def _lists(target: Target) -> str:
    """More requests at once than there are connections to the database."""
    ends = time.monotonic() + 10

    def client(_: int) -> Counter[int]:
        statuses = Counter[int]()
        with httpx.Client(headers=target.headers, timeout=SEND_SECONDS) as calls:
            while time.monotonic() < ends:
                statuses[calls.get(f"{target.url}{JOBS}?limit=100").status_code] += 1
        return statuses

    with ThreadPoolExecutor(ASKING) as pool:
        asking = pool.map(client, range(ASKING))
        headers = bearer(target.other_key)
        others = Counter(
            httpx.get(f"{target.url}{JOBS}?limit=1", headers=headers, timeout=60).status_code
            for _ in range(5)
        )
        statuses = sum(asking, Counter())
    return expect(set(statuses) <= {200, 503} and set(others) == {200}, f"{dict(statuses)}")


def _joins(target: Target) -> str:
    """One upload of 48 MiB that is completed many times at once."""
    size = 48 * len(MIB)
    new = {"purpose": "user_data", "filename": "a", "bytes": size, "mime_type": "audio/wav"}
    id = _sent(target, "POST", "/v1/uploads", json=new).raise_for_status().json()["id"]
    path = f"/v1/uploads/{id}"
    part = _sent(target, "POST", f"{path}/parts", files={"data": ("a", MIB * 48)})
    body = {"part_ids": [part.raise_for_status().json()["id"]]}
    with ThreadPoolExecutor(JOINS) as pool:
        answers = list(
            pool.map(lambda _: _sent(target, "POST", f"{path}/complete", json=body), range(JOINS))
        )
    statuses = Counter(answer.status_code for answer in answers)
    files = {each.json()["file"]["id"] for each in answers if each.status_code == httpx.codes.OK}
    for file in files:
        _sent(target, "DELETE", f"/v1/files/{file}")
    return expect(set(statuses) <= {200, 503} and len(files) == 1, f"{len(files)} file")


ATTACKS = (
    Attack("600 MiB of texts in the form of a job", _texts),
    Attack("25 MiB of `&` as a form", _ampersands),
    Attack(
        f"{BATCHES} batches of {BATCH_LINES} lines, the last one wrong", _batches, repeats=False
    ),
    Attack(
        f"20 jobs at a host of a byte a second, {2 * LISTENERS} callers that wait for them",
        _slow_host,
        repeats=False,
    ),
    Attack("a webhook's receiver that answers 102 for ever", _endless_heads),
    Attack(f"lists of jobs, {ASKING} at a time for 10 s", _lists, repeats=False),
    Attack(f"an upload of 48 MiB, completed {JOINS} times at once", _joins),
)
