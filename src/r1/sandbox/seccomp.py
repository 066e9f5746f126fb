"""The system-call filter: a classic BPF program that the kernel runs at each system call.

It takes away what no contest program needs and what namespaces and rlimits do not bound:
* other processes and the kernel's insides: ptrace, process_vm_*, pidfd_getfd, keyrings, bpf, perf,
  userfaultfd, io_uring, modules, kexec;
* mounts and namespaces of one's own, by any call;
* sockets other than AF_UNIX: AF_VSOCK is not bounded by a network namespace, and AF_ALG, AF_NETLINK
  and their like are where kernels break;
* memory that belongs to no process, and so to no rlimit: memfd_create, System V shared memory,
  message queues and semaphores;
* ignoring SIGCHLD, where only processes can say what processor time a run has used;
* a lower priority or another scheduler: on a busy machine a program would starve by its own wish,
  and what starves has no verdict;
* pushing characters into a terminal, the 32-bit and x32 tables, calls younger than the table.

It is a list of what is refused, not of what is allowed: eight toolchains, three of them virtual
machines with a compiler inside, use nearly everything else. A refused call fails with EPERM, or
with ENOSYS where libraries then take another way (clone3 -> clone).

The numbers are those of Linux's asm/unistd.h; the format is that of linux/filter.h and
linux/seccomp.h (Documentation/userspace-api/seccomp_filter.rst).
"""

from __future__ import annotations

import errno
import platform
import signal
import struct
from typing import NamedTuple

from r1.errors import UserError


class Architecture(NamedTuple):
    """The differences between machines: the audit number and the column of the tables below."""

    audit: int
    column: int


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, 0), "aarch64": Architecture(0xC00000B7, 1)}

# name: (x86_64, aarch64); None where the machine has no such call
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # keyrings and the kernel's insides
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "syslog": (103, 116),
    "acct": (163, 89),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    # clocks and names
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # order of service
    "ioprio_set": (251, 30),
}
ABSENT: dict[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435),  # its flags stand in memory, where a filter cannot look
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}
IGNORED: dict[str, tuple[int | None, int | None]] = {
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
}
"""They succeed and do nothing: virtual machines ask for them, and live without."""
SIGACTION = (13, 134)
SETPRIORITY, SETSCHEDULER = (141, 140), (144, 119)
USUAL_SCHEDULERS = (0, 3, 5)
"""SCHED_OTHER, SCHED_BATCH, SCHED_IDLE; the others are real time."""
SOCKET, SOCKETPAIR = (41, 198), (53, 199)
CLONE, IOCTL, PERSONALITY = (56, 220), (16, 29), (135, 92)
FIRST_UNKNOWN = 451
"""Calls from here on (Linux 6.5 and later) are treated as not there: nobody has looked at them."""

NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET together."""
TERMINAL_IOCTLS = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TIOCSETD": 0x5423}
PERSONALITY_QUERY = 0xFFFFFFFF
AF_UNIX = 1

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000
_NEGATIVE = 0x80000000

Instruction = tuple[int, int, int, int]


def filter_program(machine: str | None = None, keeps_children: bool = False) -> bytes:
    """Return the filter as an array of `struct sock_filter`, for bubblewrap's --seccomp.

    machine: as `platform.machine()` says it. keeps_children: whether what is done with SIGCHLD
    stays as it is, at its default. A process that ignores that signal has children whose processor
    time nobody is told of when they end; so where no control group counts it, a call that would
    change it succeeds and does nothing. Raises UserError for a machine without a table.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise UserError(
            f"the sandbox has no system-call filter for {machine}, only for "
            f"{' and '.join(ARCHITECTURES)}; run code rewards on such a machine."
        )
    return b"".join(
        struct.pack("=HBBI", *step) for step in _program(ARCHITECTURES[machine], keeps_children)
    )


def _program(machine: Architecture, keeps_children: bool) -> list[Instruction]:
    refuse, absent = _fail(errno.EPERM), _fail(errno.ENOSYS)
    column = machine.column
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
        (_AT_LEAST, 0, 1, FIRST_UNKNOWN),
        absent,
    ]
    for calls, answer in ((REFUSED, refuse), (ABSENT, absent), (IGNORED, _fail(0))):
        numbers = [numbers[column] for numbers in calls.values()]
        for number in numbers:
            if number is not None:
                program += [(_EQUAL, 0, 1, number), answer]
    if keeps_children:
        nothing = [(_EQUAL, 0, 1, signal.SIGCHLD), _fail(0), _allow()]
        program += _with_argument(SIGACTION[column], 0, nothing)
    higher = [(_AT_LEAST, 0, 1, _NEGATIVE), refuse, _fail(0)]
    program += _with_argument(SETPRIORITY[column], 2, higher)
    usual = [step for kind in USUAL_SCHEDULERS for step in ((_EQUAL, 0, 1, kind), _fail(0))]
    program += _with_argument(SETSCHEDULER[column], 1, [*usual, refuse])
    for call in (SOCKET, SOCKETPAIR):
        only_unix = [(_EQUAL, 0, 1, AF_UNIX), _allow(), _fail(errno.EAFNOSUPPORT)]
        program += _with_argument(call[column], 0, only_unix)
    no_namespace = [(_ANY_BIT, 0, 1, NAMESPACE_FLAGS), refuse, _allow()]
    program += _with_argument(CLONE[column], 0, no_namespace)
    requests = [
        step for number in TERMINAL_IOCTLS.values() for step in ((_EQUAL, 0, 1, number), refuse)
    ]
    program += _with_argument(IOCTL[column], 1, [*requests, _allow()])
    harmless = [(_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, PERSONALITY_QUERY), _allow(), refuse]
    program += _with_argument(PERSONALITY[column], 0, harmless)
    return [*program, _allow()]


def _with_argument(number: int, index: int, block: list[Instruction]) -> list[Instruction]:
    """Return `block` for call `number`, with the low half of argument `index` loaded."""
    load = (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)  # little-endian: the low half comes first
    return [(_EQUAL, 0, len(block) + 1, number), load, *block]


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)


def _fail(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)
