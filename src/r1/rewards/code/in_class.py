"""Put a bare method of Java or C# into the class that a benchmark's tests expect.

    {"language": "java", "entry": "add", "in_class": "Problem", ...}

A model that is asked for one method may write the method alone, its imports above it. Such an
answer becomes a class; one that declares its class stays as it is. Pure text.
"""

from __future__ import annotations

import re

_NOISE = re.compile(r'//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_IMPORT = re.compile(r"^[ \t]*(?:import|package|using)\s+(?!var\b)[\w.*= ]+;[ \t]*\n?", re.M)


def in_class(code: str, name: str, owner: str) -> str:
    """Return the code with its method `name` inside a class; owner: the class, "" for none."""
    if not owner or not _is_bare(code, name):
        return code
    imports = "".join(line.strip() + "\n" for line in _IMPORT.findall(code))
    return f"{imports}class {owner} {{\n{_IMPORT.sub('', code)}\n}}\n"


def without_imports(code: str, package: str) -> str:
    """Return Java code without its imports of a package that `before` or `after` stands in for."""
    if not package:
        return code
    return re.sub(rf"^[ \t]*import\s+{re.escape(package)}\.[\w.*]+\s*;", "", code, flags=re.M)


def _is_bare(code: str, name: str) -> bool:
    """Whether the first definition of the method stands in no braces."""
    plain = _NOISE.sub("", code)
    for found in re.finditer(rf"\b{re.escape(name)}\s*\([^(){{}};]*\)[^(){{}};]*(?:\{{|=>)", plain):
        above = plain[: found.start()]
        return above.count("{") == above.count("}")
    return False
