"""The gate end to end on models that take milliseconds: configs, runs, verdicts, plans, the plugin."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from joblib import Parallel, delayed
from noise_model import tilted

pytest.importorskip("hydra", reason='pip install -e ".[gate]"')
from omegaconf import OmegaConf

import metrics
from ablations import __main__ as command
from ablations import compare, family, plan, run, seeds, splits, tasks
from ablations.config import ConfigError, check_sweep, keys, load
from ablations.generator import SpectrogramGenerator
from ablations.run import RunError
from study.distances import nearest_neighbour_quality

ROOT = Path(__file__).parents[1]
RATE = 8000


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """30 noises of two labels in folders."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for i in range(30):
        place = folder / ("a" if i % 2 else "b") / f"{i:02d}.wav"
        place.parent.mkdir(exist_ok=True)
        soundfile.write(place, tilted(rng, RATE // 2, 0.0), RATE)
    return folder


def small(recordings, runs, *overrides, **model):
    """A config of the noise model on the recordings: milliseconds."""
    made = load(
        [
            f"data.name={recordings}",
            "data.labels=[]",
            "data.train=10",
            "data.reference=12",
            "generate=12",
            "evaluate=[1]",
            f"runs={runs}",
            *overrides,
        ]
    )
    OmegaConf.set_struct(made, False)
    made.model = {"_target_": "noise_model.Noise", **model}
    return made


@pytest.fixture
def config(recordings, tmp_path):
    """The same below ``tmp_path / "runs"``, as a function of overrides."""
    return lambda *overrides, **model: small(recordings, tmp_path / "runs", *overrides, **model)


def tree(folder):
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# Configs


def test_defaults_and_ablations():
    base = load()
    assert (base.name, base.seed, base.model.denormalise) == ("base", 0, True)
    dropped = load(["ablation=dropped_class", "seed=3"])
    assert (dropped.name, dropped.seed, list(dropped.data.without)) == ("dropped_class", 3, ["percussive"])


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "ablation").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_ablation_is_a_few_lines_and_names_itself(path):
    assert load([f"ablation={path.stem}"]).name == path.stem
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 6


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["sead=1"], ["did you mean seed?", "data.train (int)"]),
        (["data.trian=10"], ["did you mean data.train?"]),
        (["model.hop=3"], ["model.hop_length (int)"]),
        (["seed=soon"], ["'soon'", "Integer"]),
        (["model.denormalise=perhaps"], ["perhaps", "model.denormalise (bool)"]),
        (["ablation=dropped"], ["ablation=dropped_class"]),
        (["seed"], ["seed"]),
    ],
)
def test_a_wrong_key_or_value_lists_what_exists(overrides, parts):
    with pytest.raises(ConfigError) as error:
        load(overrides)
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_a_wrong_key_in_a_file_lists_what_exists(tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "configs" / "ablation" / "odd.yaml").write_text("# @package _global_\nname: odd\nsteps: 3\n")
    with pytest.raises(ConfigError, match="steps"):
        load(["ablation=odd"], folder=tmp_path / "configs")


def test_the_constructor_of_a_model_is_its_schema(own_configs, monkeypatch):
    """Of one's own too: keys, what is required, types; a number in another type is the same setting."""
    monkeypatch.syspath_prepend(own_configs)
    (own_configs / "own_model.py").write_text(
        "class Own:\n    def __init__(self, *, sharpness: float, deep: bool = False, sizes=(1, 2)): pass\n"
        "def open_ended(**options): pass\n"
    )
    mine = f"hydra.searchpath=[file://{own_configs}]"

    def written(text):
        (own_configs / "model" / "own.yaml").write_text(text)
        return load([mine, "model=own"]).model

    assert written("_target_: own_model.Own\nsharpness: 2\nsizes: [3]\n") == {
        "_target_": "own_model.Own",
        "sharpness": 2.0,
        "sizes": [3],
    }
    assert type(load([mine, "model=own", "model.sharpness=3"]).model.sharpness) is float
    assert written("_target_: own_model.open_ended\nanything: 1\n").anything == 1
    for text, message in (
        (
            "_target_: own_model.Own\nsharpnes: 2.0\n",
            "no option model.sharpnes; did you mean model.sharpness?",
        ),
        ("_target_: own_model.Own\ndeep: true\n", "own_model.Own needs model.sharpness"),
        ("_target_: own_model.Own\nsharpness: very\n", "model.sharpness='very' is no float"),
        ("_target_: own_model.Other\n", "own_model.Other cannot be imported: .*no attribute 'Other'"),
        ("_target_: no_model.Own\n", "no_model.Own cannot be imported: No module named"),
        ("sharpness: 2.0\n", "model._target_ is missing"),
    ):
        with pytest.raises(ConfigError, match=message):
            written(text)


