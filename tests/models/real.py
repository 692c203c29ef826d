"""The one real download of the suite."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.live_server import ROOT


@dataclass(frozen=True)
class RealBase:
    """What `python -m app models pull base` did in an empty directory."""

    directory: Path
    status: int
    output: str
    errors: str

    @classmethod
    def pulled(cls, folder: Path) -> "RealBase":
        """Pulls it, unless another worker has."""
        note = folder / "note.json"
        if not note.exists():
            result = subprocess.run(
                [sys.executable, "-m", "app", "models", "pull", "base"],
                cwd=ROOT,
                env=os.environ | {"VERBATIM_MODELS__DIRECTORY": str(folder / "models")},
                capture_output=True,
                text=True,
                timeout=280,
            )
            done = cls(folder, result.returncode, result.stdout, result.stderr)
            note.parent.mkdir(exist_ok=True)
            note.write_text(json.dumps(asdict(done) | {"directory": None}))
        values = json.loads(note.read_text()) | {"directory": folder / "models"}
        return cls(**values)
