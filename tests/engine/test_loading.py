import pytest

from app.engine import loading
from app.engine.loading import EngineChoices


def test_an_unknown_model_is_named() -> None:
    with pytest.raises((ValueError, RuntimeError, OSError)):
        loading.load("no-such-model", EngineChoices(device="cpu"))


@pytest.mark.parametrize(
    ("cores", "split"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (8, (2, 4)), (64, (16, 4))]
)
def test_cores_are_split_into_workers_of_up_to_four_threads(
    cores: int, split: tuple[int, int]
) -> None:
    assert loading._cpu_split(cores) == split


def test_a_directory_is_loaded_like_the_starter() -> None:
    engine = loading.load(str(loading.STARTER_DIRECTORY), EngineChoices(device="cpu", beam_size=1))
    assert engine.info.model == "starter"
    assert engine.info.beam_size == 1
    engine.warm_up()
