"""Decoding in processes of their own: what a file can do to the others, and to the server."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from structlog.testing import capture_logs

from app.audio import decoder_process, decoding
from app.audio.decoder_messages import Kind
from app.audio.decoder_process import announced_seconds, decode_channels, decode_stream
from app.errors import AudioTooShort, Overloaded, UndecodableAudio
from tests.hostile import mp4
from tests.support.live_server import ROOT
from tests.support.recordings import FOLDER, MEDIA, load_sample, stereo, stereo_wav, wav
from tests.support.waiting import wait_until

CLIP = (FOLDER / "12_short_clip.wav").read_bytes()
CALL = wav(load_sample("08_long_call.flac"))
BOMB = mp4.tables(60, 2_700_000)


@pytest.fixture
def server() -> Iterator[decoder_process._Server]:
    """A server of decoders that no other test has used."""
    with pytest.MonkeyPatch.context() as patch:
        fresh = decoder_process._Server()
        patch.setattr(decoder_process, "_server", fresh)
        yield fresh
        fresh.stop()


def process(server: decoder_process._Server) -> psutil.Process:
    assert server._process is not None
    return psutil.Process(server._process.pid)


def decoders(server: decoder_process._Server) -> list[psutil.Process]:
    running = []
    for each in process(server).children():
        with suppress(psutil.NoSuchProcess):  # it has ended since
            if each.status() != psutil.STATUS_ZOMBIE:
                running.append(each)
    return running


def seconds(content: bytes) -> float:
    blocks = decode_channels(io.BytesIO(content), split=False)
    return float(sum(block.shape[1] for block in blocks)) / 16_000


@pytest.mark.parametrize("split", [False, True])
def test_the_samples_are_those_of_the_decoder(split: bool) -> None:
    voices = stereo(load_sample("02_two_voices.wav"), load_sample("01_order_call.wav"))
    contents = [make(load_sample("12_short_clip.wav")) for make in MEDIA.values()]
    for content in (*contents, stereo_wav(*voices)):
        expected = list(decoding.decode_channels(io.BytesIO(content), split=split))
        found = list(decode_channels(io.BytesIO(content), split=split))
        assert len(found) == len(expected)
        for block, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(block, other)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_ends_one_recording_only(
    server: decoder_process._Server, number: signal.Signals
) -> None:
    crashing = decode_channels(io.BytesIO(CALL), split=False)
    next(crashing)
    (decoder,) = decoders(server)
    other = decode_channels(io.BytesIO(CALL), split=False)
    count = next(other).shape[1]
    decoder.send_signal(number)
    with pytest.raises(UndecodableAudio) as caught:
        list(crashing)
    assert caught.value.param == "file"
    assert (count + sum(block.shape[1] for block in other)) / 16_000 == seconds(CALL)


def test_a_server_of_decoders_that_ends_is_replaced(server: decoder_process._Server) -> None:
    running = decode_channels(io.BytesIO(CALL), split=False)
    count = next(running).shape[1]
    first = process(server)
    first.kill()
    assert seconds(CLIP) == pytest.approx(4.69, abs=0.01)
    assert process(server) != first
    assert (count + sum(block.shape[1] for block in running)) / 16_000 == seconds(CALL)


def test_without_a_process_the_server_is_overloaded(
    server: decoder_process._Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Overloaded):
        seconds(CLIP)


def test_a_file_that_multiplies_is_undecodable(server: decoder_process._Server) -> None:
    assert announced_seconds(io.BytesIO(BOMB)) != 0.0
    with pytest.raises(UndecodableAudio) as caught:
        seconds(BOMB)
    assert caught.value.param == "file"
    wait_until(lambda: decoders(server) == [])


def test_many_that_multiply_at_once_have_one_limit_together(
    server: decoder_process._Server,
) -> None:
    seconds(CLIP)
    new = decoders(server)[0].memory_full_info().uss
    peak = 0
    with ThreadPoolExecutor(8) as threads:
        results = [threads.submit(seconds, BOMB) for _ in range(16)]
        while not all(result.done() for result in results):
            sizes = []
            for each in decoders(server):
                with suppress(psutil.Error):
                    sizes.append(each.memory_full_info().uss - new)
            peak = max(peak, sum(sizes))
            time.sleep(0.01)
    assert all(isinstance(result.exception(), UndecodableAudio) for result in results)
    assert 50 < peak / 1024**2 < 500


def test_a_decoder_decodes_the_next_recording_unless_the_last_one_was_broken(
    server: decoder_process._Server,
) -> None:
    announced_seconds(io.BytesIO(CLIP))
    first = decoders(server)
    seconds(CLIP)
    assert list(map(len, decode_stream(io.BytesIO(CLIP))))
    assert decoders(server) == first
    with pytest.raises(AudioTooShort):
        seconds(wav(np.zeros(100, np.float32)))
    wait_until(lambda: decoders(server) == [])
    seconds(CLIP)
    second = decoders(server)
    with pytest.raises(UndecodableAudio):
        seconds(b"text" * 1_000)
    wait_until(lambda: decoders(server) == [])
    assert first != second


def test_a_decoder_that_died_while_it_waited_is_not_used(server: decoder_process._Server) -> None:
    seconds(CLIP)
    (decoder,) = decoders(server)
    decoder.kill()
    wait_until(lambda: decoders(server) == [])
    assert seconds(CLIP) == pytest.approx(4.69, abs=0.01)


def test_a_recording_that_is_left_ends_its_decoder(server: decoder_process._Server) -> None:
    blocks = decode_channels(io.BytesIO(CALL), split=False)
    next(blocks)
    assert len(decoders(server)) == 1
    blocks.close()  # type: ignore[attr-defined]
    wait_until(lambda: decoders(server) == [])


def test_at_most_some_decoders_wait(
    server: decoder_process._Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_process, "MAX_IDLE", 8)
    recordings = [decode_channels(io.BytesIO(CLIP), split=False) for _ in range(12)]
    for each in recordings:
        next(each)
    assert len(decoders(server)) == 12
    for each in recordings:
        list(each)
    wait_until(lambda: len(decoders(server)) == decoder_process.MAX_IDLE)


def test_errors_of_the_file_itself_are_raised(server: decoder_process._Server) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100_000:
                raise OSError("the disk is gone")
            return super().read(size)

    with pytest.raises(OSError, match="the disk is gone"):
        list(decode_channels(Failing(CALL), split=False))
    wait_until(lambda: decoders(server) == [])


@pytest.mark.parametrize("at", [-1, 1_000, 1 << 62])
def test_a_position_outside_the_file_has_no_bytes(at: int, tmp_path: Path) -> None:
    """File systems raise an error for some of these, in the server's process."""
    path = tmp_path / "file"
    path.write_bytes(bytes(1_000))
    with path.open("rb") as file:
        assert decoder_process._Decoder(file, Kind.MIXED, 1_000)._read(at, 10) == b""


