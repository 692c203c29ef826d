"""What this machine cannot do is found before anything is loaded. Here it has no GPU."""

import ctypes
import os
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


def test_ctranslate2_uses_wide_instructions_where_the_cpu_has_them() -> None:
    """In a process of its own, as CTranslate2 chooses once."""
    code = (
        "from app.models.loading import EngineChoices, load;"
        "from app.services import models_directory; from app.settings import read_settings;"
        "load('tests/starter', EngineChoices(device='cpu'), models_directory(read_settings()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"CT2_VERBOSE": "1"}, capture_output=True,
        text=True, check=True,
    ).stderr  # fmt: skip
    flags = set(devices.CPU_INFO.read_text(encoding="utf-8").split())
    assert f"Selected ISA: {'AVX512' if flags >= devices.AVX512 else 'AVX2'}" in told


@pytest.mark.parametrize(
    ("flags", "chosen", "instructions"),
    [
        ("avx2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni", None, "AVX512"),
        ("avx2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni", "AVX2", "AVX2"),
        ("avx2 avx512f avx512bw avx512cd avx512dq avx512vl", None, None),
        ("", None, None),
    ],
)
def test_wide_instructions_need_a_cpu_that_does_not_slow_down_for_them(
    flags: str,
    chosen: str | None,
    instructions: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {"CT2_FORCE_CPU_ISA": chosen} if chosen else {})
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n", encoding="utf-8")
    devices.use_wide_instructions(cpu_info)
    assert os.environ.get("CT2_FORCE_CPU_ISA") == instructions


def test_without_linux_instructions_are_left_to_ctranslate2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    devices.use_wide_instructions(tmp_path / "cpuinfo")
    assert not os.environ
