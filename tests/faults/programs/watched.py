"""A socket's descriptor and a program in; it run with each of its effects asked of who has the socket's other end out.

A seccomp filter lets through what changes nothing (the names come on the command line) and asks for all else, so that a
system call which nobody thought of is asked for, too. Filters are inherited: threads and children ask as well.
"""

from __future__ import annotations

import array
import ctypes
import os
import socket
import struct
import sys
import threading

ARCH, NUMBER, FIRST_ARGUMENT = 4, 0, 16  # struct seccomp_data
LOAD, EQUAL, ANY_BIT, GIVE = 0x20, 0x15, 0x45, 0x06
ALLOW, ASK, NO = 0x7FFF0000, 0x7FC00000, 0x00050001
X86_64 = 0xC000003E
SECCOMP, SET_MODE_FILTER, NEW_LISTENER, UNTIL_KILLED = 317, 1, 8, 32


def filtered(harmless: list[int], by_argument: list[tuple[int, int, int, list[int]]]) -> bytes:
    """Instructions of a filter. by_argument: call, argument, bits that make it an effect (0: none), values that do."""
    code = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, X86_64), (GIVE, 0, 0, NO), (LOAD, 0, 0, NUMBER)]
    for number in harmless:
        code += [(EQUAL, 0, 1, number), (GIVE, 0, 0, ALLOW)]
    for number, argument, bits, values in by_argument:
        part = [(LOAD, 0, 0, FIRST_ARGUMENT + 8 * argument)]
        if bits:
            part += [(ANY_BIT, 0, 1, bits), (GIVE, 0, 0, ASK)]
        for value in values:
            part += [(EQUAL, 0, 1, value), (GIVE, 0, 0, ASK)]
        part += [(GIVE, 0, 0, ALLOW)]
        code += [(EQUAL, 0, len(part), number), *part]
    code += [(GIVE, 0, 0, ASK)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def main() -> None:
    there = socket.socket(fileno=int(sys.argv[1]))
    harmless = [int(n) for n in sys.argv[2].split(",")]
    by_argument = []
    for text in sys.argv[3].split(";"):
        number, argument, bits, *values = (int(n) for n in text.split(","))
        by_argument.append((number, argument, bits, values))
    program = filtered(harmless, by_argument)
    room = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(room)))
    libc = ctypes.CDLL(None, use_errno=True)
    made = threading.Event()
    found: list[int] = []

    def hand_over() -> None:  # a thread of before the filter: it may send
        made.wait()
        there.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", found))])
        there.recv(1)

    thread = threading.Thread(target=hand_over)
    thread.start()
    fd = libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER | UNTIL_KILLED, described)
    error = ctypes.get_errno()
    found.append(max(fd, 0))
    made.set()
    thread.join()
    if fd < 0:
        sys.exit(f"no filter: {os.strerror(error)}")
    there.detach()
    os.set_inheritable(int(sys.argv[1]), False)
    os.execve(sys.argv[4], sys.argv[4:], os.environ)


main()
