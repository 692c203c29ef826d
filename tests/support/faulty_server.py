"""Runs `python -m app` with a model whose prompts make it fail, and which ends soon if it hangs."""

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
    from app.process import server
    from tests.support.faulty_engine import FaultyEngine, hang

    signal.signal(signal.SIGUSR1, hang)  # on the main thread, which has the event loop
    loading.__dict__["WhisperEngine"] = FaultyEngine
    server.__dict__.update(SESSIONS_SECONDS=1.0, CLOSING_SECONDS=4.0)
    sys.exit(main())
