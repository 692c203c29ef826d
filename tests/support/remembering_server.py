"""Runs `python -m app` with models that compute each window once, for tests of many clients."""

import sys

from app.__main__ import main
from app.settings import prepare_libraries
from tests.support.live_server import LiveServer


class RememberingServer(LiveServer):
    module = "tests.support.remembering_server"


if __name__ == "__main__":
    prepare_libraries()
    from app.models import loading
    from tests.support.remembering_engine import RememberingEngine

    loading.__dict__["WhisperEngine"] = RememberingEngine
    sys.exit(main())
