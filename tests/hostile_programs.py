"""Wrong programs that aim at the verdict rather than at the sandbox. One attack an entry.

Each reads nothing it needs and prints no right answer; each tries to be paid all the same, or to
make a compiler, a supervisor or the comparison fail, so that there is no verdict.
"""

# ruff: noqa: E501 (one attack a line)
from __future__ import annotations

from typing import NamedTuple


class Attack(NamedTuple):
    """A name, a language and a program whose tests all want 7."""

    name: str
    language: str
    source: str


MAIN = 'int main() { __builtin_printf("5"); }'
JAVA = "class Main { public static void main(String[] a) { System.out.println(5); } }"
IMPORTS = "import ctypes, os, resource, signal, socket, sys, threading, time\n"


def python(name: str, source: str) -> Attack:
    return Attack(name, "python", IMPORTS + source)


COMPILERS = [
    Attack("includes an endless file", "cpp", f'#include "/dev/zero"\n{MAIN}'),
    Attack("includes random bytes", "cpp", f'#include "/dev/urandom"\n{MAIN}'),
    Attack("includes its own input", "cpp", f'#include "/dev/stdin"\n#include "/dev/fd/0"\n{MAIN}'),
    Attack("includes itself", "cpp", f"#include __FILE__\n{MAIN}"),
    Attack("includes a folder", "cpp", f'#include "/usr"\n#include "/proc/self/mem"\n{MAIN}'),
    Attack("embeds an endless file", "cpp", f'asm(".incbin \\"/dev/zero\\"");\n{MAIN}'),
    Attack("assembles without end", "cpp", f'asm(".rept 2000000000\\n.quad 1\\n.endr");\n{MAIN}'),
    Attack("assembles a huge gap", "cpp", f'asm(".org 0x7fffffffff");\n{MAIN}'),
    Attack("a template without end", "cpp", "template <int N> struct A : A<N + 1> {}; A<0> a; " + MAIN),
    Attack("templates that double", "cpp", "template <class A, class B> struct P {}; template <int N> struct D { using T = P<typename D<N - 1>::T, typename D<N - 1>::T>; };\ntemplate <> struct D<0> { using T = int; }; D<60>::T x; " + MAIN),
    Attack("a constant without end", "cpp", "constexpr int f(int n) { return f(n + 1); } static_assert(f(0)); " + MAIN),
    Attack("assertions that recurse", "cpp", "template <int N> constexpr bool v = [] { static_assert(v<N + 1>); return true; }(); static_assert(v<0>); " + MAIN),
    Attack("macros that double", "cpp", "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(x)))\nint x = 0 B(B(B(+ 1))); " + MAIN),
    Attack("raises the depth by a pragma", "cpp", '#pragma GCC optimize("O3,ftemplate-depth=999999")\n#pragma GCC target("arch=none")\n' + MAIN),
    Attack("brackets 20,000 deep", "cpp", "int x = " + "(" * 20_000 + "1" + ")" * 20_000 + "; " + MAIN),
    Attack("40,000 lines", "cpp", ";\n" * 20_000 + MAIN),
    Attack("a name of 40,000 letters", "cpp", f"int {'a' * 40_000} = 1; {MAIN}"),
    Attack("a huge array", "cpp", f"char big[1L << 40]; {MAIN}"),
    Attack("60 MB of data", "cpp", f"char big[60000000] = {{1}}; {MAIN}"),
    Attack("a huge frame", "cpp", "int main() { volatile char big[1L << 34]; big[0] = 1; big[1L << 33] = 5; }"),
    Attack("dies in a constructor", "cpp", "struct X { X() { __builtin_trap(); } } x; " + MAIN),
    Attack("no program at all", "cpp", 'extern "C" void _start() { }'),
    Attack("an error in a million words", "cpp", "template <class T> void f(T t) { f(&t); } int main() { f(1); }"),
    Attack("a static block that never ends", "java", JAVA.replace("{ public", "{ static { while (true); } public", 1)),
    Attack("a method too large", "java", JAVA.replace("System", "int x = 0; " + "x += 1234567;" * 3000 + " System", 1)),
    Attack("a string too large", "java", JAVA.replace("5", '"' + "a" * 45_000 + '"')),
    Attack("brackets 15,000 deep in Java", "java", JAVA.replace("5", "(" * 15_000 + "5" + ")" * 15_000)),
    Attack("sums 15,000 long in Java", "java", JAVA.replace("5", "5" + " + 1" * 8_000)),
    Attack("generics that double", "java", "class A<T> { A<A<A<A<T>>>> x; } " + JAVA),
    Attack("escapes in names", "java", JAVA.replace("Main", "\\u004dain\\u0000")),
    Attack("unicode that closes a comment", "java", "/* \\u002a/ class Main {} /* */ " + JAVA),
    Attack("a package of 300 parts", "java", f"package {'.'.join(['p'] * 300)}; {JAVA}"),
    Attack("a package of long parts", "java", f"package {'p' * 300}; public {JAVA}"),
    Attack("a main of another shape", "java", "class Main { static int main(String[] a) { return 0; } }"),
    Attack("an open string", "java", 'class Main { String s = "' + '\\"' * 20_000),
    Attack("nothing but static", "java", "static void " * 4000),
    Attack("exits with zero", "java", JAVA.replace("System.out.println(5)", "Runtime.getRuntime().halt(0)")),
    Attack("halts in a hook", "java", JAVA.replace("System", "Runtime.getRuntime().addShutdownHook(new Thread(() -> { while (true); })); System", 1)),
    Attack("asks for every thread", "java", JAVA.replace("System", "for (;;) new Thread(() -> { try { Thread.sleep(99999); } catch (Exception e) {} }).start(); //", 1) + "\n} }"),
    Attack("types that recurse", "typescript", "type A<T> = T extends [] ? A<[T]> : A<[T, T]>; let x: A<[]>; console.log(5);"),
    Attack("types that double", "typescript", "type D<S extends string> = `${S}${S}`; type E = D<D<D<D<D<D<D<D<D<D<'aaaaaaaaaaaaaaaaaaaaaaaa'>>>>>>>>>>; const e: E = '' as any; console.log(5);"),
    Attack("references an endless file", "typescript", '/// <reference path="/dev/zero" />\nimport x = require("/dev/zero"); console.log(5);'),
    Attack("arrays 9,000 deep", "typescript", "const x: any = " + "[" * 9000 + "]" * 9000 + "; console.log(5);"),
    Attack("a regular expression without end", "javascript", "/^(a+)+$/.test('a'.repeat(60) + 'b'); console.log(5);"),
    Attack("a string of gigabytes", "javascript", "let s = 'x'; while (true) s = s + s + Math.random(); "),
    Attack("buffers outside the heap", "javascript", "const kept = []; while (true) kept.push(Buffer.alloc(1 << 26, 1));"),
    Attack("aborts", "javascript", "process.abort();"),
    Attack("kills itself softly", "javascript", "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 9999);"),
    Attack("reads an endless file", "php", "<?php echo strlen(file_get_contents('/dev/zero'));"),
    Attack("recurses in PHP", "php", "<?php function f($n) { return f($n + 1) + 1; } echo f(0);"),
    Attack("expands braces", "bash", "echo {1..9}{1..9}{1..9}{1..9}{1..9}{1..9}{1..9}{1..9}{1..9}"),
    Attack("recurses in Bash", "bash", "f() { f; }; f"),
    Attack("sources an endless file", "bash", "source /dev/zero; echo 5"),
]  # fmt: skip

