"""A filter of system calls for decoder processes: seccomp in mode FILTER, Linux only.

What is not needed to decode fails with EPERM: other programs, signals to other processes, files,
sockets, and whatever the kernel adds. Resource limits deny files and sockets as well, wherever
there is no seccomp. Numbers are from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl
and include/uapi/asm-generic/unistd.h), the program is classic BPF (linux/filter.h).
"""

import ctypes
import errno
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
"""SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO, to which an error number is added."""
_LOAD, _IF_EQUAL, _IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
"""BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_K and BPF_JEQ, BPF_JSET; BPF_RET | BPF_K."""
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
"""Offsets in struct seccomp_data."""
_CLONE_THREAD = 0x10000
"""Flag of clone: a thread and not a process."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""By machine: AUDIT_ARCH, and the column of the numbers below. Both are little-endian."""

_CLONE, _CLONE3 = (56, 220), (435, 435)
_ALLOWED = {
    # The most frequent first: the program is a list of comparisons.
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "setitimer": (38, 103),
    "futex": (202, 98),
    "rt_sigprocmask": (14, 135),
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "getrusage": (98, 165),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "getrandom": (318, 278),
    "rt_sigaction": (13, 134),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "membarrier": (324, 283),
    "getcpu": (309, 168),
    "uname": (63, 160),
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "poll": (7, None),
    "ppoll": (271, 73),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""Numbers on x86_64 and aarch64; None: there is no such call."""


class _Sequence(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class SystemCallFilter:
    """The filter, made before a fork: page faults of a new process are slow."""

    def __init__(self) -> None:
        known = _ARCHITECTURES.get(platform.machine()) if sys.platform == "linux" else None
        program = b"" if known is None else _program(*known)
        self._instructions = ctypes.create_string_buffer(program, len(program) or 1)
        address = ctypes.cast(self._instructions, ctypes.c_void_p)
        self._sequence = _Sequence(len(program) // 8, address)
        self._prctl = None if known is None else ctypes.CDLL(None).prctl

    def apply(self) -> bool:
        """Deny this thread, and those that it starts, all that decoding does not need, for good.

        Returns False where the system has no such filter.
        """
        if self._prctl is None or self._prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        sequence = ctypes.byref(self._sequence)
        is_set: bool = self._prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, sequence, 0, 0) == 0
        return is_set


def _program(architecture: int, column: int) -> bytes:
    """The filter's instructions; jumps are counted from the next one.

    clone makes threads only. The flags of clone3 lie in memory that a filter cannot read, so the
    kernel seems not to have it, and the C library takes clone.
    """
    numbers = [each[column] for each in _ALLOWED.values()]
    allowed = [number for number in numbers if number is not None]
    count = len(allowed)
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE_AT),
            _instruction(_IF_EQUAL, architecture, otherwise=count + 3),
            _instruction(_LOAD, _NUMBER_AT),
            _instruction(_IF_EQUAL, _CLONE3[column], then=count + 3),
            _instruction(_IF_EQUAL, _CLONE[column], then=count + 3),
            *(
                _instruction(_IF_EQUAL, number, then=count - index)
                for index, number in enumerate(allowed)
            ),
            _instruction(_RETURN, _ERROR | errno.EPERM),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _ERROR | errno.ENOSYS),
            _instruction(_LOAD, _FIRST_ARGUMENT_AT),
            _instruction(_IF_SET, _CLONE_THREAD, otherwise=1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _ERROR | errno.EPERM),
        ]
    )


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """struct sock_filter."""
    return struct.pack("<HBBI", code, then, otherwise, value)
