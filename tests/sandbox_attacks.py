"""What a hostile program tries against the machine it runs on. One attack an entry.

A program that gets what it should not prints ESCAPED. One that is refused prints "contained" and
ends well; one that only burns a resource must end with one of its `ends`. The words in «» are
filled in by the test: a file and a port of the host, its process id, a secret of its environment.
"""

# ruff: noqa: E501 (one attack a line where it fits)
from __future__ import annotations

from dataclasses import dataclass

from r1.sandbox import Limits, Status

OK, WRONG = Status.OK, Status.RUNTIME_ERROR
TIME, MEMORY, OUTPUT = Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT
SHORT = Limits(wall_s=0.6, memory_mb=128)
SMALL = Limits(wall_s=20.0, memory_mb=64)
USUAL = Limits(wall_s=20.0)


@dataclass(frozen=True)
class Attack:
    """A program and the ends it may come to."""

    name: str
    source: str
    ends: tuple[Status, ...] = (OK,)
    language: str = "python"
    limits: Limits = USUAL
    compile_s: float = 30.0


PYTHON = """
import ctypes, errno, mmap, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    "A system call; its errno, 0 where the kernel did it."
    ctypes.set_errno(0)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *words) == -1 else 0
def escaped(what, did_it):
    if did_it:
        print("ESCAPED", what, flush=True)
def works(action, *arguments):
    try:
        action(*arguments)
        return True
    except OSError:
        return False
def readable(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(4096))
    except OSError:
        return False
def writable(path):
    try:
        with open(path, "ab") as file:
            file.write(b"x")
        return True
    except OSError:
        return False
import atexit
atexit.register(lambda: print("contained"))
"""

