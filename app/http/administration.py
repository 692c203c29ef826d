"""The dependency of routes that need an administrator."""

from fastapi import Depends

from app.errors import NotAllowed
from app.http.state import ThePrincipal


async def _administrator(principal: ThePrincipal) -> None:
    if not principal.is_administrator:
        raise NotAllowed(
            "This needs an administrator's key: "
            "`python -m app.keys create --name NAME --admin` makes one."
        )


AsAdministrator = Depends(_administrator)
