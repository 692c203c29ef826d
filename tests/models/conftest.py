"""A small model that is known, where it may be had, and the real `base`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from app.models import known
from app.models.directory import ModelsDirectory
from tests.models import small
from tests.models.command_line import NOWHERE, CommandLine
from tests.models.real import RealBase
from tests.models.s3 import S3Server
from tests.models.servers import Hub, PackageIndex


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheels of the small model lie."""
    folder = tmp_path_factory.mktemp("packages")
    small.make_wheels(folder)
    return folder


@pytest.fixture
def index(packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The package index that pip asks."""
    server = PackageIndex(packages)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    with server.running():
        yield server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, no_network: None) -> Iterator[Hub]:
    """The hub, with the small model."""
    from huggingface_hub import constants

    server = Hub(small.REPOSITORY, small.REVISION, dict(small.FILES))
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with server.running():
        yield server


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither an index nor the hub, until a test starts its own; and an empty cache of the hub."""
    from huggingface_hub import constants

    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{NOWHERE}/simple")
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, NOWHERE)
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def table(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """known.json with the small model alone, which comes in wheels."""
    path = tmp_path / "known.json"
    path.write_text(small.table(packages))
    monkeypatch.setattr(known, "TABLE", path)
    known.table.cache_clear()
    yield path
    known.table.cache_clear()


@pytest.fixture
def models(tmp_path: Path, table: Path, no_network: None) -> ModelsDirectory:
    """An empty models directory."""
    return ModelsDirectory(tmp_path / "models")


@pytest.fixture
def command(models: ModelsDirectory, table: Path, tmp_path: Path) -> CommandLine:
    """The command line, which knows the small model alone and reaches nothing."""
    return CommandLine(models.root, tmp_path, table)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """Each test empties it first."""
    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def real_base(tmp_path_factory: pytest.TempPathFactory) -> RealBase:
    """`base` as it was pulled from the real package index, once for all workers."""
    shared = tmp_path_factory.getbasetemp().parent
    if os.environ.get("PYTEST_XDIST_WORKER") is None:
        shared = tmp_path_factory.getbasetemp()
    with FileLock(shared / "real-base.lock"):
        return RealBase.pulled(shared / "real-base")


@pytest.fixture
def base(real_base: RealBase, tmp_path: Path) -> Path:
    """A models directory with `base` in it. Its files are second names: replace, never write."""
    root = tmp_path / "models"
    shutil.copytree(real_base.directory / "base", root / "base", copy_function=os.link)
    return root