def test_nothing_of_the_environment_reaches_the_decoders(
    server: decoder_process._Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERBATIM_ACCESS__SIGNING_KEY", "secret")
    seconds(CLIP)
    assert set(process(server).environ()) <= {"OPENBLAS_NUM_THREADS", "LC_CTYPE"}
    assert len(os.listdir(f"/proc/{decoders(server)[0].pid}/fd")) <= 4


def status(process: psutil.Process, name: str) -> str:
    """A line of /proc/…/status."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def test_system_calls_of_a_decoder_are_filtered(server: decoder_process._Server) -> None:
    seconds(CLIP)
    (decoder,) = decoders(server)
    assert (status(decoder, "Seccomp"), status(decoder, "NoNewPrivs")) == ("2", "1")
    assert status(process(server), "Seccomp") == status(psutil.Process(), "Seccomp")


def test_where_decoding_needs_another_call_there_is_no_filter() -> None:
    """What the server of decoders finds out at its start."""
    code = "from app.audio import syscall_filter; {}print(own.decodes_with(own.SystemCallFilter()))"
    for change, works in (("", "True"), ("syscall_filter._ALLOWED.clear(); ", "False")):
        outcome = subprocess.run(
            [
                *(sys.executable, "-c"),
                "from app.audio import decoder_server as own; own.warm_up(); "
                + code.format(change),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert outcome.stdout.strip() == works, outcome.stderr


def test_decoders_without_a_filter_are_logged_once(server: decoder_process._Server) -> None:
    with capture_logs() as logs:
        for is_filtered in (True, False, False):
            server._note_filter(is_filtered)
    assert [each["event"] for each in logs] == ["decoders_unfiltered"]


def limited(code: str) -> subprocess.CompletedProcess[str]:
    """A process that limits itself as decoders do, and then runs the code."""
    start = "from app.audio import decoder_server as own; import os, socket; "
    return subprocess.run(
        [sys.executable, "-c", f"{start}own.limit_resources(); {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("os.open('/etc/passwd', os.O_RDONLY)", "Too many open files"),
        ("socket.socket()", "Too many open files"),
        ("bytes(own.MAX_MEMORY_BYTES + 2**26)", "MemoryError"),
        ("own.SystemCallFilter().apply(); os.fork()", "Operation not permitted"),
        (
            "own.SystemCallFilter().apply(); os.execv('/bin/true', ['true'])",
            "Operation not permitted",
        ),
        ("own.SystemCallFilter().apply(); os.kill(os.getppid(), 0)", "Operation not permitted"),
        (
            "own.SystemCallFilter().apply(); os.unlink('/tmp/no such file')",
            "Operation not permitted",
        ),
    ],
)
def test_a_decoder_reaches_nothing_and_has_limited_memory(code: str, error: str) -> None:
    result = limited(code)
    assert result.returncode != 0
    # Python cannot read the lines of its traceback either.
    assert error in result.stderr


def test_a_decoder_that_computes_for_too_long_is_ended() -> None:
    code = "own.MAX_BLOCK_CPU_SECONDS = 0.1; own.limit_cpu_time(); all(iter(int, 1)) or "
    result = limited(f"{code}[None for _ in iter(int, 1)]")
    assert result.returncode == -signal.SIGPROF
