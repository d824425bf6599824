"""The score of a finished ``mutmut run``, and the mutants that no test noticed.

    python tests/mutants.py

A survivor is written as a row of mutants.md: place, what the mutation changed, reason. One that is not listed
there is marked NEW, and the exit code is then 1: write a test, or give the reason why none can notice it.
"""

import ast
import json
import re
import sys
from collections import Counter
from pathlib import Path

from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[1]
MUTATED = ROOT / "mutants"
NOTICED = ("killed", "timeout", "segfault", "suspicious")  # a loop that does not end is noticed
MISSED = ("survived", "no tests")


def functions(path):
    """{name of a generated function: its lines, without the name}."""
    text = path.read_text()
    lines = [re.sub(r"^def \w+", "def", line.strip()) for line in text.splitlines()]
    found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    return {f.name: lines[f.lineno - 1 : f.end_lineno] for f in found if "__mutmut_" in f.name}


def change(before, after):
    """The first lines in which they differ, "old -> new", of the new one what follows what is alike."""
    start = next(i for i in range(len(before)) if before[i] != after[i])
    # One line more or less is an argument that lies on a line of its own.
    old, new = before[start], after[start] if len(before) == len(after) else "nothing"
    words = [re.findall(r"\w+|\s+|\W", line) for line in (old, new)]
    alike = next((i for i, (a, b) in enumerate(zip(*words, strict=False)) if a != b), 0)
    return f"{old} -> {''.join(words[1][max(alike - 3, 0) :])}"


def survivors():
    """Counts by status; [(place, change)] of what was not noticed."""
    counts, left = Counter(), []
    for record in sorted(MUTATED.glob("*/*.py.meta")):
        codes = json.loads(record.read_text())["exit_code_by_key"]
        counts.update(status_by_exit_code[code] for code in codes.values())
        left += [key for key, code in codes.items() if status_by_exit_code[code] in MISSED]
    texts, rows = {}, []
    for key in left:
        module, _, name = key.rpartition(".")
        path = MUTATED / f"{module.replace('.', '/')}.py"
        texts[path] = texts.get(path) or functions(path)
        function = name.rpartition("__mutmut_")[0]
        place = f"{module.rpartition('.')[2]}.{re.sub('^(x_|xǁ)', '', function).replace('ǁ', '.')}"
        rows.append((place, change(texts[path][f"{function}__mutmut_orig"], texts[path][name])))
    return counts, rows


def main():
    listed = (ROOT / "tests" / "mutants.md").read_text()
    counts, rows = survivors()
    total, noticed = sum(counts.values()), sum(counts[status] for status in NOTICED)
    print(f"{noticed} of {total} mutants noticed, {noticed / total:.1%} ({dict(counts)})")
    new = [row for row in rows if row[1] not in listed]
    for place, changed in rows:
        print(f"{'NEW' if (place, changed) in new else '   '} | `{place}` | `{changed}` |")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
