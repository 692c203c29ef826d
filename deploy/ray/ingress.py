"""The ingress of Ray Serve: one Verbatim in each replica, behind Serve's own proxy.

Settings are environment variables of the replicas, VERBATIM_…, as everywhere.
"""

from typing import TYPE_CHECKING, TypedDict

from ray import serve
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from app.services import Services


class State(TypedDict):
    """What the lifespan of the application makes for its requests."""

    services: "Services"


class WithState:
    """An application whose requests get the state of its lifespan, which Serve leaves out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: State

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.state = scope["state"]
        else:
            scope["state"] = self.state.copy()
        await self._app(scope, receive, send)


@serve.ingress()
class Verbatim:
    """One replica."""

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application; called by Serve in the process of the replica. Raises ValueError."""
        from app.settings import prepare_libraries, read_settings

        prepare_libraries()  # before app.application imports them
        from app.application import create_app
        from app.process.lifecycle import Lifecycle
        from app.telemetry import logging

        # Serve's proxy may listen anywhere, so that serving without keys has to be asked for.
        settings = read_settings(server={"host": "0.0.0.0"})
        telemetry = settings.telemetry
        logging.configure(telemetry.log_level, telemetry.log_format, telemetry.audit_batches)
        self._lifecycle = Lifecycle()
        self._app = WithState(create_app(settings, lifecycle=self._lifecycle))
        return self._app

    async def check_health(self) -> None:
        """Return once the models are loaded; Serve calls it before the first request, and then on.

        Raises RuntimeError if the replica is to be replaced.
        """
        await self._app.state["services"].registry.opening.wait()
        reason = self._lifecycle.refusal or self._lifecycle.failure
        if reason is not None:
            raise RuntimeError(reason)


verbatim = serve.deployment(Verbatim).bind()