def test_a_sweep_is_checked_to_its_last_run():
    check_sweep(["seed=range(0,3)", "ablation=base,refactor"], config_name="base")
    with pytest.raises(ConfigError, match="many"):
        check_sweep(["seed=0,1,many"], config_name="base")
    with pytest.raises(ConfigError, match="ablation"):
        check_sweep(["seed=0,1", "ablation=base,bse"], config_name="base")
    with pytest.raises(ConfigError, match=r"model\.steps='many' is no int"):
        check_sweep(["seed=0,1", "model.steps=3,many"], config_name="base")


def test_keys():
    assert keys(OmegaConf.create({"a": 1, "b": {"c": 2}})) == {"a": 1, "b.c": 2}


# Runs


def test_a_run_holds_everything(config):
    distance = run.run(config())
    place = Path(config().runs) / "base" / "0"
    assert {p.name for p in place.iterdir()} == {*run.FILES, "audio", "embedding.npz", "jackknife.npz"}
    numbers, record = (run.read(place, name) for name in ("metrics.json", "record.json"))
    assert numbers["distance"] == distance
    assert [point["step"] for point in numbers["curve"]] == [1, 3]
    assert numbers["curve"][0]["distance"] > distance  # the model gets better
    assert numbers["distance"] == pytest.approx(
        np.mean([numbers[v.replace(" ", "_")] for v in metrics.VIEWS]), abs=1e-5
    )
    assert set(record["data"]) == {"train", "reference"} and record["seed"] == 0
    assert record["recipe"] == metrics.constants()[1]
    sounds = sorted((place / "audio").iterdir())
    assert len(sounds) == 12 and soundfile.info(sounds[0]).samplerate == RATE
    with np.load(place / "embedding.npz") as stored:
        assert stored["rows"].shape == (12, 1032) and len(stored["owners"]) == 12


def test_what_a_run_tells_of_its_numbers(config):
    """Coverage and density, errors by the jackknife, steps and bands: against the definitions."""
    made = config()
    run.run(made)
    place = Path(made.runs) / "base" / "0"
    numbers, reference = run.read(place, "metrics.json"), splits.split(made).reference
    with np.load(place / "embedding.npz") as stored, np.load(place / "jackknife.npz") as without:
        known = np.stack([tasks.embedded(x, RATE).mean(axis=0) for x in reference])
        quality = nearest_neighbour_quality(known, stored["rows"])
        assert set(without) == set(family.METRICS) == set(numbers["errors"]) == set(numbers["steps"])
        for metric, values in without.items():
            spread = np.sqrt(11 / 12 * np.sum((values - values.mean()) ** 2))
            assert values.shape == (12,) and numbers["errors"][metric] == pytest.approx(spread, rel=1e-4)
    assert numbers["coverage"] == pytest.approx(quality["coverage"], abs=1e-5)
    assert numbers["density"] == pytest.approx(quality["density"], abs=1e-5)
    assert numbers["steps"]["coverage"] == pytest.approx(1 / 12, rel=1e-4) and numbers["steps"]["attack"] == 0
    assert numbers["steps"]["density"] == pytest.approx(1 / 60, rel=1e-4)  # five balls a file
    assert sum(numbers["bands"].values()) == pytest.approx(numbers["envelope"], abs=1e-4)
    assert {"coverage", "density"} <= set(numbers["curve"][0]) and "bands" not in numbers["curve"][0]


def test_a_run_that_is_there_is_not_made_again(config):
    first = run.run(config())
    before = tree(Path(config().runs))
    stamps = [p.stat().st_mtime_ns for p in sorted(Path(config().runs).rglob("*"))]
    assert run.run(config()) == first
    assert tree(Path(config().runs)) == before
    assert [p.stat().st_mtime_ns for p in sorted(Path(config().runs).rglob("*"))] == stamps


def test_one_name_is_one_model(config):
    run.run(config())
    with pytest.raises(RunError, match=r"another config.*\- model\.tilt|\+ model\.tilt=2"):
        run.run(config(tilt=2.0))


def test_seeds_decide_everything_and_only_they(config, tmp_path):
    run.run(config())
    run.run(config(f"runs={tmp_path / 'again'}"))
    run.run(config("seed=1"))
    one, two, three = (
        tree(tmp_path / place / "audio") for place in ("runs/base/0", "again/base/0", "runs/base/1")
    )
    assert one == two and one != three
    sums = [json.loads((tmp_path / f"runs/base/{seed}/record.json").read_text())["data"] for seed in (0, 1)]
    assert sums[0]["reference"] == sums[1]["reference"] and sums[0]["train"] != sums[1]["train"]


