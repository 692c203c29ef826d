"""python -m app: uvicorn with our settings."""

import signal
import sys
import tempfile

import structlog

from app.config import prepare_libraries, read_settings
from app.telemetry import logging


def main() -> int:
    """Serve until SIGTERM or SIGINT, or until the engine breaks; returns the exit status."""
    try:
        settings = read_settings()
    except ValueError as error:
        return _refused(error)
    telemetry = settings.telemetry
    logging.configure(telemetry.log_level, telemetry.log_format, telemetry.audit_batches)
    if settings.audio.spool_dir is not None:
        tempfile.tempdir = str(settings.audio.spool_dir)  # where Starlette spools uploads
    prepare_libraries()  # before app.main imports them
    from app.engine.loading import chosen_device
    from app.engine.memory import keep_memory

    if chosen_device(settings.engine.device) == "cpu":
        keep_memory()  # while this is the only thread
    from app.lifecycle import Lifecycle
    from app.main import create_app
    from app.server import Server, uvicorn_config

    lifecycle = Lifecycle()
    try:
        app = create_app(settings, lifecycle=lifecycle)
    except ValueError as error:
        return _refused(error)
    if not settings.access.is_guarded:
        structlog.get_logger(__name__).warning(
            "open_to_everybody",
            host=settings.server.host,
            note="no API keys are configured: whoever reaches this port may use it",
        )
    server = Server(uvicorn_config(app, settings.server), lifecycle)
    # uvicorn raises the signal again once it has drained, which would end the process with an
    # error after a clean stop; the handler it then finds is this one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    return server.exit_status


def _refused(error: ValueError) -> int:
    print(f"Verbatim cannot start: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
