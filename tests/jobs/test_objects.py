"""Objects in a directory and in S3, which must behave alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.objects import ObjectMissing, Objects, StoreUnavailable
from app.jobs.postgres import EmbeddedPostgres
from tests.models.s3 import S3Server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        server.empty()
        yield server


@pytest.fixture(params=["directory", "s3"])
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Objects:
    url = (tmp_path / "made on opening").as_uri()
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        url = "s3://bucket/jobs"
    opened = Objects(url)
    opened.open()
    return opened


async def test_what_is_written_in_pieces_is_read_in_pieces(objects: Objects) -> None:
    pieces = [bytes([number]) * 1_000_000 for number in range(12)]
    async with objects.writer("uploads/a") as writer:
        for piece in pieces:
            await writer.write(piece)
    read = [piece async for piece in objects.stream("uploads/a")]
    assert len(read) > 1
    assert b"".join(read) == b"".join(pieces)
    await objects.put("results/b/c.json", b"{}")
    assert await objects.get("results/b/c.json") == b"{}"
    listed = {each["path"]: each["size"] async for found in objects.list() for each in found}
    assert listed == {"uploads/a": 12_000_000, "results/b/c.json": 2}
    await objects.delete(["uploads/a", "uploads/gone", "results/b/c.json"])
    assert [each async for found in objects.list() for each in found] == []


async def test_what_fails_while_it_is_written_is_no_object(objects: Objects) -> None:
    async def broken_off() -> None:
        async with objects.writer("uploads/a") as writer:
            await writer.write(b"x" * 20_000_000)
            raise ConnectionResetError

    with pytest.raises(StoreUnavailable):
        await broken_off()
    with pytest.raises(ObjectMissing):
        await objects.get("uploads/a")


async def test_a_store_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Objects((tmp_path / "file").as_uri())
    with pytest.raises(StoreUnavailable):
        store.open()
    with pytest.raises(StoreUnavailable):
        await store.put("uploads/a", b"x")


def test_no_other_user_of_the_machine_may_read_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    folder.mkdir(mode=0o755)  # as older versions made it
    Objects(folder.as_uri(), is_own=True).open()
    assert folder.stat().st_mode & 0o777 == 0o700
    socket = tmp_path / "socket"
    socket.mkdir()
    socket.chmod(0o777)
    EmbeddedPostgres(tmp_path)._make_folder(socket)
    assert socket.stat().st_mode & 0o777 == 0o700
