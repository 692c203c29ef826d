"""The corpus of hostile files against the running server, watched from outside by strace."""

import re
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.hostile.corpus import damaged, named
from tests.support.client import CLIP
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.recordings import FOLDER, MEDIA, load_sample

DEADLINE_SECONDS = 20.0
FEWER_TABLES = ("30_tables.mp4", "60_tables.mp4")
"""Less of 190_tables.mp4; tests/audio/test_hostile.py has all of them."""

MAX_GROWTH_MIB = 400
"""Of all of them one after the other; on a CPU the server keeps what it once had."""

# What reaches files and other machines by name or address.
WATCHED = "open,openat,openat2,creat,execve,socket,connect,io_uring_setup"

NO_CALL = r"\+\+\+ (exited|killed)|--- SIG|resumed>"
"""Ends, signals, and the second line of a call, whose first line has the path."""

MEMORY = r"/proc/(self|\d+)/statm$"
"""What decoders read of themselves, and what their server reads of them."""


send = partial(LiveServer.post, timeout=DEADLINE_SECONDS)


def in_envelope(answer: httpx.Response) -> bool:
    """A text, or an error that is the caller's as OpenAI puts it."""
    if answer.status_code == 200:
        return isinstance(answer.json()["text"], str)
    error = answer.json()["error"]
    return answer.status_code == 400 and error["param"] == "file" and bool(error["message"])


def resident_bytes(server: LiveServer) -> int:
    """Of the server and the processes that decode for it, without what they share."""
    total = 0
    process = psutil.Process(server.process.pid)
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):  # it has ended since
            total += each.memory_full_info().uss
    return total


def reached(line: str) -> str | None:
    """The path that a line of strace opens; the whole line if it does something else."""
    opened = re.search(r'(?:open|openat|openat2|creat)\((?:AT_FDCWD, )?"([^"]*)"', line)
    return opened[1] if opened else line


@pytest.mark.timeout(300)
def test_no_upload_harms_the_server_or_makes_it_reach_out(tmp_path: Path) -> None:
    spool, trace = tmp_path / "spool", tmp_path / "trace"
    spool.mkdir()
    strace = (require("strace"), "-D", "-f", "-q", "-o", str(trace), "--seccomp-bpf")
    clip = load_sample("12_short_clip.wav")
    with LiveServer(
        *strace, "-e", f"trace={WATCHED}", VERBATIM_AUDIO__SPOOL_DIR=str(spool)
    ) as server:
        # Python reads a module when it is first needed: each kind of answer once before.
        for name in ("12_short_clip.wav", "11_sales_call.mp3", "08_long_call.flac"):
            assert send(server, FOLDER / name).status_code == 200
        assert send(server, ("text.wav", b"text" * 1_000_000)).status_code == 400
        known = len(trace.read_text().splitlines())
        resident = resident_bytes(server)
        peak = 0
        wrong = {}
        for name, content in named(clip):
            if name in FEWER_TABLES:
                continue
            started = time.monotonic()
            answer = send(server, (name, content))
            if not in_envelope(answer) or time.monotonic() - started > DEADLINE_SECONDS:
                wrong[name] = answer.text
            peak = max(peak, resident_bytes(server))
        for name, make in list(MEDIA.items())[::3]:  # the decoder has all of them
            *_, (_, content) = damaged(make, clip, seed=2)
            answer = send(server, (name, content))
            if not in_envelope(answer):
                wrong[f"damaged {name}"] = answer.text
        assert wrong == {}
        assert peak - resident < MAX_GROWTH_MIB * 1024**2
        lines = trace.read_text().splitlines()[known:]
        touched = {reached(line) for line in lines if not re.search(NO_CALL, line)}
        assert send(server, CLIP).json()["text"]
    allowed = f"{re.escape(str(spool))}|{MEMORY}"
    assert {path for path in touched if not re.match(allowed, str(path))} == set()
    assert touched, "large uploads lie in the spool folder"
    assert list(spool.iterdir()) == []
    assert "Traceback" not in server.errors
