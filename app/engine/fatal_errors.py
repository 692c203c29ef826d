"""Failures of a device call after which no later call can succeed."""

# CUDA errors after which every later call of the process fails as well: the "sticky" ones of the
# CUDA runtime's documentation of cudaError_t, in the words of cudaGetErrorString. CTranslate2
# raises RuntimeError("CUDA failed with error " + the words).
_STICKY = (
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
    """Is it a sticky CUDA error, or is the host out of memory?

    Windows are of bounded size, so no single window is at fault when the host's memory runs out.
    CUDA's own "out of memory" is not fatal: a smaller batch may fit.
    """
    message = str(error)
    is_sticky = message.startswith("CUDA failed with error") and message.endswith(_STICKY)
    return is_sticky or isinstance(error, MemoryError)
