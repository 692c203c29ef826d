import pytest

from app.errors import UnknownModel
from tests.models.shelf import Shelf, registry


async def test_an_unknown_name_is_named_and_loads_nothing() -> None:
    shelf = Shelf()
    async with registry(shelf, "a") as models:
        for refused in (models.load("z"), models.unload("z")):
            with pytest.raises(UnknownModel, match="`z`"):
                await refused
    assert shelf.loads == []


async def test_ids_go_before_aliases_and_hub_ids_name_their_owner() -> None:
    shelf = Shelf()
    aliases = {"whisper-1": "org/a", "b": "org/a"}
    async with registry(shelf, "org/a", "b", aliases=aliases) as models:
        cards = {card.id: card for card in models.cards()}
        assert list(cards) == ["org/a", "b", "whisper-1"]
        assert [card.owner for card in cards.values()] == ["org", "verbatim", "org"]
        assert cards["whisper-1"].description == "Served by 'org/a'. A Whisper model."
        assert cards["whisper-1"].created == 7
        await models.load("b")
    assert shelf.loads == ["b"]
