"""The package as others install it: what is in the wheel, what it needs, and that it works elsewhere."""

import ast
import email
import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from packages import PROJECT, ROOT, by_name, closure, extra, link, pinned
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import audio_distance

RECIPE = f"recipe version {audio_distance.RECIPE_VERSION}"
# What a module is called where that is not the name of its package.
PACKAGES = {
    "av": "av",
    "bs4": "beautifulsoup4",
    "markdown_it": "markdown-it-py",
    "PIL": "pillow",
    "IPython": "ipykernel",
    "hydra": "hydra-core",
    "sklearn": "scikit-learn",
}


def succeed(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built, without a network, from a copy of all that lies in the repository's rooms."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"tests", "configs"}
    assert {"audio_distance", "study", "ablations", "models"} <= rooms
    for room in rooms:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    for pattern in ("*.py", "*.md", "*.toml", "LICENSE"):
        for path in ROOT.glob(pattern):
            shutil.copy(path, tree)
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out)
    succeed(sys.executable, "-m", "pip", *build, ".", cwd=tree)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """Folder of the programs of a new environment that holds the wheel, what it asks for, and no more."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    programs = place / "bin"
    succeed(sys.executable, "-m", "pip", "--python", programs / "python", "install", "--no-deps", wheel)
    (packages,) = place.glob("lib/python*/site-packages")
    link(closure(by_name(PROJECT["dependencies"]).values()).values(), packages)
    return programs


@pytest.fixture
def project(tmp_path, folder_of):
    """A project with a ``metrics.py`` of its own, beside two folders of sounds."""
    folder_of("real", range(4))
    folder_of("made", range(10, 14))
    (tmp_path / "metrics.py").write_text("accuracy = 0.5\n")
    return tmp_path


# The wheel


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "audio_distance"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"audio_distance/constants.json", "audio_distance/py.typed"} < expected
    assert names == expected | {"metrics.py"}


def test_the_wheel_s_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        content = email.message_from_bytes(archive.read(f"{folder}/METADATA"))
        scripts = ConfigParser()
        scripts.read_string(archive.read(f"{folder}/entry_points.txt").decode())
        assert archive.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert content["Name"] == "audio-distance" and content["Version"] == audio_distance.__version__
    assert content["Requires-Python"] == ">=3.11" and content["License-Expression"] == "MIT"
    lines = [Requirement(line) for line in content.get_all("Requires-Dist")]
    always = {line.name for line in lines if line.marker is None}
    assert always == {"numpy", "scipy", "soundfile", "soxr", "joblib", "tqdm"}
    assert {"m4a", "page", "quality", "report", "gate", "models", "networks", "all"} <= {
        *content.get_all("Provides-Extra")
    }
    assert dict(scripts["console_scripts"]) == {"audio-distance": "audio_distance.command:main"}


def test_one_version():
    change = re.search(r"^## (\S+?), (?:(\S+), )?(.+?)(?: \(.*)?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(), re.M))
    assert change[1] == citation["version"] == audio_distance.__version__
    assert change[2] == citation["date-released"] and change[3] == RECIPE


# Installed


def test_the_command(elsewhere, project):
    assert audio_distance.__version__ in succeed(elsewhere / "audio-distance", "--version", cwd=project)
    usage = succeed(elsewhere / "python", "-m", "audio_distance", "--help", cwd=project)
    assert usage.startswith("usage: python -m audio_distance ")
    table = succeed(elsewhere / "audio-distance", "real", "made", cwd=project)
    assert table.startswith("candidate") and "no difference shown" in table


def test_beside_another_metrics(elsewhere, project):
    """The value is the one of this repository, bit for bit: the same packages on the same processor."""
    code = (
        "import audio_distance, metrics; "
        "print(metrics.accuracy, repr(audio_distance.distance('real', 'made')), audio_distance.__file__)"
    )
    accuracy, value, place = succeed(elsewhere / "python", "-c", code, cwd=project).split()
    assert accuracy == "0.5" and Path(place).is_relative_to(elsewhere.parent)
    assert float(value) == audio_distance.distance(project / "real", project / "made")


def test_metrics_is_installed_too(elsewhere, tmp_path):
    code = "import metrics; print(metrics.distance is __import__('audio_distance').distance)"
    assert succeed(elsewhere / "python", "-c", code, cwd=tmp_path) == "True\n"


# Requirements


def imported(path, *, on_demand=True):
    """Modules, and what is taken from them, that a file imports; ``on_demand``: inside functions, too."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code")
    tree = ast.parse(text)
    for node in ast.walk(tree) if on_demand else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def from_elsewhere(names):
    """Canonical names of the packages, not of Python or this repository, that these modules are in."""
    tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names
    return {canonicalize_name(PACKAGES.get(name, name)) for name in tops if not local(name)}


