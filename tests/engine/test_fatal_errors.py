import pytest

from app.engine.fatal_errors import is_fatal


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA failed with error an illegal memory access was encountered"),
        RuntimeError("CUDA failed with error unspecified launch failure"),
        RuntimeError("CUDA failed with error uncorrectable ECC error encountered"),
        MemoryError(),
    ],
    ids=str,
)
def test_after_these_nothing_can_work(error: Exception) -> None:
    assert is_fatal(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_SUPPORTED"),
        RuntimeError("an illegal memory access was encountered"),
        ValueError("prompts must not be empty"),
    ],
    ids=str,
)
def test_these_may_be_the_fault_of_one_batch(error: Exception) -> None:
    assert not is_fatal(error)
