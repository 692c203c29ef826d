"""Runs `python -m app` with ample time for each answer of Redis, for tests on busy machines."""

import sys
from functools import partial

from app.__main__ import main
from app.settings import prepare_libraries
from tests.support.live_server import LiveServer

ANSWER_SECONDS = 30.0


class PatientServer(LiveServer):
    module = "tests.support.patient_server"


if __name__ == "__main__":
    prepare_libraries()
    from app import services
    from app.access.limiter import limiter_of

    services.__dict__["limiter_of"] = partial(limiter_of, answer_seconds=ANSWER_SECONDS)
    sys.exit(main())