def local(name):
    """Files of the repository that importing a module, or a name of a module, runs."""
    parts = name.split(".")
    places = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    return [
        path
        for place in places
        for path in (ROOT / f"{place}.py", ROOT / place / "__init__.py")
        if path.is_file()
    ]


def started(names):
    """These modules and all that they import as they start, those of this repository in turn."""
    found, waiting, seen = set(names), list(names), set()
    while waiting:
        for path in set(local(waiting.pop())) - seen:
            seen.add(path)
            further = set(imported(path, on_demand=False))
            found |= further
            waiting += further
    return found


def test_the_package_imports_what_it_asks_for():
    names = {name for path in (ROOT / "audio_distance").rglob("*.py") for name in imported(path)}
    extras = {*extra("m4a"), *extra("page"), *extra("quality")} | {"matplotlib"}  # there for who plots
    assert from_elsewhere(names) == {*by_name(PROJECT["dependencies"]), *extras}


def test_requirements_txt_is_what_the_report_needs():
    written = by_name((ROOT / "requirements.txt").read_text().splitlines())
    assert written == by_name(PROJECT["dependencies"]) | extra("report")


def test_make_report_imports_nothing_else():
    """The modules that the Makefile runs for it, all that these import as they start, and the notebooks."""
    recipe = re.search(r"^report:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)[1]
    commands = re.findall(r"\$\(RUN\) -m (\S+)(?: ([a-z]\w*))?", recipe)
    assert len(commands) >= 3
    # ``-m experiments challenge`` runs experiments/__main__.py, which imports experiments/challenge.py.
    names = {f"{room}{part}" for room, word in commands for part in ("", ".__main__", f".{word}")}
    names |= {name for path in (ROOT / "notebooks").glob("*.ipynb") for name in imported(path)}
    found, needed = from_elsewhere(started(names)), by_name(PROJECT["dependencies"]) | extra("report")
    assert {"numpy", "nbclient", "jinja2", "matplotlib"} < found
    assert found <= set(needed), f"not in requirements.txt: {sorted(found - set(needed))}"


@pytest.mark.parametrize(
    ("command", "extras", "some"),
    [
        ("ablations.__main__", ("gate",), {"hydra-core", "scikit-learn"}),
        ("report.site", ("site",), {"markdown-it-py", "pdoc"}),
        ("models.train", ("models",), {"torch"}),
        ("models.release", ("models", "gate"), {"torch", "hydra-core"}),
    ],
)
def test_a_room_starts_with_its_extras(command, extras, some):
    needed = by_name(PROJECT["dependencies"]).keys() | {name for one in extras for name in extra(one)}
    found = from_elsewhere(started({command}))
    assert some <= found
    assert found <= needed, f"not in {', '.join(extras)}: {sorted(found - needed)}"


def test_every_requirement_has_its_pin():
    """Of each extra too, except the two that no result needs; and of what these need in turn."""
    needed = by_name(PROJECT["dependencies"]) | extra("all")
    assert set(needed) | set(extra("mutants")) | set(extra("page-test")) <= set(pinned())
    in_all = set(PROJECT["optional-dependencies"]) - {"search", "tracking", "mutants", "page-test", "all"}
    assert set().union(*(extra(name) for name in in_all)) == set(extra("all"))
    not_pinned = re.compile("pip$|nvidia-|cuda-|triton")  # of a PyTorch for a GPU
    assert [
        name for name in closure(needed.values()) if not (name in pinned() or not_pinned.match(name))
    ] == []
    assert all(
        requirement.specifier.contains(pinned()[name].split("==")[1]) for name, requirement in needed.items()
    )


def test_only_requirements_that_exist_are_named():
    texts = [
        *ROOT.glob("*.md"),
        *(ROOT / name for name in ("Makefile", "Dockerfile", ".dockerignore", ".ci/run")),
        *(path for room in ("*", "*/*", "*/*/*") for path in ROOT.glob(f"{room}.py")),
        *ROOT.glob("notebooks/*.ipynb"),
    ]
    named = {name for path in texts for name in re.findall(r"\brequirements[\w-]*\.txt", path.read_text())}
    assert named == {path.name for path in ROOT.glob("requirements*.txt")} == {"requirements.txt"}
