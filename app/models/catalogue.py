"""The served models by id, and their aliases. Nothing is loaded here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.engine.profile import ModelProfile
from app.errors import UnknownModel


@dataclass(slots=True)
class ServedModel:
    """A model of the configuration. Not frozen: the profile is set when the model is loaded."""

    id: str
    source: str
    """A known name, a hub id, a directory, or a prefix of an object store."""
    profile: ModelProfile
    is_pinned: bool = False
    """Loaded at start and never unloaded."""

    @property
    def owner(self) -> str:
        """The organisation of a hub id; `verbatim` for other ids."""
        return self.id.partition("/")[0] if "/" in self.id else "verbatim"


class Catalogue:
    """Finds models by id or alias; an id has precedence over an equal alias."""

    def __init__(self, models: Sequence[ServedModel], aliases: Mapping[str, str]) -> None:
        self.models = tuple(models)
        own = {model.id: model for model in models}
        self._by_name = {name: own[id] for name, id in aliases.items()} | own
        self.names = (*own, *(name for name in aliases if name not in own))

    def find(self, name: str) -> ServedModel:
        """The model with that id or alias. Raises UnknownModel."""
        try:
            return self._by_name[name]
        except KeyError:
            # OpenAI's words (docs/contract.md §4), for clients that match on them.
            raise UnknownModel(
                f"The model `{name}` does not exist or you do not have access to it.", "model"
            ) from None
