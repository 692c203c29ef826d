"""`python -m app serve`: uvicorn with our settings, from the first check to the exit status."""

import argparse
import signal
import sys
import tempfile

import structlog

from app.settings import Settings, prepare_libraries, read_settings
from app.telemetry import logging


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings that people type; the environment can set all of them."""
    parser.add_argument("--host", help="where to listen (VERBATIM_SERVER__HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="(VERBATIM_SERVER__PORT, 8000)")
    parser.add_argument(
        "--model", help="a name, hub id, directory or prefix (VERBATIM_MODEL, base)"
    )
    parser.set_defaults(run=run)


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """Settings of the command line, then of the environment. Raises ValueError."""
    server = {name: getattr(arguments, name) for name in ("host", "port")}
    chosen: dict[str, object] = {
        "server": {name: value for name, value in server.items() if value is not None}
    }
    if arguments.model is not None:
        chosen["model"] = arguments.model
    return read_settings(**chosen)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, until the engine fails, or until no model can be loaded.

    Returns the exit status: 2 after one line on stderr where the server cannot start.
    """
    try:
        return _serve(chosen_settings(arguments))
    except ValueError as error:
        return refused(str(error))


def refused(reason: str) -> int:
    """Print in one line why the server cannot start; returns the exit status."""
    print(f"Verbatim cannot start: {reason}", file=sys.stderr)
    return 2


def _serve(settings: Settings) -> int:
    telemetry = settings.telemetry
    logging.configure(telemetry.log_level, telemetry.log_format, telemetry.audit_batches)
    if settings.audio.spool_dir is not None:
        tempfile.tempdir = str(settings.audio.spool_dir)  # where Starlette spools uploads
    prepare_libraries()  # before app.application imports them
    from app.engine.devices import check_device, chosen_device
    from app.process.memory import keep_memory
    from app.process.server import Server, bound_sockets, check_metrics_port, uvicorn_config

    engine = settings.engine
    device = chosen_device(engine.device)
    check_device(device, engine.compute_type, engine.device_indexes)
    sockets = bound_sockets(settings.server.host, settings.server.port)
    check_metrics_port(settings.server.host, telemetry.metrics_port)
    if device == "cpu":
        keep_memory()  # while this is the only thread
    from app.application import create_app
    from app.process.lifecycle import Lifecycle

    lifecycle = Lifecycle()
    app = create_app(settings, lifecycle=lifecycle)
    if not settings.access.is_guarded:
        structlog.get_logger(__name__).warning(
            "open_to_everybody",
            host=settings.server.host,
            note="no API keys are configured: whoever reaches this port may use it",
        )
    server = Server(uvicorn_config(app, settings.server), lifecycle)
    # uvicorn raises the signal again after draining, which would end the process with an error
    # after a clean stop; this handler ignores it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets)
    if lifecycle.refusal is not None:
        refused(lifecycle.refusal)
    return server.exit_status
