"""Loading from this machine: what is served, what is refused, and in which words."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.errors import SetupError
from app.models import loading
from app.models.directory import ModelsDirectory
from app.models.loading import EngineChoices
from tests.support.model_names import STARTER

ON_CPU = EngineChoices(device="cpu", beam_size=1)


@pytest.fixture
def models(tmp_path: Path) -> ModelsDirectory:
    return ModelsDirectory(tmp_path / "models", offline=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTER, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("cores", "split"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (8, (2, 4)), (64, (16, 4))]
)
def test_cores_are_split_into_workers_of_up_to_four_threads(
    cores: int, split: tuple[int, int]
) -> None:
    assert loading._cpu_split(cores) == split


def test_a_directory_is_loaded(models: ModelsDirectory) -> None:
    engine = loading.load(str(STARTER), ON_CPU, models)
    assert (engine.info.model, engine.info.beam_size) == ("starter", 1)
    engine.warm_up()


def test_each_window_is_encoded_in_full_context_where_that_is_set(models: ModelsDirectory) -> None:
    short = loading.load(str(STARTER), ON_CPU, models)
    full = loading.load(str(STARTER), replace(ON_CPU, full_context=True), models)
    assert [each.is_context_full(5.0) for each in (short, full)] == [False, True]
    assert full.features(np.zeros(80_000, np.float32)).shape == (80, 3000)


def test_measured_models_need_less_silence_than_others(models: ModelsDirectory) -> None:
    margins = {
        name: loading.local_profile(name, models).context_margin_seconds
        for name in ("base", "Systran/faster-whisper-base", "large-v3", "org/any")
    }
    assert list(margins.values()) == [6.0, 6.0, 8.0, 8.0]


def test_a_model_that_is_not_here_is_named_with_the_command_that_brings_it(
    models: ModelsDirectory,
) -> None:
    with pytest.raises(SetupError, match=r"small is not in .*`python -m app models pull small`"):
        loading.load("small", ON_CPU, models)


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_directory_that_lacks_a_file_is_refused_without_the_network(
    models: ModelsDirectory, copy: Path, name: str
) -> None:
    (copy / name).unlink()
    with pytest.raises(SetupError, match=rf"is no CTranslate2 Whisper model: {name[:5]}.* is miss"):
        loading.load(str(copy), ON_CPU, models)
    (copy / name).touch()
    with pytest.raises(SetupError, match=rf"{name[:5]}.* is missing or empty"):
        loading.load(str(copy), ON_CPU, models)


def test_truncated_weights_and_weights_of_noise_are_refused_in_one_line(
    models: ModelsDirectory, copy: Path
) -> None:
    weights = copy / "model.bin"
    whole = weights.read_bytes()
    noise = np.random.default_rng(0).bytes(len(whole))
    for damaged in (whole[: len(whole) // 2], noise, b"\0" * 100):
        weights.write_bytes(damaged)
        with pytest.raises(SetupError, match="cannot be loaded on the cpu: ") as refused:
            loading.load(str(copy), ON_CPU, models)
        assert "\n" not in str(refused.value)
        assert str(copy) in str(refused.value)


def test_a_tokenizer_and_a_configuration_that_are_no_json_are_refused(
    models: ModelsDirectory, copy: Path
) -> None:
    for name in ("tokenizer.json", "config.json"):
        whole = (copy / name).read_text()
        (copy / name).write_text("{")
        with pytest.raises(SetupError, match="cannot be loaded on the cpu: "):
            loading.load(str(copy), ON_CPU, models)
        (copy / name).write_text(whole)


def test_a_flipped_bit_is_refused_where_digests_were_recorded(
    models: ModelsDirectory, copy: Path
) -> None:
    home = models.root / "org--mine"
    shutil.copytree(copy, home)
    (home / "manifest.json").write_text(
        json.dumps({"source": "org/mine", "files": _digests(home)}), encoding="utf-8"
    )
    assert loading.load("org/mine", ON_CPU, models).info.model == "org/mine"
    weights = bytearray((home / "model.bin").read_bytes())
    weights[len(weights) // 2] ^= 1
    (home / "model.bin").write_bytes(weights)
    with pytest.raises(SetupError, match=r"is damaged: model\.bin does not have its digest; "):
        loading.load("org/mine", ON_CPU, models)


def _digests(folder: Path) -> dict[str, object]:
    from app.models.manifest import digest_of, model_files

    return {path.name: digest_of(path).model_dump() for path in model_files(folder)}
