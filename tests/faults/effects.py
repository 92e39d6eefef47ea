"""A system call that changes something in, its kind and the ways in which it can fail out.

What is not named as harmless here is an effect; receiving is one, since an answer may be lost. So a call that nobody
thought of is tried as well, with errors that fit any call.
"""

from __future__ import annotations

import re
from errno import (
    EACCES,
    EAGAIN,
    EBUSY,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTUNREACH,
    EINTR,
    EIO,
    EMFILE,
    ENOBUFS,
    ENODEV,
    ENOLCK,
    ENOMEM,
    ENOSPC,
    EPERM,
    EPIPE,
    ETIMEDOUT,
    errorcode,
)

NUMBERS = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39,
    "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47,
    "shutdown": 48, "bind": 49, "listen": 50, "getsockname": 51, "getpeername": 52, "socketpair": 53,
    "setsockopt": 54, "getsockopt": 55, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "exit": 60, "wait4": 61,
    "kill": 62, "uname": 63, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75, "truncate": 76,
    "ftruncate": 77, "getdents": 78, "getcwd": 79, "chdir": 80, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85,
    "link": 86, "unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93,
    "umask": 95, "gettimeofday": 96, "getrlimit": 97, "sysinfo": 99, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "arch_prctl": 158,
    "prctl": 157, "mount": 165, "umount2": 166, "gettid": 186, "futex": 202, "getdents64": 217,
    "set_tid_address": 218, "fadvise64": 221, "clock_gettime": 228, "clock_nanosleep": 230, "exit_group": 231,
    "epoll_wait": 232, "epoll_ctl": 233, "openat": 257, "mkdirat": 258, "newfstatat": 262, "unlinkat": 263,
    "renameat": 264, "linkat": 265, "symlinkat": 266, "readlinkat": 267, "fchmodat": 268, "faccessat": 269,
    "unshare": 272, "set_robust_list": 273, "utimensat": 280, "epoll_pwait": 281, "eventfd2": 290,
    "epoll_create1": 291, "fallocate": 285, "accept4": 288, "dup3": 292, "pipe2": 293, "prlimit64": 302, "setns": 308,
    "sendmmsg": 307, "renameat2": 316, "getrandom": 318, "memfd_create": 319, "statx": 332, "rseq": 334,
    "clone3": 435, "faccessat2": 439, "open": 2, "getresuid": 118, "getresgid": 120, "sched_getaffinity": 204,
    "tgkill": 234, "waitid": 247, "pidfd_open": 434, "getpgrp": 111, "getpgid": 121, "close_range": 436,
    "restart_syscall": 219, "ppoll": 271, "pselect6": 270, "capget": 125, "fchdir": 81, "getxattr": 191,
    "lgetxattr": 192, "times": 100, "getrusage": 98,
    "membarrier": 324, "setpgid": 109,
}  # fmt: skip
NAMES = {number: name for name, number in NUMBERS.items()}
HARMLESS = frozenset(
    re.findall(
        r"\w+",
        """
    read close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl
    pread64 readv access pipe select sched_yield mremap madvise dup dup2 nanosleep getpid accept shutdown listen
    getsockname getpeername setsockopt getsockopt execve exit wait4 kill uname getdents getcwd chdir readlink
    umask gettimeofday getrlimit sysinfo getuid getgid geteuid getegid getppid sigaltstack statfs fstatfs
    arch_prctl prctl gettid futex getdents64 set_tid_address fadvise64 clock_gettime clock_nanosleep epoll_wait
    epoll_ctl newfstatat readlinkat faccessat set_robust_list epoll_pwait eventfd2 epoll_create1 accept4 dup3
    pipe2 prlimit64 getrandom statx rseq faccessat2 getresuid getresgid sched_getaffinity tgkill waitid pidfd_open
    getpgrp getpgid close_range restart_syscall ppoll pselect6 capget fchdir getxattr lgetxattr times getrusage
    membarrier
    """,
    )
)
"""What reads, waits, or changes the process itself alone."""
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
_LOCKING = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, and those of open files
BY_ARGUMENT = (("openat", 2, _WRITING, ()), ("open", 1, _WRITING, ()), ("fcntl", 1, 0, _LOCKING))
"""Effects for some values of one argument only: its number, bits of which any counts, values."""

