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
    """36 tones: three pitches, speakers of other timbres and noise (three, or four sources of sounds in as
    many folds); parts in turn."""
    rng = np.random.default_rng(0)
    columns = []
    for i in range(36):
        label, group = i % 3, i // 3 % (4 if name == "sounds" else 3)
        time = np.arange(int(RATE * rng.uniform(0.2, 0.3))) / RATE
        pitch = rng.uniform(150, 200) * 2.5**label
        partials = sum(np.sin(2 * np.pi * k * pitch * time) * (0.25 * group) ** (k - 1) for k in (1, 2, 3))
        signal = (0.1 * partials + 0.008 * group * rng.normal(size=len(time))).astype(np.float32)
        fold = str(group) if name == "sounds" else ("test" if i < 9 else "train")
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
        patch.setattr(classifier, "CHOSEN", 3)
        patch.setattr(classifier, "EMBEDDING", "log_mel")
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
    # ladder and further networks, wholes and baselines elsewhere, flattered
    assert kept == (5 + 2) * 4 + (1 + 3 + 2) * 3 + 3 + 2
    for row in content["ladder"].values():
        assert len(row["values"]) == 4 and row["interval"][0] <= row["accuracy"] <= row["interval"][1]
    assert content["ladder"]["majority"]["accuracy"] == pytest.approx(1 / 3, abs=0.01)
    assert content["divisions"]["digits"]["baselines"]["cepstral"]["accuracy"] >= 0.8
    for row in content["ladder"].values():
        assert "gains" not in row or np.mean(row["gains"]) == pytest.approx(row["gain"], abs=1e-5)
    assert content["ladder"]["focal"]["gain"] == pytest.approx(
        content["ladder"]["focal"]["accuracy"] - np.mean([row[0] for row in content["committees"]["alone"]]),
        abs=1e-5,
    )


def test_one_network_and_sets_of_three(measured):
    """Members are networks of their own seeds; the step is judged by all of them."""
    content, _ = measured
    committees, ladder = content["committees"], content["ladder"]
    assert np.shape(committees["alone"]) == (4, 5) and np.shape(committees["together"]) == (4, 10)
    assert committees["difference"] < 1e-5  # rounding of float32, and of the kept probabilities
    # The first set is that of the classifier whose predictions were kept.
    assert [row[0] for row in committees["together"]] == content["divisions"]["sounds"]["folds"]
    means = [np.mean(committees[kind], axis=1) for kind in ("alone", "together")]
    assert ladder["single"]["values"] == pytest.approx(means[0], abs=1e-5)
    assert ladder["whole"]["values"] == pytest.approx(means[1], abs=1e-5)
    assert (ladder["single"]["networks"], ladder["whole"]["networks"], ladder["focal"]["networks"]) == (
        5,
        10,
        1,
    )
    gains = means[1] - means[0]
    steps = committees["steps"]
    assert steps["all"]["gain"] == pytest.approx(gains.mean(), abs=1e-5)
    assert steps["chosen on"]["gain"] == pytest.approx(gains[:3].mean(), abs=1e-5)
    assert steps["last"]["gain"] == pytest.approx(gains[3], abs=1e-5)
    assert ladder["whole"]["verdict"] == steps["all"]["verdict"]


def test_the_jackknife_over_networks_in_closed_form(monkeypatch):
    """Of sets of one network it is the mean: the pseudo-values are the networks' own gains, which are 0.
    Of sets of all but none left out, a network that is always right among wrong ones is told from them."""
    rng = np.random.default_rng(0)
    networks, truth = rng.dirichlet(np.ones(3), (4, 50)), rng.integers(3, size=50)
    monkeypatch.setattr(classifier, "MEMBERS", 1)
    assert classifier._pseudo_values(networks, truth) == pytest.approx([0] * 4)
    monkeypatch.setattr(classifier, "MEMBERS", 2)
    values = classifier._pseudo_values(networks, truth)
    sets = classifier._accuracies(networks, truth, size=2)
    ones = classifier._accuracies(networks, truth, size=1)
    # A mean over sets is a U-statistic: leaving one out in turn averages to itself.
    assert np.mean(values) == pytest.approx(np.mean(sets) - np.mean(ones))
    assert len(sets) == 6 and len(ones) == 4


