"""What `fork_server.py` imports before it forks."""

import gc
from importlib import import_module

from app.settings import prepare_libraries

prepare_libraries()  # as `python -m app` does, before anything imports them
for name in (
    "app.application",
    "app.check",
    "app.jobs.command",
    "app.models.command",
    "app.process.server",
    "tests.support.live_server",  # of servers that are a module in tests/support
):
    import_module(name)
gc.freeze()  # a collection in a fork would write to all of it, and so copy it
