"""Data flows one way: who may import whom, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {  # what each may import of this repository
    "metrics": {"metrics"},  # itself, under its name, where it runs as a command
    "gen_audio": set(),
    "study": {"metrics", "gen_audio", "study"},
    "ablations": {"metrics", "gen_audio", "study", "ablations"},
    "models": {"metrics", "study", "ablations", "models"},
}
FLOORS = ("study/datasets", "study/embeddings")  # packages of a room that know nothing else of it


def files(room):
    """Every file of a room, in its folders too."""
    return sorted((ROOT / room).rglob("*.py")) or [ROOT / f"{room}.py"]


def modules(path):
    """Full names of every import, wherever in the file it stands; "from a import b" may be a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(path):
    """Top-level names of every import."""
    return {name.split(".")[0] for name in modules(path)}


@pytest.mark.parametrize(("room", "allowed"), ROOMS.items())
def test_a_room_imports_only_what_lies_before_it(room, allowed):
    for path in files(room):
        own = imported(path) & {*ROOMS, "notebooks", "tests"}
        assert own <= allowed, f"{path.relative_to(ROOT)} imports {', '.join(sorted(own - allowed))}"


def test_the_folders_of_a_room_are_seen():
    assert {ROOT / "study" / "datasets" / "audio_set.py", ROOT / "study" / "__main__.py"} <= {*files("study")}


@pytest.mark.parametrize("floor", FLOORS)
def test_what_is_measured_with_knows_nothing_of_what_is_measured(floor):
    name = floor.replace("/", ".")
    for path in files(floor):
        of_the_room = {module for module in modules(path) if module.startswith("study.")}
        others = {module for module in of_the_room if not f"{module}.".startswith(f"{name}.")}
        assert not others, f"{path.relative_to(ROOT)} imports {', '.join(sorted(others))}"


def test_torch_is_only_imported_on_demand_outside_of_models():
    for room in ("metrics", "gen_audio", "study", "ablations"):
        for path in files(room):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            top = {a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names}
            top |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
            assert not {name for name in top if name.split(".")[0] == "torch"}, path
