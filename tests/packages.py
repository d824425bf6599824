"""What is declared in pyproject.toml, and what is installed: requirements by name."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def by_name(lines):
    """{canonical name: requirement} of lines as a requirements file has them; comments are left out."""
    found = [Requirement(text) for line in lines if (text := line.split("#")[0].strip())]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def extra(name):
    """{canonical name: requirement} of an extra, and of the extras that it names."""
    found = {}
    for key, requirement in by_name(PROJECT["optional-dependencies"][name]).items():
        if key == PROJECT["name"]:
            for further in requirement.extras:
                found |= extra(further)
        else:
            found[key] = requirement
    return found


def pinned():
    """{canonical name: line} of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", line) for line in lines)
    return {canonicalize_name(line.split("==")[0]): line for line in lines}


def closure(requirements):
    """Installed distributions that these need, with all that these need, by name."""
    found, waiting = {}, list(requirements)
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed: pip install -e '.[all]' -c constraints.txt")
        for line in found[name].requires or ():
            further = Requirement(line)
            if further.marker is None or further.marker.evaluate({"extra": ""}):
                waiting.append(further)
    return found


def link(distributions, folder):
    """Show these installed distributions, and no others, in a folder of packages."""
    for distribution in distributions:
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(distribution.locate_file(top))
