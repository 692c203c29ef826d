"""The models a process serves, by id and by the names that clients written for OpenAI use."""

from dataclasses import dataclass

from app.engine.model import SpeechModel
from app.errors import UnknownModel
from app.families import OPENAI_NAMES


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What `/v1/models` says of a name."""

    id: str
    created: int
    """Unix seconds."""
    description: str


class Registry:
    """One model under its own name and under OpenAI's names."""

    def __init__(self, model: SpeechModel) -> None:
        own, description = model.info.model, model.profile.description
        self._cards = {own: ModelCard(own, model.created, description)}
        for name in OPENAI_NAMES:
            note = f"Served by '{own}'. {description}"
            self._cards[name] = ModelCard(name, model.created, note)

    def cards(self) -> list[ModelCard]:
        return list(self._cards.values())

    def card(self, name: str) -> ModelCard:
        """Raises UnknownModel."""
        try:
            return self._cards[name]
        except KeyError:
            # OpenAI's words (docs/contract.md §4), for clients that match on them.
            raise UnknownModel(
                f"The model `{name}` does not exist or you do not have access to it.", "model"
            ) from None
