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
    "experiments": {"metrics", "gen_audio", "study", "ablations", "models", "experiments"},
}


def files(room):
    return sorted((ROOT / room).glob("*.py")) or [ROOT / f"{room}.py"]


def imported(path):
    """Top-level names of every import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module.split(".")[0]


@pytest.mark.parametrize(("room", "allowed"), ROOMS.items())
def test_a_room_imports_only_what_lies_before_it(room, allowed):
    for path in files(room):
        own = set(imported(path)) & {*ROOMS, "notebooks", "tests"}
        assert own <= allowed, f"{path.name} imports {', '.join(sorted(own - allowed))}"


def test_torch_is_only_imported_on_demand_outside_of_models():
    for room in ("metrics", "gen_audio", "study", "ablations"):
        for path in files(room):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            top = {a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names}
            top |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
            assert not {name for name in top if name.split(".")[0] == "torch"}, path
