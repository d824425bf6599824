"""The image of Dockerfile: what it holds, and the same files and command without an engine."""

import ast
import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason='pip install -e ".[models]"')
from packages import PROJECT, ROOT, by_name, closure, extra, link, pinned
from packaging.utils import canonicalize_name

from models.classifier import Classifier

RATE = 8000
# What pip freeze leaves out, which is in the base image; and what a PyTorch for a GPU asks for besides.
NOT_PINNED = re.compile("setuptools$|nvidia-|cuda-|triton")


# Reading


def instructions(text):
    """(name, value) of each instruction; lines that end in a backslash go on, comments are left out."""
    found, open_ = [], ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        open_ += line.strip()
        if open_.endswith("\\"):
            open_ = open_[:-1]
            continue
        name, value = open_.split(maxsplit=1)
        found.append((name.upper(), value))
        open_ = ""
    assert not open_, "the last line goes on"
    return found


def values(name):
    return [value for found, value in STEPS if found == name]


def pairs(name):
    """Of instructions of the form KEY=VALUE ..., as of ENV."""
    return dict(word.split("=", 1) for value in values(name) for word in shlex.split(value))


def copied_patterns():
    """(source, place below WORKDIR) of each COPY; a source may hold a star."""
    for value in values("COPY"):
        *sources, place = shlex.split(value)
        assert not sources[0].startswith("--") and place.endswith("/")
        yield from ((source, PurePosixPath(place)) for source in sources)


def copies():
    """{source: place below WORKDIR}"""
    return {
        path.relative_to(ROOT).as_posix(): place / path.name
        for source, place in copied_patterns()
        for path in sorted(ROOT.glob(source))
    }


def installed():
    """(index of its instruction, options, names of packages) of the one call of pip."""
    ((index, words),) = (
        (i, shlex.split(value)) for i, (_, value) in enumerate(STEPS) if value.startswith("pip install ")
    )
    options, names = words[2:7], words[7:]
    assert not [name for name in names if name.startswith("-")]
    return index, options, names


STEPS = instructions((ROOT / "Dockerfile").read_text())
COPIES = copies()
ENTRYPOINT, CMD = (json.loads(values(name)[0]) for name in ("ENTRYPOINT", "CMD"))


def test_the_reader_of_dockerfiles():
    text = 'from a\n# no\nRUN b \\\n    # nor this\n    && c\n\nENV D="e f" \\\n  G=h\nCMD ["i"]\n'
    assert instructions(text) == [
        ("FROM", "a"),
        ("RUN", "b && c"),
        ("ENV", 'D="e f" G=h'),
        ("CMD", '["i"]'),
    ]
    with pytest.raises(AssertionError):
        instructions("RUN a \\\n")


# What it says


