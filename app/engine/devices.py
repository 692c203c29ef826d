"""The device that models run on, chosen and checked before anything is loaded."""

import ctypes
import importlib.util
import os
from pathlib import Path

import ctranslate2

from app.errors import SetupError

CUBLAS = ("libcublas.so.12", "libnvrtc.so.12")
"""CTranslate2 opens the first by name at its first calculation; the first then opens the second."""

CPU_INFO = Path("/proc/cpuinfo")
AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"}
"""The last of the flags is of CPUs that do not slow down for wide instructions."""

_ON_THE_CPU = "or set VERBATIM_ENGINE__DEVICE=cpu"


def chosen_device(requested: str) -> str:
    """The device itself, or for `auto` a GPU if there is one."""
    if requested != "auto":
        return requested
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def check_device(device: str, compute_type: str, indexes: tuple[int, ...]) -> None:
    """Raises SetupError, naming the setting, for a device or type that is not available here."""
    if device == "cuda":
        _check_gpus(indexes)
        load_cublas()
    known = ctranslate2.get_supported_compute_types(device)
    if compute_type not in {"auto", "default", *known}:
        raise SetupError(
            f"VERBATIM_ENGINE__COMPUTE_TYPE={compute_type} is not to be had on this "
            f"{'GPU' if device == 'cuda' else 'CPU'}: auto, {', '.join(sorted(known))} are"
        )


def use_wide_instructions(cpu_info: Path = CPU_INFO) -> None:
    """Let CTranslate2's own operations use AVX-512 where the CPU has it, which it does not by
    itself: encoding then takes 12 % less time, decoding 6 % (docs/notes/engine.md).

    Call before the first model is loaded. A choice in the environment stays.
    """
    try:
        lines = cpu_info.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    if set(flags.split()) >= AVX512:
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")


def _check_gpus(indexes: tuple[int, ...]) -> None:
    count = ctranslate2.get_cuda_device_count()  # 0 also where the driver is too old
    if not count:
        raise SetupError(
            "VERBATIM_ENGINE__DEVICE=cuda needs an NVIDIA GPU with a driver for CUDA 12, and there "
            f"is none here (`nvidia-smi` would show it): install the driver, {_ON_THE_CPU}"
        )
    if missing := [index for index in indexes if index >= count]:
        raise SetupError(
            f"VERBATIM_ENGINE__DEVICE_INDEXES names GPU {missing[0]}, and they are numbered "
            f"from 0 to {count - 1} here"
        )


def load_cublas() -> None:
    """Load cuBLAS from the system or from the packages of requirements-cuda.txt.

    CTranslate2 then finds the loaded library by its name, wherever the file is. Raises SetupError
    if a library is missing.
    """
    for name in CUBLAS:
        for candidate in (name, *map(str, _packaged(name))):
            try:
                ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
            break
        else:
            raise SetupError(
                f"{name} is missing, which CTranslate2 needs on a GPU: `pip install -r "
                "requirements-cuda.txt` brings it (`make run` does so where nvidia-smi finds a "
                f"GPU), {_ON_THE_CPU}"
            )


def _packaged(name: str) -> list[Path]:
    """Paths of a library in NVIDIA's packages."""
    package = importlib.util.find_spec("nvidia")
    folders = package.submodule_search_locations if package else None
    return [path for folder in folders or () for path in Path(folder).glob(f"*/lib/{name}")]