SHORT, REFUSED = "short", "refused"
"""Half of what was to be written is; the kernel takes the message and its answer is an error."""
LOST, OVER, CUT, UNAVAILABLE = "lost", "over", "cut", "unavailable"
"""Of a line to etcd: what is sent arrives nowhere, and no answer comes; the line is closed in place of the answer, or
in the middle of it; the answer is that etcd has had no time, whatever it has done."""
CHILD = "child ended"
"""SIGKILL for the child that does the effect; its parent goes on."""
OF_A_CHILD = "child: "
"""Before the kind of what another process than the first one does."""
_FILE = (ENOSPC, EIO, SHORT)
_ERRORS: dict[str, tuple[int | str, ...]] = {
    "write": _FILE,
    "pwrite64": _FILE,
    "writev": (ENOSPC, EIO),
    "fsync": (EIO, ENOSPC),
    "fdatasync": (EIO, ENOSPC),
    "ftruncate": (EIO, ENOSPC),
    "fallocate": (ENOSPC,),
    "openat": (EMFILE, ENOSPC, EACCES, EINTR),
    "mkdir": (ENOSPC, EACCES),
    "unlink": (EIO, EBUSY),
    "rename": (ENOSPC, EIO),
    "link": (ENOSPC, EPERM),
    "fcntl": (ENOLCK, EIO),
    "flock": (EINTR, ENOLCK),
    "socket": (EMFILE, ENOMEM),
    "socketpair": (EMFILE, ENOMEM),
    "bind": (ENOMEM, EPERM),
    "connect": (ECONNREFUSED, ETIMEDOUT, EINTR, EHOSTUNREACH),
    "setns": (EPERM, ENOMEM),
    "unshare": (EPERM, ENOMEM),
    "mount": (EPERM, EBUSY, ENOMEM),
    "umount2": (EBUSY, EPERM),
    "clone": (EAGAIN, ENOMEM),
    "clone3": (EAGAIN, ENOMEM),
    "exit_group": (),
}
_NETLINK: tuple[int | str, ...] = (ENOBUFS, ENOMEM, EPERM, REFUSED)
_ANY: tuple[int | str, ...] = (EPERM, ENOMEM, EIO)
_LINE: dict[str, tuple[int | str, ...]] = {
    "sendto": (ECONNRESET, EPIPE, SHORT, LOST),
    "recvfrom": (ECONNRESET, ETIMEDOUT, OVER, CUT, UNAVAILABLE),
    "peek": (ECONNRESET, ENOMEM),
}
MESSAGES = {
    16: "NEWLINK", 17: "DELLINK", 18: "GETLINK", 19: "SETLINK", 20: "NEWADDR", 21: "DELADDR", 22: "GETADDR",
    24: "NEWROUTE", 25: "DELROUTE", 26: "GETROUTE", 28: "NEWNEIGH", 29: "DELNEIGH", 32: "NEWRULE", 33: "DELRULE",
    34: "GETRULE",
}  # fmt: skip


def errors_of(kind: str) -> tuple[int | str, ...]:
    """How a call of this kind is tried to fail: error numbers, SHORT, REFUSED."""
    if kind.startswith(OF_A_CHILD):
        return CHILD, *errors_of(kind.removeprefix(OF_A_CHILD))
    name, _, what = kind.partition(" ")
    if what.startswith("http") and name in ("sendto", "recvfrom"):
        return _LINE[name if what != "http peek" else "peek"]
    if name in ("sendto", "sendmsg") and what.startswith(("route", "nft", "ctnetlink")):
        asks = all(word.startswith("GET") for word in what.split()[1:]) and what.startswith("route ")
        return tuple(e for e in _NETLINK if e != REFUSED or not asks)
    if name in ("recvfrom", "recvmsg"):  # what was asked for is done, and nobody learns of it
        return (ENOBUFS, ENOMEM) if what.startswith("netlink") else ()
    if name == "write" and what.startswith("/proc/sys/"):
        return EPERM, ENODEV, EIO
    if name == "write" and what == "pipe":
        return (EIO,)
    return _ERRORS.get(name, _ANY)


def word_of(error: int | str) -> str:
    return error if isinstance(error, str) else errorcode[error]


_OF_A_RUN = re.compile(
    r"""[0-9a-f]{12,}                   # an id, a nonce
    | (?<=/cali)[0-9a-f]{11}            # an interface
    | (?<=/locks/)[0-9a-f]{2}$ | (?<=/locks/chain-)[0-9a-f]{2}$
    | (?<=/cni/networks/web/)[0-9a-f.:]+$ # an address of host-local's
    """,
    re.VERBOSE,
)


def normal(path: str) -> str:
    """A path without what differs from run to run."""
    return re.sub(r"/proc/\d+/", "/proc/N/", _OF_A_RUN.sub("*", path.removesuffix(" (deleted)")))
