"""Takes on work for a caller, whatever the transport."""

import json

from app.access.principal import Principal
from app.errors import ModelNotAllowed, UnknownModel
from app.openai.model_families import OPENAI_NAMES
from app.services import Services


def check_model(principal: Principal, services: Services, name: str) -> None:
    """Raises UnknownModel, and ModelNotAllowed unless the principal may use it.

    They may if they were given the name that is asked for, or the id of the model behind it.
    """
    try:
        served = services.registry.served_id(name)
    except UnknownModel as error:
        raise UnknownModel(f"{error} {_remedy(principal, services, name)}", "model") from None
    if not principal.may_use(name, served):
        # OpenAI's words for its projects (docs/contract.md §4).
        raise ModelNotAllowed(f"`{principal.name}` does not have access to model `{name}`.")


def _remedy(principal: Principal, services: Services, name: str) -> str:
    """Which models there are for the principal, and how an operator adds the one asked for."""
    registry = services.registry
    usable = [card.id for card in registry.cards() if principal.may_use(card.id, card.root)]
    # OpenAI's names go without saying, unless there are no others.
    ids = [each for each in usable if each not in OPENAI_NAMES] or usable
    setting = f"VERBATIM_MODELS__SERVED={json.dumps([name[:100]], ensure_ascii=False)}"
    return f"Models here: {', '.join(ids)}. The server's operator can add it: {setting}."
