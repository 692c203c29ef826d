"""The models that tests serve: a small one for plumbing, and real Whisper for words."""

from pathlib import Path

from app.models.directory import ModelsDirectory

STARTER = Path(__file__).parents[1] / "starter"
"""Small and fast; its id is `starter`."""

BASE = "base"
"""What VERBATIM_MODEL is for Whisper base, which `make test` pulls."""

NO_MODELS = ModelsDirectory(Path("/no/models"), offline=True)
"""For models that are named by their directory."""
