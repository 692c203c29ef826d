"""Which failures of a device call are the end of the engine and not of one window."""

# What CUDA says of an error after which every later call of the process fails as well: the
# "sticky" ones of the CUDA runtime's documentation of cudaError_t, as cudaGetErrorString words
# them. CTranslate2 raises RuntimeError("CUDA failed with error " + the words).
_LOST = (
    "an illegal memory access was encountered",
    "an illegal instruction was encountered",
    "device-side assert triggered",
    "hardware stack error",
    "invalid program counter",
    "misaligned address",
    "operation not supported on global/shared address space",
    "the launch timed out and was terminated",
    "uncorrectable ECC error encountered",
    "unspecified launch failure",
)


def is_fatal(error: Exception) -> bool:
    """Windows are of bounded size, so memory that runs out is not the fault of one of them.

    CUDA's own "out of memory" is another matter: a smaller batch may fit.
    """
    words = str(error)
    is_lost = words.startswith("CUDA failed with error") and words.endswith(_LOST)
    return is_lost or isinstance(error, MemoryError)