def test_a_label_left_out_leaves_the_reference_as_it_is(config):
    whole = splits.split(config()).checksums
    found = splits.split(config("data.without=[a]", "data.train=6"))
    left = found.checksums
    assert whole["reference"] == left["reference"] and whole["train"] != left["train"]
    assert len(found.train) == 6 and found.rate == RATE
    assert set(found.train_labels) == {"b"}


def test_no_file_is_both_trained_on_and_compared_with(config):
    found = splits.split(config("data.validation=5"))
    parts = [{x.tobytes() for x in part} for part in (found.train, found.reference, found.validation)]
    assert [len(part) for part in parts] == [10, 12, 5]
    assert len(set.union(*parts)) == 27


def test_no_group_is_on_two_sides(config, recordings):
    """The group is the last digit of the file's number: three files in each of ten."""
    groups = {}
    for path in recordings.rglob("*.wav"):
        groups[soundfile.read(path, dtype="float32")[0].tobytes()] = path.stem[1]
    settings = config(
        "data.validation=4", "data.reference=4", "data.split_by=group", r"data.group_pattern='(\d)\.wav'"
    )
    found = splits.split(settings)
    sides = [{groups[x.tobytes()] for x in part} for part in (found.train, found.reference, found.validation)]
    assert [len(found.train), len(found.reference), len(found.validation)] == [10, 4, 4]
    assert sum(len(side) for side in sides) == len(set.union(*sides))
    assert len(sides[1]) == len(sides[2]) == 2
    with pytest.raises(ConfigError, match="30 usable files in 10 groups, 6 of them for training"):
        splits.split(config("data.reference=24", "data.split_by=group", r"data.group_pattern='(\d)\.wav'"))
    for override, message in (
        ("data.group_pattern='('", r"'\(' is no regular expression"),
        ("data.segment_seconds=-1", "seconds is -1.0; pieces have a length"),
    ):
        with pytest.raises(ConfigError, match=message):
            splits.split(config(override))
    with pytest.raises(ConfigError, match="neither file nor group"):
        splits.split(config("data.split_by=speaker"))


def test_pieces_of_one_file_are_one_group(config, tmp_path):
    """As genre folders have it: long files of several genres, cut to pieces."""
    rng = np.random.default_rng(1)
    for i in range(12):
        place = tmp_path / "genres" / ("blues" if i % 2 else "disco") / f"{i:05d}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        # Sample number k of file i is i plus noise, so a piece tells its file.
        soundfile.write(place, (i + rng.uniform(0, 0.5, RATE)) / 12, RATE, subtype="FLOAT")
    found = splits.split(
        config(
            f"data.name={tmp_path / 'genres'}",
            "data.segment_seconds=0.25",
            "data.split_by=group",
            "data.reference=6",
            "data.train=20",
        )
    )
    files = [{int(12 * x.mean()) for x in part} for part in (found.train, found.reference)]
    assert {len(x) for x in found.train} == {RATE // 4}
    assert not files[0] & files[1] and len(files[1]) == 2
    assert set(found.train_labels) == {"blues", "disco"}


@pytest.mark.parametrize(("fault", "error"), [("interrupt", KeyboardInterrupt), ("nan", metrics.AudioError)])
def test_an_interrupted_or_diverged_run_leaves_nothing(config, fault, error):
    with pytest.raises(error):
        run.run(config(fault=fault))
    assert list((Path(config().runs) / "base").iterdir()) == []


def test_two_at_once_do_not_collide(config):
    settings = config()
    found = Parallel(n_jobs=2)(delayed(run.run)(settings) for _ in range(4))
    assert len(set(found)) == 1
    assert [p.name for p in (Path(settings.runs) / "base").iterdir()] == ["0"]


def test_messages_of_the_data(config, tmp_path, recordings):
    cases = {
        "no label c": "data.without=[c]",
        "30 usable files": "data.train=1000",
        "neither instruments": "data.name=nowhere",
        "no audio files": f"data.name={tmp_path}",
    }
    for message, override in cases.items():
        with pytest.raises(ConfigError, match=message):
            splits.split(config(override))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "x.wav").write_bytes(b"no sound")
    with pytest.raises(ConfigError, match=r"x\.wav: .*convert it"):
        splits.split(config(f"data.name={broken}"))
    mixed = tmp_path / "mixed"
    shutil.copytree(recordings, mixed)
    soundfile.write(mixed / "c.wav", np.ones(100) / 2, 16000)
    with pytest.raises(ConfigError, match=r"8000 Hz \(.*\) and 16000 Hz \(c\.wav\)"):
        splits.split(config(f"data.name={mixed}"))


def test_instruments_have_one_reference_whatever_is_trained():
    sums = [
        splits.split(load([*o, "data.train=5", "data.reference=4"])).checksums
        for o in ([], ["ablation=dropped_class"])
    ]
    assert sums[0]["reference"] == sums[1]["reference"]


