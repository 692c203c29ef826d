"""The disk or the memory of a running server is full."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.client import CLIP
from tests.support.live_server import LiveServer
from tests.support.recordings import load_sample, reference, repeat_to
from tests.support.words import word_errors

MIB = 2**20
CALL = reference("08_long_call.flac")


@pytest.fixture(scope="module")
def one_minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.9 MB: Starlette keeps uploads of up to 1 MB in memory."""
    path = tmp_path_factory.mktemp("recordings") / "one_minute.wav"
    assert repeat_to(path, load_sample("08_long_call.flac"), 80.0) == 1
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a file system; the next test needs no root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def check_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["x-should-retry"] == "true"
    assert answer.json()["error"]["type"] == "server_error"
    assert "no room" in answer.json()["error"]["message"]


def test_an_upload_that_finds_the_disk_full_or_read_only_may_be_retried(
    small_disk: Path, one_minute: Path
) -> None:
    with LiveServer(VERBATIM_AUDIO__SPOOL_DIR=str(small_disk)) as server:
        filler = small_disk / "filler"
        filler.write_bytes(bytes(3 * MIB))
        check_refused(server.post(one_minute, language="en"))
        assert word_errors(reference(CLIP.name), server.post(language="en").json()["text"]) == 0
        filler.unlink()
        assert word_errors(CALL, server.post(one_minute, language="en").json()["text"]) <= 3
        assert not [path for path in server.open_files if path.startswith(str(small_disk))]
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        check_refused(server.post(one_minute, language="en"))
        assert word_errors(reference(CLIP.name), server.post(language="en").json()["text"]) == 0


def test_without_room_for_files_or_memory_every_caller_is_answered_and_the_process_serves_or_ends(
    one_minute: Path,
) -> None:
    with LiveServer() as server:
        _limit(server, resource.RLIMIT_FSIZE, MIB)  # as a quota
        check_refused(server.post(one_minute, language="en"))
        check_refused(server.post(one_minute, language="en", stream="true"))
        assert word_errors(reference(CLIP.name), server.post(language="en").json()["text"]) == 0
        _limit(server, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        assert word_errors(CALL, server.post(one_minute, language="en").json()["text"]) <= 3
        used = psutil.Process(server.process.pid).memory_info().vms
        _limit(server, resource.RLIMIT_AS, used + 8 * MIB)
        with ThreadPoolExecutor(4) as pool:
            statuses = list(
                pool.map(
                    lambda _: _outcome(lambda: server.post(one_minute, language="en")), range(4)
                )
            )
        assert set(statuses) <= {200, 500, 503, None}
        _limit(server, resource.RLIMIT_AS, resource.RLIM_INFINITY)
        if _outcome(lambda: server.post(language="en")) == 200:
            assert word_errors(CALL, server.post(one_minute, language="en").json()["text"]) <= 3
            assert server.stop() == 0
        else:  # it was the engine that had no memory
            assert server.process.wait(30) == os.EX_SOFTWARE


def _outcome(ask: Callable[[], httpx.Response]) -> int | None:
    """The status; None if the connection broke."""
    try:
        return ask().status_code
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return None


def _limit(server: LiveServer, kind: int, value: int) -> None:
    """Of the running process, and soft, so that it can be lifted again."""
    _, hard = resource.prlimit(server.process.pid, kind)
    resource.prlimit(server.process.pid, kind, (value, hard))
