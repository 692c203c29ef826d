"""The models a process serves, by id and by the names that clients written for OpenAI use."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.engine.model import SpeechModel
from app.errors import UnknownModel

OPENAI_NAMES = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-transcribe",
)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What `/v1/models` says of a name."""

    id: str
    created: int
    """Unix seconds."""
    description: str


class Registry:
    """One model under its own name and under OpenAI's names."""

    def __init__(self, model: SpeechModel, created: int) -> None:
        self._model = model
        self._cards = self._make_cards(created)

    def _make_cards(self, created: int) -> Mapping[str, ModelCard]:
        own, description = self._model.info.model, self._model.profile.description
        cards = {own: ModelCard(own, created, description)}
        for name in OPENAI_NAMES:
            cards[name] = ModelCard(name, created, f"Served by '{own}'. {description}")
        return cards

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