def test_one_base_of_an_exact_version():
    (base,) = values("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)


def test_no_root_and_a_command_that_is_no_shell_s():
    names = [name for name, _ in STEPS]
    assert names.count("USER") == names.count("ENTRYPOINT") == names.count("CMD") == 1
    assert names.index("USER") < names.index("ENTRYPOINT")
    user, group = map(int, values("USER")[0].split(":"))  # numbers, which any engine can check
    assert user > 0 and group > 0
    assert ENTRYPOINT == ["python", "-m", "models.predict"] and CMD == ["--help"]


def test_nothing_is_fetched_but_packages():
    assert {name for name, _ in STEPS} <= {
        *("FROM", "LABEL", "WORKDIR", "ARG", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD")
    }
    for command in values("RUN"):
        assert not re.search(r"\b(sudo|curl|wget|apt|apt-get|git)\b|latest|://", command)
    assert pairs("ARG") == {"TORCH_INDEX": "https://download.pytorch.org/whl/cpu"}


def test_packages_are_installed_before_code_is_copied():
    install, options, _ = installed()
    assert options == ["--no-cache-dir", "--extra-index-url", "$TORCH_INDEX", "-c", "constraints.txt"]
    assert [value for name, value in STEPS[:install] if name == "COPY"] == ["constraints.txt ./"]


def test_labels_name_the_licence():
    labels = pairs("LABEL")
    assert labels["org.opencontainers.image.title"]
    first = (ROOT / "LICENSE").read_text().splitlines()[0]
    assert first == f"{labels['org.opencontainers.image.licenses']} License" and "LICENSE" in COPIES


def test_the_build_sees_what_it_copies_and_nothing_else():
    sources = [source for source, _ in copied_patterns()]
    assert all(list(ROOT.glob(source)) for source in sources)
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*" and sorted(rules[1:]) == sorted(f"!{source}" for source in sources)
    assert all(str(place) == source for source, place in COPIES.items())  # paths are those of the repository


# What it holds


def imported(path):
    """Names of the modules that a file imports, functions' imports too."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def local(name):
    """Files of the repository that importing a name of a module runs."""
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        place = "/".join(parts[:i])
        yield from (path for path in (f"{place}.py", f"{place}/__init__.py") if (ROOT / path).is_file())


def needed():
    """Files that predicting needs, and the packages that they import."""
    files, packages, waiting = set(), set(), list(local(ENTRYPOINT[-1]))
    while waiting:
        file = waiting.pop()
        files.add(file)
        for name in imported(file):
            found = list(local(name))
            waiting += [f for f in found if f not in files]
            if not found and name.split(".")[0] not in sys.stdlib_module_names:
                packages.add(name.split(".")[0])
    return files, packages


def test_it_holds_the_modules_that_predicting_imports_and_no_others():
    code = {source for source in COPIES if source.endswith(".py")}
    assert needed()[0] <= code
    # The package as a whole: it is one folder, and its command runs in the image too.
    assert all(source.startswith("audio_distance/") for source in code - needed()[0])


def test_the_packages_are_what_these_import():
    made_by = metadata.packages_distributions()
    # Of the ways back to a waveform, of the page, which says what it lacks, and of plots.
    found = needed()[1] - {"librosa", "bokeh", "PIL", "matplotlib"}
    packages = {canonicalize_name(made_by[name][0]) if name in made_by else name for name in found}
    assert packages == set(installed()[2])


def test_the_packages_are_those_of_the_project():
    """As ``pip install ".[models,m4a]"``: the distance's own, to name sounds, and to read m4a."""
    assert set(installed()[2]) == {*by_name(PROJECT["dependencies"]), *extra("models"), *extra("m4a")}


def in_image():
    return closure(by_name(installed()[2]).values())


def test_every_package_that_is_installed_has_an_exact_version():
    assert set(installed()[2]) <= set(pinned())
    assert [name for name in in_image() if not (name in pinned() or NOT_PINNED.match(name))] == []


# What it does


def tone(label, rng):
    """A decaying tone, high or low, a third of a second."""
    time = np.arange(RATE // 3) / RATE
    pitch = rng.uniform(100, 150) * (4 if label == "high" else 1)
    return (
        0.3 * np.sin(2 * np.pi * pitch * time) * np.exp(-8 * time) + 1e-3 * rng.normal(size=len(time))
    ).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model and its file."""
    rng = np.random.default_rng(0)
    labels = ["high", "low"] * 10
    signals = [tone(label, rng) for label in labels]
    made = Classifier(
        **{"seconds": 0.25, "n_fft": 256, "hop_length": 64, "mels": 16, "coefficients": 16},
        **{"width": 2, "steps": 20, "batch": 8},
    )
    for _ in made.train(signals, RATE, labels=labels, seed=0):
        pass
    made.described = made.describe(signals, RATE, seed=0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    made.save(path)
    return made, path


@pytest.fixture
def sounds(tmp_path):
    """A folder of WAV files, one in a folder of its own, and an m4a file."""
    import av

    rng, folder = np.random.default_rng(1), tmp_path / "sounds"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "deeper/c.wav"):
        soundfile.write(folder / name, tone("high", rng), RATE, subtype="PCM_16")
    with av.open(str(folder / "d.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(tone("low", rng)[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The files of the image, in app/, and its packages, in packages/."""
    place = tmp_path_factory.mktemp("image")
    for source, target in COPIES.items():
        (place / "app" / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, place / "app" / target)
    (place / "packages").mkdir()
    link(in_image().values(), place / "packages")
    return place


def run(image, *arguments, command=ENTRYPOINT):
    """A command of the image with these arguments, with this interpreter, which sees the image alone.

    ``-S`` leaves out what is installed.
    """
    assert command[0] == "python"
    return subprocess.run(
        [sys.executable, "-S", *command[1:], *map(str, arguments)],
        cwd=image / "app",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(image / "packages"), **pairs("ENV")},
        capture_output=True,
        text=True,
        timeout=300,
    )


def state(folder):
    """Name, size, time of change and digest of all files; root may write to folders without permission."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


def test_modules_of_training_studies_and_tests_are_not_there(image):
    others = [
        "hydra",
        "omegaconf",
        "matplotlib",
        "pandas",
        "jupyter",
        "pytest",
        "librosa",
        "sklearn",
        "study",
        "experiments",
        "ablations",
        "gen_audio",
    ]
    code = "import sys, importlib.util as u; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    assert run(image, *others, command=["python", "-c", code]).stdout == "[]\n"
    assert run(image, "numpy", "models", command=["python", "-c", code]).stdout == "['numpy', 'models']\n"


def test_without_arguments_it_says_how_it_is_used(image):
    found = run(image, *CMD)
    assert found.returncode == 0 and found.stdout.startswith("usage:")


def test_every_file_of_a_folder_is_named_and_nothing_else_is_written(image, model, sounds, tmp_path):
    os.chmod(sounds, 0o555)
    before = state(sounds), state(image / "app")
    found = run(image, model[1], sounds, "--csv", tmp_path / "out.csv")
    assert found.returncode == 0, found.stderr
    assert (state(sounds), state(image / "app")) == before
    rows = read(tmp_path / "out.csv")
    assert list(rows) == ["a.wav", "b.wav", "d.m4a", "c.wav"]
    assert not any(row["error"] for row in rows.values())
    assert "to the training set" in found.stderr  # it was compared with it
    samples, rate = soundfile.read(sounds / "a.wav", dtype="float32")
    probabilities = model[0].probabilities([samples], rate)[0]
    assert rows["a.wav"]["label"] == model[0].names[probabilities.argmax()]
    assert float(rows["a.wav"]["p(high)"]) == pytest.approx(probabilities[0], abs=1e-6)


def test_a_broken_file_is_told_and_the_others_are_named(image, model, sounds, tmp_path):
    (sounds / "b.wav").write_bytes(b"RIFF, but no more")
    found = run(image, model[1], sounds, "--csv", tmp_path / "out.csv", "--no-distance")
    assert found.returncode == 1, found.stderr
    rows = read(tmp_path / "out.csv")
    assert "unreadable" in rows["b.wav"]["error"] and not rows["b.wav"]["label"]
    assert all(row["label"] and not row["error"] for name, row in rows.items() if name != "b.wav")


def docker(*arguments, timeout=300):
    return subprocess.run(
        ["docker", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )


def test_the_image_is_built_and_names_sounds(model, sounds, tmp_path):
    """The same by an engine, where there is one: no network, nothing to write to but the CSV file."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if (engine := docker("info")).returncode:
        pytest.skip(f"no docker engine: {engine.stderr.strip().splitlines()[-1]}")
    image, out = f"sounds-test-{os.getpid()}", tmp_path / "out"
    out.mkdir()
    built = docker("build", "-t", image, ".", timeout=3600)
    assert built.returncode == 0, built.stderr
    try:
        options = ["run", "--rm", "--network", "none", "--read-only"]
        who = docker(*options, "--entrypoint", "id", image, "-u")
        assert who.stdout.strip() == values("USER")[0].split(":")[0]
        options += ["-v", f"{sounds}:/sounds:ro", "-v", f"{model[1]}:/model.safetensors:ro"]
        found = docker(*options, image, "/model.safetensors", "/sounds")
        assert found.returncode == 0 and len(found.stdout.splitlines()) == 4, found.stderr
        options += ["--user", f"{os.getuid()}:{os.getgid()}", "-v", f"{out}:/out"]
        (sounds / "b.wav").write_bytes(b"RIFF, but no more")
        found = docker(*options, image, "/model.safetensors", "/sounds", "--csv", "/out/names.csv")
        assert found.returncode == 1 and len(read(out / "names.csv")) == 4, found.stderr
    finally:
        docker("rmi", image)
