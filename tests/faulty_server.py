"""`python -m tests.faulty_server`: `python -m app` with a model whose prompts are its undoing."""

import signal
import sys

from app.__main__ import main
from app.config import prepare_libraries
from tests.live_server import LiveServer


class FaultyServer(LiveServer):
    module = "tests.faulty_server"


if __name__ == "__main__":
    prepare_libraries()
    from app.engine import loading
    from tests.faulty_engine import FaultyEngine, hang

    signal.signal(signal.SIGUSR1, hang)  # on the main thread, which has the event loop
    loading.__dict__["WhisperEngine"] = FaultyEngine
    sys.exit(main())
