"""Runs `python -m app` with a model whose prompts make it fail."""

import signal
import sys

from app.__main__ import main
from app.settings import prepare_libraries
from tests.support.live_server import LiveServer


class FaultyServer(LiveServer):
    module = "tests.support.faulty_server"


if __name__ == "__main__":
    prepare_libraries()
    from app.models import loading
    from tests.support.faulty_engine import FaultyEngine, hang

    signal.signal(signal.SIGUSR1, hang)  # on the main thread, which has the event loop
    loading.__dict__["WhisperEngine"] = FaultyEngine
    sys.exit(main())