PROGRAMS = [
    python("fills its output pipe", "while True: os.write(1, b'7' * 65536)"),
    python("fills its error pipe", "while True: os.write(2, b'7' * 65536)"),
    python("a word of a million characters", "print('7' * 900_000)"),
    python("a number of a million digits", "print('7.' + '0' * 900_000)"),
    python("a million words", "print('7 ' * 400_000)"),
    python("a right answer among others", "print(7); print(7)"),
    python("exponents", "print('7e9999999'); print('0x7'); print('7_0')"),
    python("digits of other scripts", "print('٧')"),
    python("closes its output", "os.close(1); os.close(2)"),
    python("closes every descriptor", "os.closerange(0, 64)"),
    python("writes to every descriptor", "for fd in range(64):\n  try: os.write(fd, b'{\"exit-code\": 0}\\n')\n  except OSError: pass"),
    python("speaks as bubblewrap", "print('{ \"child-pid\": 5 }\\n{ \"exit-code\": 0 }'); os._exit(9)"),
    python("says that memory ended", "sys.stderr.write('MemoryError\\nOut of memory'); os._exit(1)"),
    python("says that the sandbox broke", "sys.stderr.write('bwrap: cannot'); os._exit(126)"),
    *(python(f"ends by signal {number}", f"os.kill(os.getpid(), {number}); time.sleep(9)") for number in (2, 6, 9, 11, 13, 15, 24, 25, 31, 34)),
    *(python(f"ends with exit code {code}", f"print(7, flush=True); os._exit({code})") for code in (1, 125, 126, 127, 137, 152, 255)),
    python("stops itself", "os.kill(os.getpid(), signal.SIGSTOP)"),
    python("forks without end", "while True:\n  try: os.fork()\n  except OSError: pass"),
    python("thousands of files", "for n in range(10**7): open(f'/tmp/{n}', 'w').close()"),
    python("folders without end", "while True:\n  os.mkdir('d' * 200); os.chdir('d' * 200)"),
    python("pipes without end", "kept = []\nwhile True: kept.append(os.pipe())"),
    python("sockets full of data", "kept = []\nwhile True:\n  a, b = socket.socketpair(); kept += [a, b]; a.setblocking(False)\n  try: a.send(b'x' * 10**6)\n  except OSError: pass"),
    python("fills the folder of work", "with open('/tmp/x', 'wb') as f:\n  while True: f.write(bytes(1 << 20))"),
    python("memory in many processes", "for _ in range(4): os.fork()\nx = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\ntime.sleep(1)"),
    python("limits of its own", "for n in (0, 1, 7, 9): resource.setrlimit(n, (0, 0))\nprint(5)"),
    python("another name for itself", "ctypes.CDLL(None).prctl(15, b') R 1 1 1 (', 0, 0, 0); print(5)"),
    python("a thread outlives main", "threading.Thread(target=time.sleep, args=(99,)).start(); print(7)"),
    python("is awake when looked at", "end = time.monotonic() + 99\nwhile time.monotonic() < end:\n  t = time.monotonic() % 0.25\n  time.sleep(0.2 if t < 0.2 else 0)"),
    python("many that wake in turn", "def nap():\n  while True: time.sleep(0.0005)\nfor _ in range(12): threading.Thread(target=nap).start()"),
    python("deep recursion in C", "sys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)"),
    python("compiles a deep source", "eval('(' * 10**6)"),
    python("reads its limits' owner", "print(open('/proc/1/status').read())"),
    python("a huge whole number", "print(7 ** (10 ** 9))"),
    python("sleeps beyond every clock", "time.sleep(10**6)"),
    python("waits for a lock of its own", "lock = threading.Lock(); lock.acquire(); lock.acquire()"),
]  # fmt: skip

ATTACKS = [*COMPILERS, *PROGRAMS]
