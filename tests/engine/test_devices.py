"""What this machine cannot do is found before anything is loaded. Here it has no GPU."""

import ctypes
import subprocess
import sys
from pathlib import Path

import ctranslate2
import pytest

from app.engine import devices
from app.engine.devices import check_device, load_cublas
from app.errors import SetupError


def test_a_gpu_that_is_not_there_is_named_with_the_setting() -> None:
    with pytest.raises(SetupError, match=r"^VERBATIM_ENGINE__DEVICE=cuda needs an NVIDIA GPU"):
        check_device("cuda", "auto", (0,))


def test_a_gpu_beyond_the_last_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 2)
    with pytest.raises(SetupError, match=r"DEVICE_INDEXES names GPU 2, .* from 0 to 1 here"):
        check_device("cuda", "auto", (0, 2))


@pytest.mark.parametrize("asked", ["int9", "float16", ""])
def test_a_compute_type_that_the_device_lacks_is_refused_with_those_it_has(asked: str) -> None:
    with pytest.raises(SetupError, match=rf"COMPUTE_TYPE={asked} .* CPU: auto, .*float32, int8"):
        check_device("cpu", asked, (0,))


def test_compute_types_of_the_device_are_accepted() -> None:
    for asked in ("auto", "int8", "float32"):
        check_device("cpu", asked, (0,))


def test_missing_cublas_names_the_package_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    with pytest.raises(SetupError, match=r"libcublas\.so\.12 is missing.*requirements-cuda\.txt"):
        check_device("cuda", "auto", (0,))


def test_a_library_of_a_package_is_found_by_its_name_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CTranslate2 opens it by name, as `ctypes.CDLL(name)` does here."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    (tmp_path / "nvidia" / "__init__.py").touch()
    name = "libverbatim-test.so.12"
    source = tmp_path / "it.c"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source], check=True
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(devices, "CUBLAS", (name,))
    with pytest.raises(OSError, match=name):
        ctypes.CDLL(name)
    load_cublas()
    assert ctypes.CDLL(name).answer() == 42