def test_a_rival_that_others_have_trained(measured):
    content, _ = measured
    row = content["pretrained"]
    assert row["embedding"] == "log_mel" and len(row["values"]) == len(row["strengths"]) == 4
    assert row["accuracy"] == pytest.approx(np.mean(row["values"]), abs=1e-5) and row["accuracy"] > 0.6
    assert set(row["strengths"]) <= set(classifier.STRENGTHS)


def test_folds_that_the_seeds_of_members_would_leave_are_refused(monkeypatch):
    monkeypatch.setattr(classifier, "_folds", lambda overrides: 3)
    with pytest.raises(ValueError, match="3 folds do not divide 1000"):
        classifier._further(["folds=sounds"], "runs")


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
    flattered = {n: row["flattered"] for n, row in content["divisions"].items() if "flattered" in row}
    assert set(flattered) == {"speakers", "families"}
    for name, row in flattered.items():  # of the same files, in as many folds
        assert row["files"] == 36 and len(row["folds"]) == len(content["divisions"][name]["folds"])


def test_new_folders(measured):
    content, _ = measured
    rows = content["folders"]
    each = 1 + 2 + 1 + 2  # as they are, noise, a rate, classes missing
    assert len(rows) == each * (4 + 1 + 3 + 2) + 3 + 2
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
    for row in warned:
        assert np.sum(list(row["by_set"].values()), axis=0).tolist() == [row["folders"], row["warned"]]


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
    assert order["distance"]["area"] is None and order["costly"] == 9  # a tenth and more; one is not
    warnings = classifier._prediction(rows, ("sounds",))["warnings"]
    assert [row["warned"] for row in warnings] == [0, 0, 1, 7]  # distances above 0.02
    for row in rows[1:3]:  # and now three are not
        row["drop"] /= 10
    order = classifier._prediction(rows, ("sounds",))["sounds"]
    assert order["distance"]["area"] == 1 and order["less_sure"]["area"] == 0
    assert order["distance"]["area_interval"] == [1, 1]
    assert order["less_sure"]["spearman"] == pytest.approx(-1)


def test_within_sets_and_in_one_heap(monkeypatch):
    """In each of two sets the order is the reverse; only that one set is far and costly shows in the heap."""
    monkeypatch.setattr(classifier, "DRAWS", 50)
    rows = [
        {"data": name, "kind": str(i), "grade": 0, "fold": 0, "less_sure": 0.0, "p_value": 0.5}
        | {"drop": much / 2 + i / 100, "distance": much - i / 100}
        for much, name in enumerate(("sounds", "digits"))
        for i in range(10)
    ]
    for row in rows[::10]:
        row["kind"] = "held out"
    order = classifier._prediction(rows, ("sounds", "digits"))
    assert order["within"]["distance"]["spearman"] == pytest.approx(-1)
    assert order["all"]["distance"]["spearman"] > 0.4 and order["all"]["distance"]["area"] == 1
    # All of one set are costly and none of the other: within them there is nothing to tell apart.
    assert order["within"]["distance"]["area"] is order["within"]["distance"]["area_interval"] is None
    assert order["within"]["less_sure"]["spearman"] is None


def test_it_is_drawn(measured):
    content, _ = measured
    for draw in DRAWN:
        draw(content)
    assert len(tables.divisions(content)) == 4
    folders = tables.new_folders(content)
    # as they are, noise twice, a rate, classes missing, and the two kinds of unknown
    assert folders.shape == (7, 2 * 4) and folders.loc["held out", ("sounds", "lost")] == "0.000"
    assert list(tables.warned(content)["warned of, all"]) == [
        f"{row['warned']} of {row['folders']}" for row in content["prediction"]["warnings"]
    ]
    assert tables.warned(content).shape[1] == 1 + 4  # and each set
    rungs = tables.rungs(content)
    assert len(rungs) == len(content["ladder"]) and set(rungs["networks a fold"]) >= {
        "1",
        "5",
        "10 sets of three",
    }
    assert list(tables.one_or_three(content)["interval over"]) == ["folds", "trainings", "folds"]
    assert "log_mel, logistic regression" in tables.beside(content).index
    assert len(tables.predictions(content)) == 4 + 2 and len(tables.calibrations(content)) == 3