def test_mlflow_gets_the_same(config, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    address = (tmp_path / "mlruns").as_uri()
    distance = run.run(config(f"tracker={address}"))
    mlflow.set_tracking_uri(address)
    (found,) = mlflow.search_runs(experiment_names=["base"], output_format="list")
    assert found.data.metrics["distance"] == pytest.approx(distance)
    assert found.data.params["data.train"] == "10"
    history = mlflow.tracking.MlflowClient().get_metric_history(found.info.run_id, "distance")
    assert [point.step for point in history] == [1, 3]


class Recorder(ModuleType):
    """In place of a module: notes the calls of its functions, and is what ``with`` enters."""

    def __init__(self, name):
        super().__init__(name)
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *values, **options: self.calls.append((name, values, options)) or nullcontext()


def test_what_a_tracker_is_told(config, monkeypatch):
    """The same without MLflow, which is no part of the test environment: what it would be called with."""
    recorder = Recorder("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", recorder)
    distance = run.run(config("tracker=http://localhost:1"))
    called = {}
    for name, values, options in recorder.calls:
        called.setdefault(name, []).append((values, options))
    assert called["set_tracking_uri"] == [(("http://localhost:1",), {})]
    assert called["set_experiment"] == [(("base",), {})]
    assert called["start_run"] == [((), {"run_name": "base 0"})]
    assert called["log_params"][0][0][0]["data.train"] == "10"
    points = [(options["step"], values[0]) for values, options in called["log_metrics"]]
    assert [step for step, _ in points] == [1, 3] and points[-1][1]["distance"] == pytest.approx(distance)
    assert [Path(values[0]).name for values, _ in called["log_artifact"]] == ["config.yaml", "record.json"]
    assert all(Path(values[0]).is_file() for values, _ in called["log_artifact"])


def test_without_mlflow_it_says_what_to_install(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match="pip install mlflow"):
        run.run(config("tracker=http://localhost:1"))


# Verdicts from runs


@pytest.fixture(scope="module")
def runs(recordings, tmp_path_factory):
    """Four seeds of a model, of the same under another name, and of a worse one."""
    folder = tmp_path_factory.mktemp("gate")
    for name, tilt in (("good", 0.0), ("same", 0.0), ("bad", 1.0)):
        for seed in range(4):
            made = small(recordings, folder, f"name={name}", f"seed={seed}", tilt=tilt)
            run.run(made)
    return folder


@pytest.fixture
def copied(runs, tmp_path):
    return Path(shutil.copytree(runs, tmp_path / "runs"))


def test_a_worse_model_is_caught_and_the_same_one_is_not(runs, capsys):
    found = compare.compare(
        compare.load(runs / "good"), [compare.load(runs / n) for n in ("same", "bad")], margin="20%"
    )
    assert found["bad"].verdict == "worse" and found["bad"].paired
    # The same seeds give the same numbers, whose differences are 0 without rounding.
    assert found["same"].verdict == "no worse" and found["same"].effect == 0
    assert command.main(["compare", "good", "bad", "--runs", str(runs)]) == 1
    assert command.main(["compare", "good", "same", "--runs", str(runs), "--margin", "20%"]) == 0
    assert command.main(["compare", "good", "same", "--runs", str(runs), "--metric", "distance"]) == 3
    assert command.main(["compare", "bad", "good", "--runs", str(runs), "--metric", "distance"]) == 0
    # Better in the distance; that nothing was lost is more than four seeds of 12 files can tell.
    assert command.main(["compare", "bad", "good", "--runs", str(runs)]) == 3
    assert command.main(["compare", "good", "same", "bad", "--runs", str(runs), "--margin", "20%"]) == 1
    out = capsys.readouterr().out
    assert "bad against good: worse in distance, envelope (" in out
    assert (
        "good against bad, distance: better" in out and "good against bad: undecided: better in dist" in out
    )


def test_undecided_ends_as_it_is_told_to(runs):
    alone = ["compare", "good", "same", "--runs", str(runs), "--metric", "distance"]
    for told, code in (([], 3), (["--undecided", "ok"], 0), (["--undecided", "fail"], 1)):
        assert command.main([*alone, *told]) == code
    worse = ["compare", "good", "bad", "--runs", str(runs), "--undecided", "ok"]
    assert command.main(worse) == 1  # which it does not hide


def test_a_summary_for_a_pull_request(runs, tmp_path, capsys):
    names = ["good", "bad", "same", "--runs", str(runs), "--margin", "20%"]
    assert command.main(["compare", *names, "--report", str(tmp_path / "new")]) == 1
    printed = capsys.readouterr().out
    text = (tmp_path / "new" / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("## bad against good: worse\n\nWorse in ")
    assert "## same against good: no worse" in text
    for metric in family.METRICS:
        words = metric.replace("_", " ")
        assert text.count(f"\n| {words} | ") == 2 == printed.count(f"\n  {words} ")
    assert "- `model.tilt: 0.0 -> 1.0`" in text and text.count("- `") == 1 and "- none" in text
    assert f"python -m ablations compare {' '.join(names)}" in text
    assert (tmp_path / "new" / "effects.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"summary.md", "effects.png"}
    one = ["compare", "good", "bad", "--runs", str(runs), "--metric", "attack", "--report", str(tmp_path)]
    command.main(one)
    assert "\n| attack | " in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_a_config_that_is_not_there(capsys):
    assert command.main(["run", "--config-name", "bass"]) == 2
    assert "no config named 'bass' in" in (said := capsys.readouterr().err)
    assert "did you mean base?" in said and "vae_simple" in said


def test_json_has_everything(runs, capsys):
    assert command.main(["compare", "good", "bad", "--runs", str(runs), "--json"]) == 1
    whole = json.loads(capsys.readouterr().out)["bad"]
    assert whole["verdict"] == "worse" and whole["more"] is None and "envelope" in whole["where"]
    content = whole["members"]["distance"]
    assert content["verdict"] == "worse" and len(content["baseline"]) == 4


def test_other_metrics(runs):
    values = compare.load(runs / "good", metric="envelope").values
    assert values != compare.load(runs / "good").values
    first = compare.load(runs / "good", metric="curve:1:distance").values
    assert all(first[seed] > compare.load(runs / "good").values[seed] for seed in first)


def test_only_common_seeds_pair(copied, capsys):
    shutil.rmtree(copied / "bad" / "3")
    assert command.main(["compare", "good", "bad", "--runs", str(copied)]) == 3
    assert "seeds 3 are not in both good and bad" in capsys.readouterr().err
    good, bad = (compare.load(copied / n) for n in ("good", "bad"))
    assert len(compare.compare(good, [bad])["bad"].baseline) == 3
    unpaired = compare.compare(good, [bad], paired=False)["bad"]
    assert (len(unpaired.baseline), len(unpaired.candidate)) == (4, 3)
    for seed in (0, 1):
        shutil.rmtree(copied / "bad" / str(seed))
    with pytest.raises(RunError, match="fewer than 2 seeds in common"):
        compare.compare(good, [compare.load(copied / "bad")], paired=True)


def _broken(copied, kind):
    place = copied / "good" / "2"
    record = json.loads((place / "record.json").read_text())
    numbers = json.loads((place / "metrics.json").read_text())
    if kind == "half":
        (place / "embedding.npz").unlink()
    elif kind == "cut":
        (place / "metrics.json").write_text('{"distance": 0.1')
    elif kind == "list":
        (place / "metrics.json").write_text("[]")
    elif kind == "binary":
        (place / "metrics.json").write_bytes(b"\xff\xfe\x00")
    elif kind == "nan":
        (place / "metrics.json").write_text(json.dumps({**numbers, "distance": float("nan")}))
    elif kind == "recipe":
        (place / "record.json").write_text(json.dumps({**record, "recipe": "0-other"}))
    elif kind == "reference":
        (place / "record.json").write_text(json.dumps({**record, "data": {"reference": "x"}}))
    elif kind == "versions":
        (place / "record.json").write_text(json.dumps({**record, "versions": {"numpy": "0"}}))
    elif kind == "config":
        text = (place / "config.yaml").read_text()
        (place / "config.yaml").write_text(text.replace("generate: 12", "generate: 13"))
    elif kind == "name":
        place.rename(place.parent / "best")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("half", "good/2 lacks embedding.npz"),
        ("cut", "metrics.json is damaged"),
        ("list", "holds no table"),
        ("binary", "metrics.json is damaged"),
        ("nan", "good/2: distance is nan"),
        ("recipe", "seeds 0, 1, 3 and 2 have another recipe"),
        ("reference", "another reference recordings"),
        ("versions", "another package versions"),
        ("config", "another config"),
        ("name", "holds best"),
    ],
)
def test_a_broken_run_is_named_and_never_averaged_in(copied, kind, message, capsys):
    _broken(copied, kind)
    with pytest.raises(RunError, match=message):
        compare.load(copied / "good")
    assert command.main(["compare", "good", "bad", "--runs", str(copied)]) == 2
    assert "error: " in capsys.readouterr().err


def test_other_messages_of_compare(runs, copied, capsys):
    with pytest.raises(RunError, match=r"no such runs; below .* there are bad, good, same"):
        compare.load("god", runs=runs)
    (copied / "empty").mkdir()
    with pytest.raises(RunError, match="no runs"):
        compare.load(copied / "empty")
    with pytest.raises(RunError, match="no metric 'fad'; there are distance"):
        compare.load(runs / "good", metric="fad")
    with pytest.raises(RunError, match="nothing was measured after step 2; there are 1, 3"):
        compare.load(runs / "good", metric="curve:2:distance")
    for seed in range(4):
        place = copied / "bad" / str(seed) / "record.json"
        place.write_text(json.dumps({**json.loads(place.read_text()), "recipe": "0-old"}))
    with pytest.raises(RunError, match="differ in the recipe"):
        compare.compare(compare.load(copied / "good"), [compare.load(copied / "bad")])
    with pytest.raises(ValueError, match="neither a number nor a share"):
        compare.absolute("much", 1.0)
    assert compare.absolute("5%", -2.0) == pytest.approx(0.1)
    with pytest.raises(SystemExit, match="2"):
        command.main(["compare", "good", "bad", "--look", "two"])
    assert command.main(["birds"]) == 2 and command.main(["--help"]) == 0 and command.main([]) == 2
    assert "no command 'birds'" in capsys.readouterr().err


# Plans


def test_plan_from_a_pilot(runs, capsys):
    found = plan.plan(compare.load(runs / "good"), margin=0.02)
    counts = list(found.seeds.values())
    assert found.files == 12 and list(found.seeds) == [6, 12, 24, 48]
    assert counts == sorted(counts, reverse=True)  # more files need fewer seeds
    assert found.seeds[12] == seeds.seeds_needed(found.effect, found.spread, paired=False, degrees=3)
    assert found.spread_interval[0] < found.spread < found.spread_interval[1]
    assert command.main(["plan", "good", "--runs", str(runs), "--margin", "0.02"]) == 0
    assert "12 files a run" in capsys.readouterr().out


def test_plan_for_pairs(runs):
    found = plan.plan(compare.load(runs / "good"), compare.load(runs / "bad"), margin="20%")
    assert found.paired and found.pilot_seeds == 4


def test_plans_that_cannot_be(runs, copied):
    with pytest.raises(ValueError, match="margin is 0"):
        plan.plan(compare.load(runs / "good"), margin=0)
    for seed in (1, 2, 3):
        shutil.rmtree(copied / "good" / str(seed))
    with pytest.raises(ValueError, match="1 pilot seeds"):
        plan.plan(compare.load(copied / "good"), margin="5%")
    far = plan.plan(compare.load(runs / "good"), margin=1e-9)
    assert set(far.seeds.values()) == {None} and "over 10,000" in str(far)


# The shipped model


@pytest.fixture(scope="module")
def generator():
    return {
        "n_fft": 256,
        "hop_length": 64,
        "mels": 20,
        "seconds": 0.25,
        "components": 4,
        "mixture": 2,
        "steps": 8,
        "batch": 8,
        "learning_rate": 1.0,
        "iterations": 4,
    }


@pytest.fixture(scope="module")
def tones():
    rng = np.random.default_rng(1)
    time = np.arange(RATE // 4) / RATE
    return [
        (np.sin(2 * np.pi * rng.uniform(300, 2000) * time) * np.exp(-8 * time)).astype(np.float32)
        for _ in range(24)
    ]


def trained(signals, seed=0, labels=(), **settings):
    model = SpectrogramGenerator(**settings)
    steps = list(model.train(signals, RATE, seed=seed, labels=labels))
    assert steps == list(range(1, settings["steps"] + 1))
    return model


def test_generator_learns(generator, tones):
    """The components hold more of the variance after training than at random."""
    untrained = trained(tones, **{**generator, "steps": 1, "learning_rate": 0.0})
    model = trained(tones, **{**generator, "steps": 40})
    held = [np.sum((m.table @ m.basis) ** 2) / np.sum(m.table**2) for m in (untrained, model)]
    best = np.sum(np.linalg.svd(model.table, compute_uv=False)[:4] ** 2) / np.sum(model.table**2)
    assert held[0] < 0.2 and 0.95 * best < held[1] <= best + 1e-9


def test_generator_sounds(generator, tones):
    model = trained(tones, **generator)
    sounds = model.sample(5, seed=3)
    assert all(s.dtype == np.float32 and s.shape == (RATE // 4,) and np.abs(s).max() <= 1 for s in sounds)
    again, other = trained(tones, **generator).sample(5, seed=3), model.sample(5, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(sounds, again, strict=True))
    assert not np.array_equal(sounds[0], other[0])


def test_single_precision_changes_nothing_that_matters(generator, tones):
    one = trained(tones, **generator).sample(4, seed=0)
    two = trained(tones, **generator, single_precision=True).sample(4, seed=0)
    assert np.corrcoef(np.concatenate(one), np.concatenate(two))[0, 1] > 0.99


def test_planted_bugs_change_the_sound(generator, tones):
    good = trained(tones, **generator).sample(6, seed=0)
    for bug in ({"denormalise": False}, {"statistics_delay": 1}, {"synthesis_hop": 65}, {"played_at": 9000}):
        bad = trained(tones, **generator, **bug).sample(6, seed=0)
        size = min(len(good[0]), len(bad[0]))
        both = [np.concatenate([sound[:size] for sound in side]) for side in (good, bad)]
        assert np.corrcoef(*both)[0, 1] < 0.99


def test_what_is_planted_in_the_output(generator, tones):
    """Clipped at half of the peak; taken for 9,000 Hz, sounds of 8,000 Hz are 8/9 as long."""
    good = trained(tones, **generator).sample(3, seed=0)
    for one, other in zip(good, trained(tones, **generator, clip=0.5).sample(3, seed=0), strict=True):
        peak = np.abs(one).max()
        assert np.allclose(other, np.clip(one, -peak / 2, peak / 2), atol=1e-6)
    short = trained(tones, **generator, played_at=9000).sample(1, seed=0)[0]
    assert len(short) == pytest.approx(RATE / 4 * 8 / 9, abs=1)


def test_labels_have_statistics_of_their_own(generator, tones):
    """Loud and soft halves: by label both are made, and with swapped labels each with the other's level."""
    signals = [sound * (1.0 if i < 12 else 0.01) for i, sound in enumerate(tones)]
    labels = ["loud"] * 12 + ["soft"] * 12
    made = trained(signals, labels=labels, **generator, by_label=True).sample(8, seed=0)
    swapped = trained(signals, labels=labels, **generator, by_label=True, swap_labels=True)
    levels = np.array([[np.abs(s).max() for s in sounds] for sounds in (made, swapped.sample(8, seed=0))])
    loud, soft = np.median(levels[:, :4], axis=1), np.median(levels[:, 4:], axis=1)
    assert loud[0] > 10 * soft[0] and soft[1] > 10 * loud[1]
    # Without it labels count for nothing.
    plain = (trained(signals, labels=own, **generator).sample(2, seed=0) for own in (labels, ()))
    assert all(np.array_equal(a, b) for a, b in zip(*plain, strict=True))


def test_a_group_is_left_out_like_a_label(config, recordings):
    """One file of each group: the number of the file."""
    options = [r"data.group_pattern='(\d\d)\.wav'", "data.train=17"]
    whole = splits.split(config(*options))
    left = splits.split(config(*options, f"data.without=['{whole.train_groups[0]}']"))
    assert whole.checksums["reference"] == left.checksums["reference"]
    assert len(left.train) == 17 and whole.train_groups[0] not in left.train_groups


def test_generator_needs_sounds(generator, tones):
    with pytest.raises(ValueError, match="3 sounds are fewer than the 4 components"):
        trained(tones[:3], **generator)


# The command line, as a user has it


@pytest.fixture
def own_configs(tmp_path, recordings):
    """A user's config folder: a model of their own and small data."""
    folder = tmp_path / "mine"
    (folder / "model").mkdir(parents=True)
    (folder / "ablation").mkdir()
    (folder / "model" / "noise.yaml").write_text("_target_: noise_model.Noise\ntilt: 0.0\n")
    (folder / "ablation" / "small.yaml").write_text(
        "# @package _global_\nname: small\ngenerate: 8\nevaluate: []\n"
        f"data: {{name: {recordings}, labels: [], train: 8, reference: 8}}\n"
    )
    return folder


def shell(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ablations", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_two_sweeps_at_once_do_not_collide(own_configs, tmp_path):
    """Both want the same six runs; each ends well, and every run is there once and whole."""
    command_line = [
        *(sys.executable, "-m", "ablations", "run", "-m", "--config-dir", str(own_configs)),
        *("ablation=small", "model=noise", f"runs={tmp_path / 'runs'}", "seed=range(0,6)"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen(command_line, cwd=ROOT, env=environment) for _ in range(2)]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    found = compare.load(tmp_path / "runs" / "small")
    assert list(found.values) == list(range(6))
    assert not list((tmp_path / "runs" / "small").glob(".*"))


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_a_sweep_with_a_model_of_ones_own(own_configs, tmp_path, launcher):
    runs = tmp_path / launcher
    sweep = [
        "run",
        "-m",
        "--config-dir",
        str(own_configs),
        "ablation=small",
        "model=noise",
        f"runs={runs}",
        f"hydra/launcher={launcher}",
    ]
    if launcher == "submitit_local":
        pytest.importorskip("submitit")
        sweep.append(f"hydra.launcher.submitit_folder={tmp_path / 'jobs'}")
    done = shell(*sweep, "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (runs / "small").iterdir()) == ["0", "1"]
    before = (runs / "small" / "0" / "metrics.json").stat().st_mtime_ns
    done = shell(*sweep, "seed=0,1,2")  # the sweep goes on
    assert done.returncode == 0 and len(list((runs / "small").iterdir())) == 3
    assert (runs / "small" / "0" / "metrics.json").stat().st_mtime_ns == before
    wrong = shell(*sweep, "seed=0,1", "model.tlit=3")
    assert wrong.returncode == 2 and "tlit" in wrong.stderr and "Traceback" not in wrong.stderr


def test_optuna_searches(own_configs, tmp_path):
    pytest.importorskip("optuna")
    done = shell(
        "run",
        "-m",
        "--config-dir",
        str(own_configs),
        "ablation=small",
        "model=noise",
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.n_jobs=1",
        "hydra.sweeper.direction=minimize",
        "name='tilt_${model.tilt}'",
        "model.tilt=interval(0.0,2.0)",
        f"runs={tmp_path / 'search'}",
    )
    assert done.returncode == 0, done.stderr
    assert len([p for p in (tmp_path / "search").iterdir() if p.name.startswith("tilt_")]) == 3


# The plugin


@pytest.fixture
def suite(pytester, runs):
    pytester.makeconftest('pytest_plugins = ["ablations.pytest_plugin"]')
    pytester.syspathinsert(str(ROOT))

    def make(marker, candidate="'bad'", *options):
        name = f"{str(runs)!r} + '/' + {candidate}" if isinstance(candidate, str) else repr(candidate)
        pytester.makepyfile(
            f"""
            import pytest

            @pytest.mark.regression({marker.replace("RUNS", str(runs))})
            def test_model(regression):
                regression({name})
            """
        )
        plugins = ("-p", "no:cacheprovider", *(() if "xdist" in options else ("-p", "no:xdist")))
        return pytester.runpytest_inprocess(*plugins, "-W", "default", *options)

    return make


def test_plugin_fails_on_a_regression(suite):
    result = suite("baseline='RUNS/good', margin='20%'")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*bad against good: worse in distance*"])
    result = suite("baseline='RUNS/good', margin='20%', metric='distance'")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*bad against good, distance: worse*"])


def test_plugin_passes_without_one(suite):
    suite("baseline='RUNS/good', margin='20%'", "'same'").assert_outcomes(passed=1)


def test_plugin_warns_where_seeds_do_not_suffice(suite):
    suite("baseline='RUNS/good'", "'same'").assert_outcomes(passed=1, warnings=1)
    suite("baseline='RUNS/good'", "'same'", "--regression-strict").assert_outcomes(failed=1)


def test_plugin_tells_its_verdicts_from_other_processes_too(suite):
    """Workers of xdist have no terminal: what they found has to reach the process that has."""
    result = suite("baseline='RUNS/good', margin='20%'", "'same'", "-p", "xdist", "-n", "2")
    result.stdout.fnmatch_lines(["*= regressions =*", "*::test_model: same against good: no worse in *"])


def test_plugin_takes_values(suite):
    table = "{0: .30, 1: .31, 2: .29, 3: .30}"
    suite(f"{table}, higher_is_better=True", {0: 0.1, 1: 0.12, 2: 0.1, 3: 0.11}).assert_outcomes(failed=1)
    suite(table, {0: 0.1, 1: 0.12, 2: 0.1, 3: 0.11}).assert_outcomes(passed=1)
    # A folder of runs against values that somebody noted: their recipe is not known, and no error.
    suite("'RUNS/good'", {0: 0.9, 1: 0.92, 2: 0.9, 3: 0.91}).assert_outcomes(failed=1)


def test_plugin_knows_where_more_is_better(suite):
    """Values of a metric whose direction is known: a loss fails, whether or not it is told."""
    less, more = {0: 0.1, 1: 0.12, 2: 0.1, 3: 0.11}, {0: 0.9, 1: 0.92, 2: 0.9, 3: 0.91}
    table = "{0: .30, 1: .31, 2: .29, 3: .30}"
    for metric in ("coverage", "balanced_accuracy", "curve:3:coverage"):
        suite(f"{table}, metric={metric!r}", less).assert_outcomes(failed=1)
    suite(f"{table}, metric='coverage'", more).assert_outcomes(passed=1)
    suite(f"{table}, metric='coverage', higher_is_better=False", more).assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("margin=1", "takes one baseline"),
        ("'RUNS/good', maring=1", "has no maring"),
        ("'none.json'", "No such file"),
        ("{'a': 1}", "not a table of values by seed"),
    ],
)
def test_plugin_names_what_is_wrong(suite, marker, message):
    result = suite(marker)
    assert message in result.stdout.str()
    assert result.parseoutcomes().keys() <= {"failed", "error", "errors"}
