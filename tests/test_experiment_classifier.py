"""The experiment on the classifier in small, on tones in place of all recordings: measured, and drawn."""

import functools
import json

import numpy as np
import pytest

pytest.importorskip("torch", reason='pip install -e ".[models]"')
pytest.importorskip("hydra", reason='pip install -e ".[gate]"')

from ablations import run
from experiments import classifier
from report import tables
from report.figures.index import FIGURES
from study import datasets, results

RATE = 8000
SIZES = {"n_fft": 256, "hop_length": 128, "mels": 24, "coefficients": 8, "width": 2, "steps": 10, "batch": 8}
DRAWN = [draw for draw, *sources in FIGURES.values() if sources == ["classifier"]]


def tones(name):
    """36 tones: three pitches, three speakers of other timbres and noise; folds and parts in turn."""
    rng = np.random.default_rng(0)
    columns = []
    for i in range(36):
        label, group = i % 3, i // 3 % 3
        time = np.arange(int(RATE * rng.uniform(0.2, 0.3))) / RATE
        pitch = rng.uniform(150, 200) * 2.5**label
        partials = sum(np.sin(2 * np.pi * k * pitch * time) * (0.25 * group) ** (k - 1) for k in (1, 2, 3))
        signal = (0.1 * partials + 0.008 * group * rng.normal(size=len(time))).astype(np.float32)
        fold = str(min(group, 1)) if name == "sounds" else ("test" if i < 9 else "train")
        columns.append((signal, f"{i:03d}", "abc"[label], f"{name}{group}", fold))
    signals, names, labels, groups, folds = zip(*columns, strict=True)
    return datasets.AudioSet(name, signals, RATE, names, labels, groups, "made here", folds)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    original = classifier.load

    def small(overrides, config_name):
        made = [f"model.{key}={value}" for key, value in SIZES.items()]
        made += ["model.seconds=0.2", "model.rate=0"]
        made += ["data.labels=[]", "data.folds=2"] if "folds=families" in overrides else []
        made += ["data.folds=3"] if "folds=speakers" in overrides else []
        return original([*overrides, *made], config_name=config_name)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("digits", "sounds"):
            patch.setattr(datasets, name, functools.cache(functools.partial(tones, name)))
        patch.setattr(datasets, "instruments", lambda **_: tones("instruments"))
        patch.setattr(classifier, "load", small)
        patch.setattr(classifier, "LADDER", ("majority", "cepstral", "single", ""))
        patch.setattr(classifier, "CHANGES", ("noise",))
        patch.setattr(classifier, "RATES", (4000,))
        patch.setattr(classifier, "PERMUTATIONS", 99)
        patch.setattr(classifier, "GRADES", (1, 5))
        patch.setattr(classifier, "KEPT", 2)
        patch.setattr(classifier, "VARIANTS", ("focal",))
        patch.setattr(classifier, "DRAWS", 50)
        classifier._folds.cache_clear()
        content = classifier.run(runs=str(folder / "runs"), workers=1)
        kept = len(list((folder / "runs").glob("*/*/metrics.json")))
        run_again = []
        patch.setattr(run, "_make", lambda *a: run_again.append(a))
        again = classifier.run(runs=str(folder / "runs"), workers=1)
        classifier._folds.cache_clear()
    assert not run_again
    plain = [json.loads(json.dumps(results.plain(x))) for x in (content, again)]
    assert plain[0] == plain[1]
    return plain[0], kept


def test_everything_is_measured(measured):
    content, kept = measured
    assert list(content["ladder"]) == ["majority", "cepstral", "single", "whole", "focal"]
    assert kept == 5 * 2 + (1 + 3 + 2) * 3 + 2  # ladder, wholes and baselines elsewhere, flattered
    for row in content["ladder"].values():
        assert len(row["values"]) == 2 and row["interval"][0] <= row["accuracy"] <= row["interval"][1]
    assert content["ladder"]["majority"]["accuracy"] == pytest.approx(1 / 3, abs=0.01)
    assert content["divisions"]["digits"]["baselines"]["cepstral"]["accuracy"] >= 0.8
    assert content["ladder"]["single"]["gain"] == pytest.approx(
        content["ladder"]["single"]["accuracy"] - content["ladder"]["cepstral"]["accuracy"], abs=1e-5
    )


def test_divisions_count_every_file(measured):
    content, _ = measured
    assert set(content["divisions"]) == set(classifier.DIVISIONS)
    for name, row in content["divisions"].items():
        count = 9 if name == "digits" else 36
        assert np.sum(row["confusion"]) == row["files"] == count
        right = np.trace(row["confusion"]) / count
        if name in ("digits", "speakers"):  # folds of equal size
            assert right == pytest.approx(row["accuracy"], abs=1e-5)
        assert row["raw"]["bins"] and sum(b[2] for b in row["raw"]["bins"]) == count
        assert (row["calibrated"] is None) == (name == "digits")
        assert set(row["baselines"]) == {"majority", "cepstral"}
    assert {n for n, row in content["divisions"].items() if "flattered" in row} == {"speakers", "families"}


def test_new_folders(measured):
    content, _ = measured
    rows = content["folders"]
    each = 1 + 2 + 1 + 2  # as they are, noise, a rate, classes missing
    assert len(rows) == each * (2 + 1 + 3 + 2) + 1 + 2
    kinds = {row["kind"] for row in rows}
    assert kinds == {
        "held out",
        "unknown speaker",
        "unknown programs",
        "noise",
        "classes missing",
        "at 4000 Hz",
    }
    for row in rows:
        if row["kind"] == "held out" and row["data"] in ("sounds", "digits"):
            assert row["drop"] == 0  # a number less itself
    noisy = [r for r in rows if r["kind"] == "noise"]
    assert np.mean([r["distance"] for r in noisy if r["grade"] == 5]) > np.mean(
        [r["distance"] for r in noisy if r["grade"] == 1]
    )
    warned = content["prediction"]["warnings"]
    assert sum(row["folders"] for row in warned) == len(rows)


def test_a_planted_order_is_found(monkeypatch):
    """Distance in the order of the drop: correlation 1; the other measure is its reverse."""
    monkeypatch.setattr(classifier, "DRAWS", 50)
    rows = [
        {"data": "sounds", "kind": str(i), "grade": 0, "fold": 0, "drop": i / 10, "distance": i**2 / 100}
        | {"less_sure": -i / 10, "p_value": 0.001}
        for i in range(10)
    ]
    rows[0]["kind"] = "held out"
    order = classifier._prediction(rows, ("sounds",))["sounds"]
    assert order["distance"]["spearman"] == pytest.approx(1)
    assert order["distance"]["interval"] == pytest.approx([1, 1])
    assert order["less_sure"]["spearman"] == pytest.approx(-1)
    warnings = classifier._prediction(rows, ("sounds",))["warnings"]
    assert [row["warned"] for row in warnings] == [0, 0, 1, 7]  # distances above 0.02


def test_it_is_drawn(measured):
    content, _ = measured
    for draw in DRAWN:
        draw(content)
    assert len(tables.divisions(content)) == 4
    folders = tables.new_folders(content)
    # as they are, noise twice, a rate, classes missing, and the two kinds of unknown
    assert folders.shape == (7, 2 * 4) and folders.loc["held out", ("sounds", "lost")] == "0.000"
    assert list(tables.warned(content)["folders"]) == [
        row["folders"] for row in content["prediction"]["warnings"]
    ]
    assert len(tables.rungs(content)) == len(content["ladder"])
