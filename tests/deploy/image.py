"""The CPU image, really built, without a Docker engine, and run from its root file system.

debootstrap makes a base with Debian's Python in place of the Dockerfile's, buildah builds on it,
and chroot in namespaces of its own runs what came out: read-only, as the image's user and without
any network.
`python -m tests.deploy.image` prints what the image weighs. Needs root.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tests.support.live_server import ROOT

CACHE = ROOT / ".venv/image"
"""The base and buildah's storage, kept between runs."""
BASE = "localhost/python"
IMAGE = "localhost/verbatim"
SUITE = "bookworm"
PARTS = {
    "the model": "opt/models",
    "packages": "opt/venv",
    "the server": "srv/app",
}
VOLUMES = ("models", "keys")
"""Where it may write if something is mounted there, which is empty at first."""

LOOPBACK_UP = """
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
"""
"""In a new network even the loopback is down. Without iproute2, which not every machine has."""

_OUTSIDE = ("PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Variables by which a machine reaches the package index."""


class Health(TypedDict):
    Test: list[str]


class Config(TypedDict):
    """What matters of a Docker image's configuration, by Docker's names."""

    User: str
    Env: list[str]
    WorkingDir: str
    Entrypoint: list[str]
    Labels: dict[str, str]
    Healthcheck: Health


@dataclass(frozen=True)
class Image:
    config: Config
    files: Path
    """Its root file system."""

    @property
    def user(self) -> str:
        return self.config["User"]

    def command(self, *arguments: str, **variables: str) -> list[str]:
        """Runs `arguments` within the image as its user, with its environment and `variables`."""
        environment = [*self.config["Env"], *(f"{name}={each}" for name, each in variables.items())]
        inside = ["env", "-i", "-C", self.config["WorkingDir"], *environment, *arguments]
        return ["chroot", f"--userspec={self.user}", str(self.files), *inside]

    def run_alone(self, command: list[str]) -> subprocess.Popen[str]:
        """`command` where nothing but /tmp and the volumes can be written, and no other machine is.

        The mounts and the network end with it.
        """
        root = self.files
        user, group = self.user.split(":")
        volume = f"mount -t tmpfs -o uid={user},gid={group} tmpfs {root}"
        mounts = [
            f"mount --bind {root} {root}",
            f"mount -o remount,bind,ro {root}",
            f"mount -t tmpfs tmpfs {root}/tmp",
            *(f"{volume}/{each}" for each in VOLUMES),
            f"mount --rbind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
        ]
        script = "; ".join([*mounts, f"{sys.executable} -c '{LOOPBACK_UP}'", 'exec "$@"'])
        return subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-ec", script, "sh", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_beside(self, process: subprocess.Popen[str], command: list[str]) -> str:
        """What `command` prints where `process` runs. Raises CalledProcessError."""
        return _in_namespaces_of(process, ["mount", "net"], command)

    def call(self, process: subprocess.Popen[str], command: list[str]) -> str:
        """What a client prints, of this machine's programs, in the network where `process` runs.

        Raises CalledProcessError.
        """
        return _in_namespaces_of(process, ["net"], command)

    def sizes(self) -> dict[str, int]:
        """Bytes by part."""
        parts = {name: _bytes(self.files / path) for name, path in PARTS.items()}
        return {"Debian, Python, tini": _bytes(self.files) - sum(parts.values()), **parts}


def programs_missing() -> list[str]:
    """What this machine lacks, as Debian calls the packages."""
    return [name for name in ("buildah", "debootstrap", "curl") if shutil.which(name) is None]


@contextmanager
def built() -> Iterator[Image]:
    """Builds the image from the repository's root; its files are there within the context."""
    if not (CACHE / "base.ready").exists():
        _make_base()
    _buildah(
        "bud", "--quiet", "--format=docker", "--isolation=chroot", "--layers=false",
        "--volume=/etc/ssl/certs:/etc/ssl/certs:ro", *_pip_file(),
        *(f"--env={name}" for name in os.environ if name.upper().startswith(_OUTSIDE)),
        f"--build-arg=PYTHON_IMAGE={BASE}", f"--tag={IMAGE}", str(ROOT),
    )  # fmt: skip
    container = _buildah("from", "--pull-never", IMAGE)
    try:
        described = json.loads(_buildah("inspect", "--type=image", IMAGE))
        yield Image(described["Docker"]["config"], Path(_buildah("mount", container)))
    finally:
        _buildah("rm", container)
        _buildah("rmi", "--prune")  # the image of the run before, which has lost its name


def shown(sizes: Mapping[str, int]) -> str:
    """`sizes` as Markdown, in MB as registries count them."""
    rows = [f"| {name} | {size / 1e6:.1f} MB |" for name, size in sizes.items()]
    total = f"| together | {sum(sizes.values()) / 1e6:.0f} MB |"
    return "\n".join(["| | |", "|---|--:|", *rows, total])


def _in_namespaces_of(process: subprocess.Popen[str], kinds: list[str], command: list[str]) -> str:
    short = {"mount": "mnt"}
    entered = [f"--{each}=/proc/{process.pid}/ns/{short.get(each, each)}" for each in kinds]
    return subprocess.check_output(["nsenter", *entered, *command], text=True, timeout=120)


def _make_base() -> None:
    files = CACHE / "base"
    shutil.rmtree(files, ignore_errors=True)
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", packages, SUITE, str(files)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(files / "var/cache/apt/archives")
    container = _buildah("from", "scratch")
    _buildah("add", "--quiet", container, str(files), "/")
    _buildah("commit", "--quiet", "--rm", container, BASE)
    shutil.rmtree(files)
    (CACHE / "base.ready").touch()


def _pip_file() -> list[str]:
    path = Path("/etc/pip.conf")
    return [f"--volume={path}:{path}:ro"] if path.exists() else []


def _buildah(*arguments: str) -> str:
    CACHE.mkdir(parents=True, exist_ok=True)
    # vfs works where the kernel or another container forbids overlays.
    storage = [f"--root={CACHE / 'storage'}", f"--runroot={CACHE / 'run'}", "--storage-driver=vfs"]
    done = subprocess.run(["buildah", *storage, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout.strip()


def _bytes(path: Path) -> int:
    return int(subprocess.check_output(["du", "-sb", str(path)], text=True).split()[0])


if __name__ == "__main__":
    with built() as image:
        print(shown(image.sizes()))
