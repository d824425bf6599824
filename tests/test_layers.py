"""Data flows one way: who may import whom, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTANCE = {"metrics", "audio_distance"}
ROOMS = {  # what each may import of this repository
    "audio_distance": {"audio_distance"},
    "metrics": {"audio_distance"},
    "gen_audio": set(),
    "study": {*DISTANCE, "gen_audio", "study"},
    "songs": {*DISTANCE, "study", "songs"},
    "ablations": {*DISTANCE, "gen_audio", "study", "ablations"},
    "models": {*DISTANCE, "study", "ablations", "models"},
    "experiments": {*DISTANCE, "gen_audio", "study", "ablations", "models", "songs", "experiments"},
    "report": {*DISTANCE, "gen_audio", "study", "experiments", "report"},
}
FLOORS = ("study/datasets", "study/embeddings")  # packages of a room that know nothing else of it
TORCH = {"torch", "models"}  # a room that imports PyTorch is as heavy as PyTorch


def files(room):
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


def imported_at_once(path):
    """Top-level names of the imports that run with the file's."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


@pytest.mark.parametrize(("room", "allowed"), ROOMS.items())
def test_a_room_imports_only_what_lies_before_it(room, allowed):
    for path in files(room):
        own = imported(path) & {*ROOMS, "notebooks", "tests"}
        assert own <= allowed, f"{path.relative_to(ROOT)} imports {', '.join(sorted(own - allowed))}"


def test_the_folders_of_a_room_are_seen():
    assert {ROOT / "study" / "datasets" / "audio_set.py", ROOT / "study" / "results.py"} <= {*files("study")}


@pytest.mark.parametrize("floor", FLOORS)
def test_what_is_measured_with_knows_nothing_of_what_is_measured(floor):
    name = floor.replace("/", ".")
    for path in files(floor):
        of_the_room = {module for module in modules(path) if module.startswith("study.")}
        others = {module for module in of_the_room if not f"{module}.".startswith(f"{name}.")}
        assert not others, f"{path.relative_to(ROOT)} imports {', '.join(sorted(others))}"


def test_torch_is_only_imported_on_demand_outside_of_models():
    for room in ("audio_distance", "metrics", "gen_audio", "study", "songs", "ablations", "report"):
        for path in files(room):
            assert "torch" not in set(imported_at_once(path)), path


def test_of_the_distance_only_quality_knows_torch():
    """And no one imports the package whose weights it reads."""
    for path in [*files("audio_distance"), *files("metrics")]:
        assert "torch" not in imported(path) or path.name == "quality.py", path
        assert "distillmos" not in imported(path), path


def experiments():
    return [path for path in files("experiments") if not path.name.startswith("_")]


def test_each_experiment_has_its_result_and_each_result_its_experiment():
    assert {path.stem for path in experiments()} == {path.stem for path in (ROOT / "results").glob("*.json")}


@pytest.mark.parametrize("path", experiments(), ids=lambda path: path.stem)
def test_what_an_experiment_imports_it_says_that_it_needs(path):
    """Without PyTorch or Hydra every other experiment runs: ``make report`` does, for one."""
    from experiments.__main__ import facts

    at_once, needs = set(imported_at_once(path)), facts(path.stem).needs
    assert not at_once & TORCH or "PyTorch" in needs
    assert "ablations" not in at_once or "Hydra" in needs
    for other in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(other, ast.ImportFrom) and other.module.startswith("experiments"):
            names = [other.module.partition(".")[2]] if "." in other.module else [a.name for a in other.names]
            assert all({"PyTorch", "Hydra"} & set(facts(n).needs) <= set(needs) for n in names), names


ORDER = (  # of the package: each module imports only from those before it
    *("errors", "output", "storage", "containers", "sources", "audio"),
    *("transforms", "texture", "views", "features", "streaming", "description", "cache", "reading", "units"),
    *("kernel", "progress", "pooling", "intervals", "resampling", "matching", "quality"),
    *("extraction", "energy", "control_variate"),
    *("display", "comparison", "distance", "page", "command"),
)
ON_DEMAND = {
    ("comparison", "page"),
    ("display", "comparison"),
    ("display", "page"),
}  # a result that is asked to show itself; inside of a function
CONTAINERS = (
    "parts",
    "kinds",
    "chunks",
    "checksums",
    "wav",
    "aiff",
    "ogg",
    "flac",
    "mpeg",
    "mp4",
)  # in "containers"


def test_the_modules_of_the_package_build_on_each_other_in_one_order():
    folder = ROOT / "audio_distance"
    tops = {path.relative_to(folder).parts[0].removesuffix(".py") for path in files("audio_distance")}
    assert tops == {*ORDER, "__init__", "__main__"}
    for place, name in enumerate(ORDER):
        for path in files(f"audio_distance/{name}"):
            used = {module.split(".")[1] for module in modules(path) if module.startswith("audio_distance.")}
            used -= {"__version__"} | ({name} if path.parent != folder else set())
            used -= {later for user, later in ON_DEMAND if user == name}
            assert used <= set(ORDER[:place]), (
                f"{name} imports {', '.join(sorted(used - set(ORDER[:place])))}"
            )


def test_what_is_used_on_demand_is_not_imported_at_once():
    for name, _ in ON_DEMAND:
        at_once = ast.parse((ROOT / "audio_distance" / f"{name}.py").read_text(encoding="utf-8")).body
        froms = {node.module for node in at_once if isinstance(node, ast.ImportFrom)}
        assert not {f"audio_distance.{later}" for _, later in ON_DEMAND} & froms


def test_only_the_page_knows_bokeh():
    for path in files("audio_distance"):
        drawing = imported(path) & {"bokeh", "PIL"}
        assert not drawing or path.parent.name == "page", path
        allowed = {"bokeh"} if path.name == "figures.py" else set()
        assert set(imported_at_once(path)) & {"bokeh", "PIL"} <= allowed, path


def test_the_containers_build_on_each_other_in_one_order():
    """On errors besides; what a family needs of another is a module of its own."""
    folder, within = ROOT / "audio_distance" / "containers", "audio_distance.containers."
    assert {path.stem for path in folder.iterdir() if path.suffix == ".py"} == {*CONTAINERS, "__init__"}
    for place, name in enumerate(CONTAINERS):
        names = [module for module in modules(folder / f"{name}.py") if module.startswith("audio_distance.")]
        assert all(module.startswith((within, "audio_distance.errors.")) for module in names), name
        used = {module.removeprefix(within).split(".")[0] for module in names if module.startswith(within)}
        assert used <= {"parts", "kinds", "chunks", "checksums"} & set(CONTAINERS[:place]), name


def test_every_room_is_known_here():
    """A new folder of code needs its line in ROOMS: what nobody looks at imports what it likes."""
    packages = {path.parent.name for path in ROOT.glob("[!.]*/__init__.py")}
    assert packages == {room for room in ROOMS if (ROOT / room).is_dir()}