PROCESSES = [
    Attack("fork bomb", "while True:\n  try: os.fork()\n  except OSError: pass", (TIME, MEMORY), limits=SHORT),
    Attack("fork bomb in a shell", ":(){ :|:& };:; wait; sleep 9", (TIME,), "bash", SHORT),
    Attack(
        "forks until refused",
        """
children = []
try:
    for _ in range(10000):
        pid = os.fork()
        if pid == 0:
            time.sleep(60); os._exit(0)
        children.append(pid)
except OSError as error:
    escaped("limit on processes", len(children) > 40)
else:
    escaped("no limit on processes", True)
""",
    ),
    Attack(
        "thread bomb",
        """
threading.stack_size(65536)
count = 0
try:
    while count < 5000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); count += 1
except RuntimeError:
    pass
escaped("limit on threads", count > 40)
sys.stdout.flush(); print("contained", flush=True); os._exit(0)
""",
    ),
    Attack("endless loop", "while True: pass", (TIME,), limits=SHORT),
    Attack("sleeps", "time.sleep(600)", (TIME,), limits=SHORT),
    Attack(
        "ignores every signal",
        "for s in range(1, 65):\n  try: signal.signal(s, signal.SIG_IGN)\n  except (OSError, ValueError): pass\n"
        "while True: pass",
        (TIME,),
        limits=SHORT,
    ),
    Attack("stops itself and all others", "os.fork(); works(os.kill, -1, signal.SIGSTOP); os.kill(0, signal.SIGSTOP); time.sleep(60)", (TIME,), limits=SHORT),
    Attack(
        "daemon outlives its parent",
        """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3): os.close(fd)
        time.sleep(60)
    os._exit(0)
""",
    ),
    Attack(
        "daemon keeps the pipes open",
        """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(0.1); os.write(1, b".")
    os._exit(0)
""",
    ),
    Attack("nohup in a shell", "nohup setsid sleep 600 >/dev/null 2>&1 & disown; echo contained", (OK,), "bash"),
    Attack("execs itself for ever", "os.execv(sys.executable, [sys.executable] + sys.argv)", (TIME,), limits=SHORT),
    Attack("deep recursion", "def f(n): return f(n + 1) + 1\nsys.setrecursionlimit(10**9); f(0)", (WRONG, MEMORY), limits=SMALL),
    Attack("deep recursion in C++", "int f(volatile int n) { return f(n + 1) + n; } int main() { return f(0); }", (WRONG,), "cpp", SMALL),
    Attack(
        "signals to others",
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
escaped("signal to the host's tests", works(os.kill, «pid», signal.SIGTERM))
for pid in range(3, 400):
    if pid != os.getpid():
        escaped(f"signal to {pid}", works(os.kill, pid, 0))
""",
    ),
    Attack("kills everything it sees", "works(os.kill, -1, signal.SIGKILL); works(os.kill, 1, signal.SIGKILL)"),
    Attack("kills its own first process", "os.kill(1, signal.SIGTERM); os.kill(1, signal.SIGKILL); os.kill(1, signal.SIGSTOP); time.sleep(.2)"),
    Attack("dies of a signal", "os.kill(os.getpid(), signal.SIGKILL)", (WRONG,)),
    Attack("dumps its core", "os.abort()", (WRONG,)),
    Attack(
        "high priority",
        """
escaped("nice", works(os.nice, -10))
escaped("real time", works(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(10)))
""",
    ),
    Attack(
        "lifts its limits",
        """
for name in dir(resource):
    if name.startswith("RLIMIT_"):
        number = getattr(resource, name)
        soft, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            try:
                resource.setrlimit(number, (soft, hard + 1))
                print("ESCAPED", name)
            except (ValueError, OSError):
                pass
""",
    ),
    Attack(
        "children that are gone leave nothing",
        """
for _ in range(50):
    if os.fork() == 0: os._exit(0)
    os.wait()
""",
    ),
]  # fmt: skip

RESOURCES = [
    Attack("one great allocation", "x = bytearray(8 << 30)", (MEMORY,)),
    Attack("grows for ever", "x = []\nwhile True: x.append(bytearray(1 << 20))", (MEMORY,), limits=SMALL),
    Attack(
        "many processes, each below the limit",
        """
for _ in range(20):
    if os.fork() == 0: break
x = bytearray(40 << 20)
for i in range(0, len(x), 4096): x[i] = 1
time.sleep(5)
""",
        (MEMORY,),
        limits=SMALL,
    ),
    Attack(
        "shared memory of no process",
        """
for number, arguments in ((319, (b"x", 0)), (29, (0, 1 << 30, 0o1666)), (447, (0,))):
    escaped(f"call {number}", call(number, *arguments) == 0)
""",
    ),
    Attack(
        "messages and semaphores",
        """
for number, arguments in ((68, (0, 0o1666)), (64, (0, 100, 0o1666)), (240, (b"/q", os.O_CREAT | os.O_RDWR, 0o600, 0))):
    escaped(f"call {number}", call(number, *arguments) == 0)
""",
    ),
    Attack("memory in C++", "#include <cstdlib>\n#include <cstring>\nint main() { for (;;) { void *p = malloc(1 << 20); if (!p) return 1; memset(p, 1, 1 << 20); } }", (MEMORY, WRONG), "cpp", SMALL),
    Attack(
        "fills the disk",
        """
written = 0
for folder in ("/tmp", "/dev/shm", "/var/tmp", "/program", "/", "/dev", "/run"):
    for number in range(64):
        try:
            with open(f"{folder}/fill{folder.count('/')}{folder[-1]}{number}", "wb") as file:
                for _ in range(15): written += file.write(bytes(1 << 20))
        except OSError:
            break
escaped(f"wrote {written >> 20} MiB", written > 17 << 20)
""",
    ),
    Attack("one great file", "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(1 << 20))", (WRONG,)),
    Attack("a file with a hole", "open('/tmp/x', 'wb').truncate(1 << 40)", (WRONG,)),
    Attack(
        "thousands of files",
        "for i in range(10**9): open(f'/tmp/{i}', 'w').close()",
        (TIME, WRONG, MEMORY),
        limits=SHORT,
    ),
    Attack(
        "thousands of open files",
        """
files = []
try:
    while len(files) < 5000: files.append(open("/dev/null"))
except OSError:
    pass
escaped(f"{len(files)} files", len(files) > 64)
""",
    ),
    Attack(
        "pipes full of data",
        """
held = 0
try:
    for _ in range(64):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        while True:
            try: held += os.write(writer, bytes(65536))
            except BlockingIOError: break
except OSError:
    pass
escaped(f"{held} bytes", held > 64 << 20)
""",
    ),
    Attack("endless output", "while True: os.write(1, b'x' * 65536)", (OUTPUT,)),
    Attack("endless errors", "while True: os.write(2, b'x' * 65536)", (OUTPUT,)),
    Attack("endless output of a shell", "yes", (OUTPUT,), "bash"),
    Attack("endless output and silence", "os.write(1, b'x' * (1 << 20)); time.sleep(60)", (OUTPUT,)),
    Attack("output that is no text", "os.write(1, bytes(range(256)) * 9); os.write(1, b'\\xed\\xa0\\x80')"),
    Attack(
        "burns every core",
        # 256 processes are asked for and 32 allowed: whoever cannot fork burns a core as well.
        "for _ in range(8):\n    try: os.fork()\n    except OSError: pass\nwhile True: pass",
        (TIME,),
        limits=SHORT,
    ),
]  # fmt: skip

FILES = [
    Attack(
        "reads the host's files",
        """
paths = ["«file»", "«project»", "/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/ssh/sshd_config",
         "/root/.bashrc", "/home", "/var/log/dpkg.log", "/var/lib/dpkg/status", "/boot", "/sys/kernel",
         "/run/utmp", "/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda",
         "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/tty", "/sys/fs/cgroup"]
for path in paths:
    escaped(f"read {path}", readable(path) or (os.path.isdir(path) and os.listdir(path)))
for folder in ("/root", "/home", "/work", "/var", "/mnt", "/media", "/opt", "/srv", "/sys", "/boot", "/run", "/oldroot", "/newroot"):
    escaped(f"list {folder}", os.path.exists(folder))
""",
    ),
    Attack(
        "writes outside",
        """
for folder in ("/", "/usr", "/usr/bin", "/usr/local", "/usr/lib", "/etc", "/program", "/dev", "/proc", "/proc/sys/kernel", "/bin"):
    escaped(f"write {folder}", writable(f"{folder}/r1-attack"))
for path in ("/usr/bin/python3", "/etc/ld.so.cache", "/program/main.py", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern",
             "/proc/sys/kernel/hostname", "/proc/self/uid_map", "/proc/self/setgroups", "/proc/1/oom_score_adj", "/proc/sys/vm/drop_caches"):
    escaped(f"write {path}", writable(path))
escaped("chmod", works(os.chmod, "/program/main.py", 0o777) or works(os.chmod, "/usr", 0o777))
escaped("remove", works(os.remove, "/program/main.py") or works(os.rename, "/program", "/p"))
""",
    ),
    Attack(
        "links to what it may not have",
        """
for number, target in enumerate(("«file»", "/etc/shadow", "/proc/1/root/etc/shadow", "/proc/1/root«file»", "/proc/1/cwd/../etc/shadow")):
    os.symlink(target, f"/tmp/link{number}")
    escaped(f"link to {target}", readable(f"/tmp/link{number}"))
for target in ("/usr/bin/python3", "/program/main.py", "/etc/ld.so.cache"):
    escaped(f"hard link to {target}", works(os.link, target, "/tmp/hard"))
""",
    ),
    Attack(
        "climbs out of the root",
        """
for up in range(1, 40):
    escaped("..", readable("../" * up + "«file»".lstrip("/")))
for name in os.listdir("/proc/self/fd"):
    try:
        escaped("open folder", os.path.isdir(f"/proc/self/fd/{name}") and readable(f"/proc/self/fd/{name}/../../../..«file»"))
    except OSError:
        pass
escaped("chroot", call(161, b"/tmp") == 0)
""",
    ),
    Attack(
        "descriptors left open",
        """
for fd in range(3, 4096):
    try:
        os.fstat(fd)
        print("ESCAPED", fd, os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        pass
""",
    ),
    Attack(
        "secrets of the environment",
        """
escaped("own", any("«secret»" in value for value in os.environ.values()))
escaped(f"more than needed: {os.environ}", len(os.environ) > 8)
for pid in os.listdir("/proc"):
    if pid.isdigit():
        for name in ("environ", "cmdline"):
            try: escaped(f"{pid} {name}", b"«secret»" in open(f"/proc/{pid}/{name}", "rb").read())
            except OSError: pass
""",
    ),
    Attack(
        "other processes in /proc",
        """
pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
escaped(f"sees {pids}", len(pids) > 2 or max(pids) > 50)
escaped("the host's tests", os.path.exists("/proc/«pid»/status") and "pytest" in open("/proc/«pid»/cmdline").read())
""",
    ),
    Attack(
        "changes its own input and program",
        """
escaped("stdin", writable("/proc/self/fd/0") or works(os.ftruncate, 0, 0) or works(os.write, 0, b"x"))
escaped("again", writable("/dev/stdin") or works(os.truncate, "/proc/self/fd/0", 1))
""",
    ),
    Attack(
        "setuid programs",
        """
os.system("cp /bin/bash /tmp/sh 2>/dev/null; chmod 6755 /tmp/sh")
for command in (["/tmp/sh", "-p", "-c", "id -u"], ["su", "-c", "id -u"], ["sudo", "-n", "id", "-u"], ["mount", "-t", "tmpfs", "x", "/tmp"], ["passwd", "-S"]):
    try:
        done = subprocess.run(command, capture_output=True, timeout=3, stdin=subprocess.DEVNULL)
        escaped(command, done.returncode == 0 and done.stdout.strip() in (b"0", b""))
    except OSError:
        pass
for change in (os.setuid, os.setgid, os.seteuid):
    escaped(change, works(change, 0))
escaped("groups", works(os.setgroups, [0]))
escaped("capabilities", int([l for l in open("/proc/self/status") if l.startswith("CapEff")][0].split()[1], 16))
""",
    ),
    Attack(
        "device files",
        """
import stat
escaped("mknod", works(os.mknod, "/tmp/disk", stat.S_IFBLK | 0o666, os.makedev(254, 0)))
escaped("mknod", works(os.mknod, "/tmp/mem", stat.S_IFCHR | 0o666, os.makedev(1, 1)))
escaped("more devices", set(os.listdir("/dev")) - {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm"})
""",
    ),
]  # fmt: skip

NETWORK = [
    Attack(
        "connects to the host",
        """
for host in ("127.0.0.1", "«address»", "169.254.169.254", "8.8.8.8"):
    try:
        socket.create_connection((host, «port»), timeout=0.5)
        print("ESCAPED", host)
    except OSError:
        pass
""",
    ),
    Attack(
        "sockets of every family",
        """
for family in range(50):
    for kind in (1, 2, 3, 5, 10):
        for protocol in (0, 15, 16):
            error = call(41, family, kind, protocol)
            escaped(f"family {family} kind {kind}", error == 0 and family != socket.AF_UNIX)
pair = (ctypes.c_int * 2)()
escaped("TIPC pair", call(53, 30, 1, 0, pair) == 0)
""",
    ),
    Attack("the shell's own network", "(echo x > /dev/tcp/127.0.0.1/«port») 2>/dev/null && echo ESCAPED; (echo x > /dev/udp/127.0.0.1/«port») 2>/dev/null && echo ESCAPED; echo contained", (OK,), "bash"),
    Attack(
        "the host's abstract socket",
        """
with socket.socket(socket.AF_UNIX) as channel:
    try:
        channel.connect("\\0«abstract»")
        print("ESCAPED")
    except OSError:
        pass
for path in ("/var/run/docker.sock", "/run/dbus/system_bus_socket", "/tmp/.X11-unix/X0", "«socket»"):
    with socket.socket(socket.AF_UNIX) as channel:
        escaped(path, works(channel.connect, path))
""",
    ),
    Attack("names of the network", "socket.getaddrinfo('example.com', 80)", (WRONG,)),
]  # fmt: skip

KERNEL = [
    Attack(
        "traces others",
        """
PTRACE_ATTACH, PTRACE_SEIZE, PTRACE_TRACEME = 16, 0x4206, 0
for pid in (1, 2, os.getppid()):
    escaped(f"attach {pid}", call(101, PTRACE_ATTACH, pid, 0, 0) == 0 or call(101, PTRACE_SEIZE, pid, 0, 0) == 0)
escaped("traceme", call(101, PTRACE_TRACEME, 0, 0, 0) == 0)
""",
    ),
    Attack(
        "memory of others",
        """
word = ctypes.create_string_buffer(8)
class Piece(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
mine = Piece(ctypes.addressof(word), 8)
for number in (310, 311):
    escaped(f"call {number}", call(number, os.getppid(), ctypes.byref(mine), 1, ctypes.byref(mine), 1, 0) == 0)
for pid in (1, os.getppid()):
    escaped(f"/proc/{pid}/mem", works(os.open, f"/proc/{pid}/mem", os.O_RDWR))
escaped("descriptors of others", call(438, call(434, 1, 0), 0, 0) == 0)
""",
    ),
    Attack(
        "user namespaces",
        """
NEWUSER, NEWNS, NEWPID, NEWNET = 0x10000000, 0x20000, 0x20000000, 0x40000000
for flag in (NEWUSER, NEWNS, NEWPID, NEWNET, 0x02000000, 0x04000000, 0x08000000):
    escaped(f"unshare {flag:x}", call(272, flag) == 0)
    escaped(f"clone {flag:x}", call(56, flag | signal.SIGCHLD, 0, 0, 0, 0) == 0)
escaped("unshare -Ur", os.system("unshare -Ur true 2>/dev/null") == 0)
escaped("bwrap", os.system("bwrap --ro-bind / / true 2>/dev/null") == 0)
""",
    ),
    Attack("clone with flags in memory", "flags = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, signal.SIGCHLD)\nescaped('clone3', call(435, flags, 88) == 0)"),
    Attack("joins other namespaces", "for pid in ('self', '1', '«pid»'):\n  for name in os.listdir('/proc/self/ns'):\n    try: escaped(name, call(308, os.open(f'/proc/{pid}/ns/{name}', 0), 0) == 0)\n    except OSError: pass"),
    Attack(
        "mounts",
        """
escaped("tmpfs", libc.mount(b"x", b"/tmp", b"tmpfs", 0, 0) == 0)
escaped("bind", libc.mount(b"/usr", b"/tmp", 0, 4096, 0) == 0)
escaped("writable", libc.mount(0, b"/usr", 0, 32 | 4096, 0) == 0)
escaped("umount", libc.umount2(b"/tmp", 2) == 0 or libc.umount2(b"/usr", 2) == 0)
for number, arguments in ((430, (b"tmpfs", 0)), (428, (-100, b"/", 1)), (155, (b"/tmp", b"/tmp")), (442, (-100, b"/", 0, 0, 0)), (429, (0, b"", 0, b"", 0)), (433, (-100, b"/", 0))):
    escaped(f"call {number}", call(number, *arguments) == 0)
""",
    ),
    Attack(
        "kernel keyrings",
        """
escaped("add", call(248, b"user", b"r1", b"secret", 6, -3) == 0)
escaped("session", call(250, 0, -3, 0) == 0 or call(250, 1, 0) == 0)
escaped("request", call(249, b"user", b"r1", 0, 0) == 0)
""",
    ),
    Attack(
        "the kernel's insides",
        """
numbers = {"bpf": 321, "perf": 298, "userfaultfd": 323, "io_uring": 425, "kexec": 246, "modules": 175, "file modules": 313,
           "dmesg": 103, "quota": 179, "swap": 167, "reboot": 169, "iopl": 172, "handles": 304, "fanotify": 300, "kcmp": 312}
structure = ctypes.create_string_buffer(256)
for name, number in numbers.items():
    error = call(number, 3 if name == "dmesg" else 0, structure, 128, 0, 0)
    escaped(f"{name}: {errno.errorcode.get(error)}", error not in (errno.EPERM, errno.ENOSYS))
""",
    ),
    Attack(
        "clocks and names",
        """
escaped("clock", works(time.clock_settime, time.CLOCK_REALTIME, 0.0))
escaped("name", works(socket.sethostname, "r1") or call(171, b"r1", 2) == 0)
escaped("host", socket.gethostname() != "sandbox")
""",
    ),
    Attack("a terminal's input", "import fcntl, pty\nmaster = works(os.open, '/dev/ptmx', os.O_RDWR) or works(os.open, '/dev/tty', os.O_RDWR)\nescaped('terminal', master)\nfor fd in range(3): escaped('TIOCSTI', call(16, fd, 0x5412, b'x') not in (errno.EPERM,))"),
    Attack("personality", "escaped('personality', call(135, 0x0400000) == 0)"),
    Attack("calls that nobody knows", "for n in (451, 457, 462, 470, 600, 1000): escaped(n, call(n, 0, 0, 0, 0) != errno.ENOSYS)"),
    Attack("32-bit calls", '#include <cstdio>\nint main() { int r; asm volatile("int $0x80" : "=a"(r) : "a"(20)); printf("ESCAPED %d", r); }', (WRONG,), "cpp"),
    Attack("x32 calls", "#include <cstdio>\n#include <unistd.h>\n#include <sys/syscall.h>\nint main() { long r = syscall(0x40000000 + 39); printf(\"ESCAPED %ld\", r); }", (WRONG,), "cpp"),
    Attack("forges the sandbox's verdict", 'for fd in range(1, 64):\n  try: os.write(fd, b\'{ "child-pid": 1 }\\n{ "exit-code": 0 }\\n\')\n  except OSError: pass\nos._exit(7)', (WRONG,)),
    Attack("spares itself from the memory killer", "for pid in ('self', '1'):\n  try: fd = os.open(f'/proc/{pid}/oom_score_adj', os.O_WRONLY)\n  except OSError: continue\n  escaped('oom', works(os.write, fd, b'-1000'))"),
]  # fmt: skip

COMPILERS = [
    Attack("includes a file of the host", '#include "«file»"\nint main() {}', (Status.COMPILE_ERROR,), "cpp"),
    Attack("includes /etc/passwd", "#include </etc/passwd>\nint main() {}", (Status.COMPILE_ERROR,), "cpp"),
    Attack("includes bytes through the assembler", '#include <cstdio>\nasm(".globl s\\ns: .incbin \\"«file»\\"\\n"); extern char s[]; int main() { puts(s); }', (Status.COMPILE_ERROR,), "cpp"),
    Attack("a compiled program of gigabytes", 'asm(".data\\n.fill 900000000, 8, 1\\n"); int main() {}', (Status.COMPILE_ERROR,), "cpp", compile_s=4.0),
    Attack("includes endless zeros", '#include "/dev/zero"\nint main() {}', (Status.COMPILE_ERROR,), "cpp", compile_s=2.0),
    Attack("includes itself for ever", '#include "/dev/stdin"\n#include __FILE__\n#include __FILE__\nint main() {}', (Status.COMPILE_ERROR,), "cpp", compile_s=2.0),
]  # fmt: skip

ATTACKS = [*PROCESSES, *RESOURCES, *FILES, *NETWORK, *KERNEL, *COMPILERS]
