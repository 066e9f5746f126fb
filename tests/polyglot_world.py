"""Small exercises made here, in the layout of Exercism's, and responses that edit them."""

from __future__ import annotations

import json
from pathlib import Path

FENCE = "```"
_PYTHON_TEST = """import unittest

from twice import twice


class TwiceTest(unittest.TestCase):
    def test_two(self):
        self.assertEqual(twice(2), 4)

    def test_text(self):
        self.assertEqual(twice("ab"), "abab")

    def test_list(self):
        self.assertEqual(twice([1]), [1, 1])
"""
_CPP_TEST = """#include "twice.h"
#include "test/catch.hpp"

TEST_CASE("two") { REQUIRE(twice(2) == 4); }
#if defined(EXERCISM_RUN_ALL_TESTS)
TEST_CASE("three", "[tag]") { REQUIRE(twice(3) == 6); }
#endif
"""
_JAVASCRIPT_TEST = """import { twice } from './twice';

describe('twice', () => {
  test('two', () => { expect(twice(2)).toEqual(4); });
  xtest('text', () => { expect(twice('ab')).toBe('abab'); });
  xtest('list', () => { expect(twice([1])).toEqual([1, 1]); });
});
"""
_JAVA_TEST = """import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Test;
import static org.assertj.core.api.Assertions.assertThat;

public class TwiceTest {
    @Test
    public void two() { assertThat(Twice.twice(2)).isEqualTo(4); }

    @Disabled("Remove to run test")
    @Test
    public void three() { assertThat(Twice.twice(3)).isEqualTo(6); }
}
"""
_GO_TEST = """package twice

import "testing"

var cases = []struct {
	in, want int
}{
	{2, 4},
	{5, 10},
}

func TestTwice(t *testing.T) {
	for i := 0; i < len(cases); i++ {
		cases := cases[i]
		if got := Twice(cases.in); got != cases.want {
			t.Errorf("Twice(%d) = %d, want %d", cases.in, got, cases.want)
		}
	}
}

func TestZero(t *testing.T) {
	t.Parallel()
	t.Run("zero", func(t *testing.T) {
		if Twice(0) != 0 {
			t.Fatal("not zero")
		}
	})
}

func TestMany(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	if Twice(1000) != 2000 {
		t.Fatal("not 2000")
	}
}
"""
_RUST_TEST = """use twice::*;

#[test]
fn two() { assert_eq!(twice(2), 4); }

#[test]
#[ignore]
fn three() { assert_eq!(twice(3), 6); }

#[test]
#[should_panic]
fn negative() { twice(-1); }
"""
FILES = {
    "python": {
        "solution": {"twice.py": "def twice(x):\n    pass\n"},
        "test": {"twice_test.py": _PYTHON_TEST},
        "example": {".meta/example.py": "def twice(x):\n    return 2 * x\n"},
    },
    "cpp": {
        "solution": {"twice.cpp": '#include "twice.h"\n', "twice.h": "#pragma once\n"},
        "test": {"twice_test.cpp": _CPP_TEST},
        "example": {
            ".meta/example.cpp": '#include "twice.h"\nint twice(int x) { return 2 * x; }\n',
            ".meta/example.h": "#pragma once\nint twice(int x);\n",
        },
    },
    "javascript": {
        "solution": {"twice.js": "export const twice = (x) => undefined;\n"},
        "test": {"twice.spec.js": _JAVASCRIPT_TEST},
        "example": {
            ".meta/proof.ci.js": "export const twice = (x) =>\n"
            "  Array.isArray(x) ? [...x, ...x] : typeof x === 'string' ? x + x : 2 * x;\n"
        },
    },
    "java": {
        "solution": {
            "src/main/java/Twice.java": "class Twice {\n    static int twice(int x) {\n"
            "        return 0;\n    }\n}\n"
        },
        "test": {"src/test/java/TwiceTest.java": _JAVA_TEST},
        "example": {
            ".meta/src/reference/java/Twice.java": "class Twice {\n    static int twice(int x) {\n"
            "        return 2 * x;\n    }\n}\n"
        },
    },
    "go": {
        "solution": {"twice.go": "package twice\n"},
        "test": {"twice_test.go": _GO_TEST},
        "example": {
            ".meta/example.go": "package twice\n\nfunc Twice(x int) int { return 2 * x }\n"
        },
    },
    "rust": {
        "solution": {"src/lib.rs": "pub fn twice(x: i32) -> i32 {\n    todo!()\n}\n"},
        "test": {"tests/twice.rs": _RUST_TEST},
        "example": {
            ".meta/example.rs": "pub fn twice(x: i32) -> i32 {\n    assert!(x >= 0);\n"
            "    2 * x\n}\n"
        },
    },
}


def make_exercise(root: Path, language: str, name: str = "twice") -> Path:
    """Write the exercise `twice` of a language; return its folder."""
    folder = root / language / "exercises" / "practice" / name
    parts = FILES[language]
    others = {"CMakeLists.txt": "project(twice)\n", ".docs/instructions.md": "Double the value.\n"}
    texts = others.items(), *(part.items() for part in parts.values())
    for path, text in (pair for part in texts for pair in part):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    config = {"files": {part: list(texts) for part, texts in parts.items()}}
    (folder / ".meta" / "config.json").write_text(json.dumps(config))
    return folder


def edit(path: str, search: str, replace: str) -> str:
    """A response with one SEARCH/REPLACE block."""
    return f"{path}\n{FENCE}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n{FENCE}\n"
