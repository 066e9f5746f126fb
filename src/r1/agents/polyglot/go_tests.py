"""Go's tests, which share a package with the solution: built by `go test -c`, each run and counted.

What a solution of the same package could reach is out of its hands: the variables of the tests
(their tables of cases) and the package that signs have names that nobody can know before. A test
counts only where it has ended and passed, so that flags which leave some out gain nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from r1.agents.polyglot.exercise import Exercise
from r1.agents.polyglot.go_names import declared
from r1.sandbox.tree import SECRET

SCRIPT = (
    "export HOME=$PWD GOCACHE=$PWD/.cache GOPATH=$PWD/.go GOFLAGS=-mod=mod GOPROXY=off "
    "GOTOOLCHAIN=local GO111MODULE=on CGO_ENABLED=0 GOMAXPROCS=2 && cd project && "
    "go test -c -p 2 -vet=off -o ../tests . < /dev/null 1>&2 && cd .. && rm -rf project && "
    f"exec ./tests {SECRET}"
)
"""The binary, not `go test`, runs the tests: standard input is its own."""
_PACKAGE = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_TEST = re.compile(
    r"^func[ \t]+(Test(?![a-z])\w*)[ \t]*\([ \t]*\w+[ \t]+\*testing\.T[ \t]*\)", re.MULTILINE
)
_SIGN = """package {sign}

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"testing"
)

var (
	secret string
	passed int
	lock   sync.Mutex
)

func init() {{
	line, _ := bufio.NewReader(os.Stdin).ReadString('\\n')
	if len(line) > 0 {{
		secret = line[:len(line)-1]
	}}
}}

func Run(t *testing.T, test func(*testing.T)) {{
	t.Cleanup(func() {{
		lock.Lock()
		defer lock.Unlock()
		if !t.Failed() && !t.Skipped() {{
			passed++
		}}
	}})
	test(t)
}}

func Report(code, total int) {{
	if code == 0 {{
		total = passed
	}}
	fmt.Printf("\\n%s %d %d 0\\n", secret, passed, total-passed)
	os.Exit(code)
}}
"""
"""A test's cleanup runs after its subtests, and after whatever a solution registers."""
_MAIN = """package {package}

import (
	"testing"

	{sign} "{module}/{sign}"
)

func TestMain(m *testing.M) {{
	{sign}.Report(m.Run(), {total})
}}
"""
_WRAPPED = "\nfunc {name}(t *testing.T) {{ {sign}.Run(t, {name}{sign}) }}\n"


def files_of(exercise: Exercise, solution: Mapping[str, str]) -> dict[str, str]:
    """The files of one build: path -> text; names that a solution must not know are drawn anew."""
    sign = f"sign{secrets.token_hex(8)}"
    files = {f"project/{path}": text for path, text in solution.items() if path.endswith(".go")}
    packages = [found[1] for text in exercise.tests.values() if (found := _PACKAGE.search(text))]
    package = packages[0] if packages else "main"
    variables = {name for text in exercise.tests.values() for name in declared(text, ("var",))}
    names: list[str] = []
    for path, text in exercise.tests.items():
        if path.endswith(".go"):
            names += _TEST.findall(text)
            files[f"project/{path}"] = _hidden(text, variables - {"_"}, sign)
    module = package.removesuffix("_test")
    told = {"package": package, "module": module, "sign": sign, "total": len(names)}
    wrapped = "".join(_WRAPPED.format(name=name, sign=sign) for name in names)
    return files | {
        "project/go.mod": f"module {module}\n\ngo 1.18\n",
        f"project/{sign}/sign.go": _SIGN.format(**told),
        "project/zz_main_test.go": _MAIN.format(**told) + wrapped,
    }


def _hidden(text: str, variables: set[str], sign: str) -> str:
    """A test file whose variables and tests have names with `sign`."""
    text = _TEST.sub(lambda found: found[0].replace(found[1], found[1] + sign, 1), text)
    if not variables:
        return text
    names = "|".join(map(re.escape, sorted(variables)))
    return re.sub(rf"(?<![\w.])({names})\b(?!\s*:[^=])", rf"\1{sign}", text)
