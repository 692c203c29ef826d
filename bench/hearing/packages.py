"""Packages of Debian 12 that hold real recordings: fetched once and checked."""

import gzip
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from app.domain import Samples
from bench.hearing.sources import CACHE


@dataclass(frozen=True, slots=True)
class Package:
    """A package of Debian 12: its name, version and sha256, and the licence of the recordings."""

    name: str
    version: str
    sha256: str
    licence: str

    def unpacked(self) -> Path:
        """The folder of its files. Raises RuntimeError where the package is another one."""
        folder = CACHE / f"{self.name}_{self.version}"
        if folder.is_dir():
            return folder
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["apt-get", "download", f"{self.name}={self.version}"]
        subprocess.run(command, cwd=CACHE, check=True, capture_output=True)
        version = self.version.replace(":", "%3a")
        (archive,) = CACHE.glob(f"{self.name}_{version}_*.deb")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != self.sha256:
            archive.unlink()
            raise RuntimeError(f"{archive.name} is not the package that this was written for")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
        return folder


@dataclass(frozen=True, slots=True)
class Prompts:
    """Announcements for callers, read by one person, and what is said in each."""

    language: str
    sounds: Package
    texts: Package

    def read(self) -> Iterator[tuple[str, Path, str]]:
        """Name, file and text of each prompt."""
        (listing,) = self.texts.unpacked().rglob("core-sounds-*.txt.gz")
        files = {
            str(file.relative_to(folder).with_suffix("")): file
            for folder in self.sounds.unpacked().glob("usr/share/asterisk/sounds/*")
            for file in folder.rglob("*.g722")
        }
        for line in gzip.decompress(listing.read_bytes()).decode("utf-8-sig").splitlines():
            name, _, text = line.partition(":")
            if not line.startswith(";") and name.strip() in files:
                yield name.strip(), files[name.strip()], text.strip()


ASTERISK = tuple(
    Prompts(
        language,
        Package(f"asterisk-core-sounds-{language}-g722", "1.6.1-1", sounds, licence),
        Package(f"asterisk-core-sounds-{language}", "1.6.1-1", texts, licence),
    )
    for language, sounds, texts, licence in (
        (
            "en",
            "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
            "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
            "CC BY-SA 3.0, Allison Smith",
        ),
        (
            "es",
            "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
            "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
            "CC BY-SA 3.0, Allison Smith",
        ),
        (
            "fr",
            "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
            "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
            "CC BY-SA 3.0, June Wallack",
        ),
        (
            "it",
            "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
            "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
            "CC BY 3.0, Carlo Flora",
        ),
        (
            "ru",
            "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
            "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
            "CC BY 3.0, Maxim Topal",
        ),
    )
)


def g722(file: Path) -> Samples:
    """The samples of one of Asterisk's files, which have no header."""
    with av.open(str(file), format="g722") as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(parts).astype(np.float32) / np.float32(2**15)
