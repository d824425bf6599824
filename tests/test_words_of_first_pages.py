"""What the first page, README and the chapters on definition and use say in words holds for the results.

A test that fails names the sentence that has to be written anew.
"""

import re
import tomllib

import numpy as np
import pytest
from claims import ROOT, Claim, TestSentences, in_one_line, pytest_generate_tests  # noqa: F401

import metrics
from audio_distance.comparison import Comparison
from audio_distance.features import SHORTEST_SECONDS
from experiments.statistics import KINDS, mean_power
from report import contrast, rendering, tables
from report.numbers import percent
from study import results

SIGNIFICANT = rendering.ALPHA
TESTS = ("test1", "test2")


@pytest.fixture(scope="module")
def facts():
    """All results by name, and what ``compare`` and its rivals find in the trials: ``tests``."""
    known = results.read_all()
    return {**known, "tests": contrast.level(known["trials"])}


# What is read of the results


def lowest_coverage(facts, fewest, most):
    """Of the interval, over the conditions whose smaller set has so many units."""
    return min(tables.held(facts["coverage"], fewest=fewest, most=most))


def whole_percent(share):
    return int(percent(share).removesuffix(" %"))


def by_source(facts):
    """What the test finds of small damage in each source, in whole per cent."""
    found = contrast.test_power_by_source(facts["trials"])
    return {source: whole_percent(share) for source, share in found.items()}


def other_damage(facts):
    """What the test finds of the damage that it was not chosen on, with 20 files."""
    return np.mean([row["found"]["all"] for row in facts["combinations"]["power"] if row["files"] == 20])


def right_on_new_pairs(facts):
    """Pairs that the distance was not developed with, judged right by it, and by rivals that find more."""
    own, *rivals = facts["tests"]
    more = [row for row in rivals if row["power"] > own["power"]]
    (mine,) = tables.right_of(facts["soundness"], [own])
    return mine, tables.right_of(facts["soundness"], more)


def ordered(facts, size):
    """Claims of "closer": right and wrong shares, where half and a fifth of the files have damage."""
    return tables.in_order(facts["coverage"], "50 % and 20 %", units=size)


def takes_fifty(facts):
    return max(ordered(facts, 20)["right"]) < 0.5 < min(ordered(facts, 50)["right"])


def all_called_closer(rows):
    return [{**row, "closer": [0, 1000]} for row in rows]


def kinds_missed(facts, table):
    """Kinds of mild damage that the test misses in most draws."""
    found = facts["statistics"][table]
    return {
        kind
        for kind in KINDS
        if 2 * found[f"{kind} 2"]["this distance"][0] <= found[f"{kind} 2"]["this distance"][1]
    }


def place_of(rows, **wanted):
    """Where a list has its first row with these entries."""
    return next(i for i, row in enumerate(rows) if all(row[key] == value for key, value in wanted.items()))


def compared(facts, writing, key):
    """One entry of the comparisons of both published tests."""
    return [facts["challenge"]["sets"][writing][test][key] for test in TESTS]


def mostly_missed(facts, effect, source):
    """The oracle finds it with 50 files, the test does not."""
    rows = facts["unseen"]["rows"]
    found = rows[place_of(rows, effect=effect, source=source)]["found"]["50"]
    return 2 * found["distance"] < found["draws"] <= 2 * found["oracle"]


def found_by_both(rows):
    """The same effects, which the test and the oracle find in every draw."""
    found = {"draws": 1, "distance": 1, "oracle": 1}
    return [{**row, "found": dict.fromkeys(row["found"], found)} for row in rows]


def told_apart(difference):
    """Whether a difference is shown, by p and by its interval."""
    low, high = difference["interval"]
    return difference["p_value"] <= SIGNIFICANT and not low <= 0 <= high


def gains(facts, name):
    """What a part of the test adds, mean and standard error over the effects, by number of files."""
    power = facts["combinations"]["power"]
    by_size = {}
    for size in (20, 50):
        each = [row["found"]["all"] - row["found"][name] for row in power if row["files"] == size]
        by_size[size] = (np.mean(each), np.std(each, ddof=1) / np.sqrt(len(each)))
    return by_size


def adds(facts, name):
    return all(mean > 2 * error for mean, error in gains(facts, name).values())


def parts_of_the_test(facts):
    """Combinations that lack one part; "without modulation, skewness" lacks several."""
    return [
        name
        for name in facts["combinations"]["power"][0]["found"]
        if name.startswith("without") and "," not in name
    ]


def shares_found(facts):
    """The table of the guide as numbers, a row a kind of damage."""
    table = tables.files_needed(facts["statistics"])
    return table.map(lambda cell: float(cell.split()[0]) / 100 if cell[0].isdigit() else np.nan)


MILD, VERY_MILD = "mild damage to every file (severity 2)", "very mild damage to every file (severity 1 of 5)"


def none_found(table):
    """The same effects, found in no draw."""
    return {effect: {"this distance": [0, 1]} for effect in table}


def all_found(table):
    return {effect: {"this distance": [1, 1]} for effect in table}


def missed_pairs(facts, group):
    return [
        row.split(" (")[0] for row in tables.judged_wrong(facts["soundness"], must_differ=True, group=group)
    ]


def sizes_of(facts, group):
    return {row["files"] for row in facts["soundness"]["rows"] if row["group"] == group}


def folders(facts, *, far, badly):
    """New folders of the classifier that are far or near, and named badly or as well as before."""
    return [
        row
        for row in facts["classifier"]["folders"]
        if (row["distance"] > 0.2 if far else row["distance"] < 0.02)
        and (row["drop"] > 0.2 if badly else row["drop"] < 0.02)
    ]


def worst_pairs(facts):
    """The pairs of clips, cut to two lengths, that are most often told apart."""
    pairs = [row for row in facts["lengths"]["conditions"] if row["unit"] == "pairs"]
    return max(pairs, key=lambda row: row["found"][0])


def babble_is_nearest(facts):
    """The autoencoder whose samples are nearest is not the one whose words are understood."""
    models = facts["autoencoders"]["models"]
    nearest = min(models, key=lambda name: models[name]["samples"]["mean"])
    right = {
        name: np.mean([sample["right"] for sample in row["recognised"]["samples"]])
        for name, row in models.items()
        if all("right" in sample for sample in row["recognised"]["samples"])
    }
    return right[nearest] < 0.5 * max(right.values())


def extrapolated_is_too_large(facts, embedding):
    """Two samples of one source with 20 files by Frechet extrapolated: above zero by more than two errors."""
    row = facts["trials"]["bias"]["digits"][embedding]["frechet_infinite"]["20"]
    return row["mean"] > 2 * row["sd"] / row["draws"] ** 0.5


def nearest_and_farthest(facts):
    sounds = facts["real_audio"]["sounds"]
    return rendering.nearest(sounds)["names"], rendering.farthest(sounds)["names"]


def spread_over_seeds(facts, test):
    values = [seed["historic"][test]["value"] for seed in facts["challenge"]["seeds"]]
    return max(values) - min(values)


# The claims

CHALLENGE, CLEAN, HISTORIC = ("challenge",), ("challenge", "sets", "clean"), ("challenge", "sets", "historic")


def all_is_clicks(facts):
    return all(row["share"] >= 1 for row in facts["challenge"]["clicks"].values())


def none_is_above_zero(facts):
    return max(compared(facts, "clean", "value")) <= 0


def clean_is_told(facts):
    return max(compared(facts, "clean", "p_value")) <= SIGNIFICANT


ONE_SHARE = ((*CHALLENGE, "clicks", "test2", "share"), 0.9)
ONE_ABOVE = ((*CLEAN, "test1", "value"), 0.02)

REPORT = [
    (
        "trials, and should in 5 %",
        lambda facts: facts["statistics"]["false_alarms"]["files, N=20"]["share"] < 0.065,  # three errors
        (("statistics", "false_alarms", "files, N=20", "share"), 0.08),
    ),
    (
        "find more ([the contrast](chapters/contrast.md)). Of [",
        lambda facts: facts["tests"][0]["power"] < max(row["power"] for row in facts["tests"]),
        (("tests", 0, "power"), 1.0),
    ),
    (
        "that it was not developed with, and whose answer is known (20 or 50 files), these judge",
        lambda facts: (
            {row["files"] for row in facts["soundness"]["rows"]} == {20, 50}
            and max(right_on_new_pairs(facts)[1]) < right_on_new_pairs(facts)[0]
        ),
        (
            ("soundness", "rows"),
            lambda rows: [{**row, "found": {**row["found"], "compare": row["draws"]}} for row in rows],
        ),
    ),
    (
        "It finds small damage of kinds that it was in part chosen on in",
        lambda facts: other_damage(facts) < facts["tests"][0]["power"],
        (("tests", 0, "power"), 0.2),
    ),
    (
        "on average, so it is wider than it need be); with 5 to 10 files in a set the lowest is",
        lambda facts: (
            np.mean(tables.held(facts["coverage"], fewest=20, most=20)) > 0.97
            and lowest_coverage(facts, 5, 10) < 0.95 < lowest_coverage(facts, 20, 20)
        ),
        (("coverage", "intervals", 2, "covered"), 900),
    ),
    (
        "To tell which of two sets is closer needs more files: [50 or more]",
        takes_fifty,
        (("coverage", "differences"), all_called_closer),
    ),
    (
        "these two are quoted, not measured here",
        lambda facts: facts["listening"]["outside"]["source"].endswith("outside this repository"),
        (("listening", "outside", "source"), "measured here"),
    ),
    (
        "apart on average over all halvings, as they have to be;",
        lambda facts: facts["challenge"]["split"]["mean"] == 0,
        (("challenge", "split", "mean"), 0.1),
    ),
    (
        "That is mediocre, as it is for everything else that was tried.",
        lambda facts: (
            max(
                facts["listening"]["shipped"]["spearman"]["mean"],
                *(row["spearman"]["mean"] for row in facts["listening"]["families"].values()),
            )
            < 0.75
        ),
        (("listening", "shipped", "spearman", "mean"), 0.8),
    ),
    (
        "**Changes that the test mostly misses.**",
        lambda facts: all(
            mostly_missed(facts, *name.removesuffix(")").split(" ("))
            for name in tables.most_missed(facts["unseen"]).index
        ),
        (("unseen", "rows"), found_by_both),
    ),
    (
        "The interval of the clean test2 lies below zero,",
        lambda facts: (
            compared(facts, "clean", "interval")[1][1] < 0
            and compared(facts, "clean", "interval")[0][1] >= 0
            and min(high for _, high in compared(facts, "historic", "interval")) >= 0
        ),
        ((*CLEAN, "test2", "interval"), [-0.1, 0.01]),
    ),
    ("**All of that is clicks.**", all_is_clicks, ONE_SHARE),
    ("and the distance of neither is above zero.", none_is_above_zero, ONE_ABOVE),
    ("The test still tells them from the background,", clean_is_told, ((*CLEAN, "test2", "p_value"), 0.06)),
    (
        "apart on average, farther than the clean test1 is from it",
        lambda facts: (
            facts["challenge"]["incumbents"]["frechet"]["split"]["mean"]
            > facts["challenge"]["incumbents"]["frechet"]["clean"]["test1"]["value"]
        ),
        ((*CHALLENGE, "incumbents", "frechet", "split", "mean"), 1.0),
    ),
]

README = [
    (
        'its test says "different" in 4.4 % of trials, and should in 5 %.',
        lambda facts: percent(facts["statistics"]["false_alarms"]["files, N=20"]["share"], 1) == "4.4 %",
        (("statistics", "false_alarms", "files, N=20", "share"), 0.05),
    ),
    (
        "It finds small damage in 45 % of draws (",
        lambda facts: percent(facts["tests"][0]["power"]) == "45 %",
        (("tests", 0, "power"), 0.4),
    ),
    (
        "(recordings 36 to 38 %, rendered notes 61 %)",
        lambda facts: by_source(facts) == {"digits": 38, "sounds": 36, "instruments": 61},
        (("trials", "permutation", "digits", "three_views", "compare", "noise 1"), [1, 1]),
    ),
    (
        "of kinds that it was in part chosen on; of other kinds 25 %.",
        lambda facts: percent(other_damage(facts)) == "25 %",
        (("combinations", "power"), lambda rows: [{**row, "found": {"all": 0.3}} for row in rows]),
    ),
    (
        "In 27 conditions the interval holds the true distance in 95.9 % of draws or more;",
        lambda facts: (
            len(tables.held(facts["coverage"], fewest=20, most=20)) == 27
            and percent(lowest_coverage(facts, 20, 20), 1) == "95.9 %"
        ),
        (("coverage", "intervals", 2, "covered"), 940),
    ),
    (
        "with 5 to 10 files in a set the lowest is 88 %.",
        lambda facts: percent(lowest_coverage(facts, 5, 10)) == "88 %",
        (("coverage", "intervals", 0, "covered"), 800),
    ),
    (
        "To tell which of two sets is closer takes 50 files or more",
        takes_fifty,
        (("coverage", "differences"), all_called_closer),
    ),
    (
        "with a rank correlation of 0.63, which is mediocre",
        lambda facts: f"{facts['listening']['shipped']['spearman']['mean']:.2f}" == "0.63",
        (("listening", "shipped", "spearman", "mean"), 0.5),
    ),
    (
        "and of 0.28 on speech that had no part in any choice",
        lambda facts: f"{facts['listening']['outside']['rows']['three views']['unseen']:.2f}" == "0.28",
        (("listening", "outside", "rows", "three views", "unseen"), 0.5),
    ),
    (
        "where a Frechet distance on a network has 0.64 (these two are quoted, not measured here;",
        lambda facts: f"{facts['listening']['outside']['rows']['Frechet on aisfx']['unseen']:.2f}" == "0.64",
        (("listening", "outside", "rows", "Frechet on aisfx", "unseen"), 0.2),
    ),
    (
        "A small negative value shows no difference, though p still may.",
        lambda facts: clean_is_told(facts) and none_is_above_zero(facts),
        ((*CLEAN, "test2", "p_value"), 0.06),
    ),
    ("**All of that is clicks.**", all_is_clicks, ONE_SHARE),
    ("without these clicks neither set is above zero", none_is_above_zero, ONE_ABOVE),
    (
        "hence the two rulers of the picture",
        lambda facts: (
            len({facts["real_audio"][kind]["bandwidth_hz"] for kind in ("sounds", "speakers")}) == 2
        ),
        (("real_audio", "speakers", "bandwidth_hz"), 11025.0),
    ),
]


def added(facts, name="added"):
    """Shares of half the interval: (in several blocks, in one)."""
    rows = facts["large_sets"]["rows"]
    return tuple(
        [r[name] / r["half"] for r in rows if (r["blocks"] > 1) == several] for several in (True, False)
    )


LIMITS = [
    (
        "What is left is less than a tenth of half the interval, and less than it would be "
        "without the correction. Parts add hardly anything.",
        lambda facts: (
            max(added(facts)[0]) < 0.1
            and all(np.less(added(facts)[0], added(facts, "plain")[0]))
            and max(added(facts)[1]) < 0.05
        ),
        (("large_sets", "rows", 0, "added"), 1.0),
    ),
    (
        "(both quoted, not measured here)",
        lambda facts: "outside this repository" in facts["listening"]["outside"]["source"],
        (("listening", "outside", "source"), "measured here"),
    ),
    (
        '"Misses" means here: found in fewer than half of',
        lambda facts: (
            len(
                {
                    row["draws"]
                    for row in facts["soundness"]["rows"]
                    if row["group"] in ("few files", "classes")
                }
            )
            == 1
        ),
        (("soundness", "rows"), []),
    ),
    (
        "Pairs of the same environmental clips, cut to",
        lambda facts: (
            worst_pairs(facts)["source"] == "environmental sounds"
            and worst_pairs(facts)["found"][0] > 0.1 * worst_pairs(facts)["found"][1]
        ),
        (("lengths", "conditions"), lambda rows: [{**row, "found": [50, 1000]} for row in rows]),
    ),
    (
        "Who needs the order that listeners would give should [take another measure]",
        lambda facts: (
            facts["listening"]["outside"]["rows"]["Frechet on aisfx"]["unseen"]
            > facts["listening"]["outside"]["rows"]["three views"]["unseen"]
        ),
        (("listening", "outside", "rows", "three views", "unseen"), 0.7),
    ),
    (
        "tones 5 % higher, mixtures tilted by 3 dB an octave, and two digits in shares of 90 and 10 %",
        lambda facts: (
            sizes_of(facts, "few files") == {20}
            and missed_pairs(facts, "few files")
            == ["tones / 5 % higher", "mixtures / tilted 3 dB per octave", "two digits 50/50 / 90/10"]
        ),
        (("soundness", "rows"), []),
    ),
    (
        ", with 20 or 50 files ([all that it judges wrong](pairs.md))",
        lambda facts: sizes_of(facts, "classes") == {20, 50},
        (("soundness", "rows"), []),
    ),
    (
        "Babble in the right voice can be nearer to the recordings than words that are a little blurred",
        babble_is_nearest,
        (("autoencoders", "models", "vector_quantised", "samples", "mean"), 1.0),
    ),
    (
        "can name the sounds of a far folder as well as ever, and those of a near one badly",
        lambda facts: folders(facts, far=True, badly=False) and folders(facts, far=False, badly=True),
        (("classifier", "folders"), []),
    ),
]

CLICKS = [
    ("All of it. Two test sets,", all_is_clicks, ONE_SHARE),
    ("Without the clicks neither distance is above zero,", none_is_above_zero, ONE_ABOVE),
    (
        "and test1 is the farther of the two.",
        lambda facts: (
            told_apart(facts["challenge"]["sets"]["clean"]["difference"])
            and facts["challenge"]["sets"]["clean"]["difference"]["value"] > 0
        ),
        ((*CLEAN, "difference", "value"), -0.1),
    ),
    (
        "each, and to none of the background.",
        lambda facts: (
            sum(facts["challenge"]["sets"]["historic"]["beyond_16_bits"]["background"].values()) == 0
        ),
        ((*HISTORIC, "beyond_16_bits", "background"), {"sin_100.wav": 1}),
    ),
    (
        "Here both are, because the sets are more alike than random samples:",
        lambda facts: max(compared(facts, "clean", "value")) < 0,
        ONE_ABOVE,
    ),
    (
        "The values of these splits are 0 on average by construction,",
        lambda facts: facts["challenge"]["split"]["mean"] == 0,
        ((*CHALLENGE, "split", "mean"), 0.1),
    ),
    (
        "The most even split, every other tone, is at",
        lambda facts: facts["challenge"]["split"]["interleaved"] == facts["challenge"]["split"]["smallest"],
        ((*CHALLENGE, "split", "smallest"), -0.2),
    ),
    (
        ", about where the clean test2 is.",
        lambda facts: (
            abs(facts["challenge"]["split"]["interleaved"] - compared(facts, "clean", "value")[1])
            < facts["challenge"]["split"]["sd"]
        ),
        ((*CHALLENGE, "split", "interleaved"), 0.1),
    ),
    (
        "Clicks fill the spectrum above the tones, and there the envelope differs:",
        lambda facts: (
            rendering.above(facts["challenge"]["clicks"]["test1"]["bands"], 1500)
            > facts["challenge"]["clicks"]["test1"]["views"]["envelope"]
            > 0
        ),
        ((*CHALLENGE, "clicks", "test1", "views", "envelope"), 2.0),
    ),
    (
        "In the clean test1 the fine structure alone is above zero:",
        lambda facts: (
            [name for name, value in compared(facts, "clean", "views")[0].items() if value > 0]
            == ["fine structure"]
        ),
        ((*CLEAN, "test1", "views", "attack"), 0.1),
    ),
    (
        "both are told from the background.",
        lambda facts: max(compared(facts, "historic", "p_value")) <= SIGNIFICANT,
        ((*HISTORIC, "test1", "p_value"), 0.06),
    ),
    ("So they are without the clicks,", clean_is_told, ((*CLEAN, "test1", "p_value"), 0.06)),
    ("although neither value is above zero.", none_is_above_zero, ONE_ABOVE),
    (
        'The verdict then reads "different in kind, though not in the value".',
        lambda facts: (
            {*compared(facts, "clean", "verdict")} == {"different in kind, though not in the value"}
        ),
        ((*CLEAN, "test1", "verdict"), "different"),
    ),
    (
        "What differs most without the clicks is noise,",
        lambda facts: all(
            numbers[0]["name"].startswith("smoothness") for numbers in compared(facts, "clean", "numbers")
        ),
        ((*CLEAN, "test1", "numbers", 0, "name"), "level"),
    ),
    (
        "so the interval is wide and reaches below zero although p is small.",
        lambda facts: all(low < 0 for low, _ in compared(facts, "historic", "interval")),
        ((*HISTORIC, "test2", "interval"), [0.1, 0.6]),
    ),
    (
        "As published, that is open: test1 is farther than test2 by",
        lambda facts: (
            facts["challenge"]["sets"]["historic"]["difference"]["value"] > 0
            and not told_apart(facts["challenge"]["sets"]["historic"]["difference"])
        ),
        ((*HISTORIC, "difference", "value"), -0.1),
    ),
    (
        "but the interval of this difference holds zero",
        lambda facts: np.prod(facts["challenge"]["sets"]["historic"]["difference"]["interval"]) < 0,
        ((*HISTORIC, "difference", "interval"), [0.1, 0.6]),
    ),
    (
        "Clean, test1 is farther by",
        lambda facts: told_apart(facts["challenge"]["sets"]["clean"]["difference"]),
        ((*CLEAN, "difference", "p_value"), 0.06),
    ),
    (
        "Other noise over the same tones changes little:",
        lambda facts: (
            max(spread_over_seeds(facts, test) for test in TESTS) < facts["challenge"]["split"]["sd"]
        ),
        ((*CHALLENGE, "seeds", 0, "historic", "test1", "value"), 0.2),
    ),
]

READING = [
    (
        "is the nearest pair, rain and sea waves.",
        lambda facts: nearest_and_farthest(facts)[0] == ["Rain", "Sea waves"],
        (("real_audio", "sounds", "names", 1), "Wind"),
    ),
    (
        "is the farthest pair, rain and a person's sneeze.",
        lambda facts: nearest_and_farthest(facts)[1] == ["Rain", "Person sneeze"],
        (("real_audio", "sounds", "names", 1), "Wind"),
    ),
    (
        "Two halves of one class of sounds are at about 0,",
        lambda facts: abs(facts["real_audio"]["sounds"]["split_mean"]) < 0.001,
        (("real_audio", "sounds", "split_mean"), 0.01),
    ),
    (
        "There are two rulers here.",
        lambda facts: (
            facts["real_audio"]["speakers"]["bandwidth_hz"]
            == facts["real_audio"]["digits_against_sounds"]["bandwidth_hz"]
            < facts["real_audio"]["sounds"]["bandwidth_hz"]
        ),
        (("real_audio", "digits_against_sounds", "bandwidth_hz"), 8000.0),
    ),
]

TEST = [
    (
        'Two of the four statistics do: "whitened", which shows small but consistent changes, and "freed",',
        lambda facts: adds(facts, "without whitened") and adds(facts, "without freed"),
        (
            ("combinations", "power"),
            [
                {"files": n, "found": dict.fromkeys(["all", "without whitened", "without freed"], p)}
                for n in (20, 50)
                for p in (0.1, 0.2)
            ],
        ),
    ),
    (
        'Without "standardised" or "plain" it finds as much.',
        lambda facts: not adds(facts, "without standardised") and not adds(facts, "without plain"),
        (
            ("combinations", "power"),
            [
                {"files": n, "found": {"all": p, "without standardised": 0.1 * p}}
                for n in (20, 50)
                for p in (0.9, 1.0)
            ],
        ),
    ),
    (
        "The further numbers together add more than any single part.",
        lambda facts: all(
            gains(facts, "views alone")[size][0] > gains(facts, part)[size][0]
            for size in (20, 50)
            for part in parts_of_the_test(facts)
        ),
        (
            ("combinations", "power"),
            [
                {"files": n, "found": {"all": 1.0, "without freed": 0.0, "views alone": p}}
                for n in (20, 50)
                for p in (0.9, 1.0)
            ],
        ),
    ),
]

RELATED = [
    (
        "With 20 files a set that does not cure it on the two networks of this report",
        lambda facts: all(extrapolated_is_too_large(facts, name) for name in ("aisfx", "resemblyzer")),
        (("trials", "bias", "digits", "aisfx", "frechet_infinite", "20", "mean"), 0.0),
    ),
]

GUIDE = [
    (
        "means that the value shows no difference; the p-value still may.",
        lambda facts: clean_is_told(facts) and none_is_above_zero(facts),
        ((*CLEAN, "test2", "p_value"), 0.06),
    ),
    (
        "and the others (reverberation, speed, pitch, quantisation, mu-law) in",
        lambda facts: (
            kinds_missed(facts, "power_20") == {"reverberation", "speed", "pitch", "quantisation", "mu_law"}
        ),
        (("statistics", "power_20"), all_found),
    ),
    (
        "With fifty, reverberation, speed and quantisation are still mostly missed.",
        lambda facts: kinds_missed(facts, "power_50") == {"reverberation", "speed", "quantisation"},
        (("statistics", "power_50"), all_found),
    ),
    (
        "Seconds in another order are not heard at all",
        lambda facts: all(
            found["distance"] <= SIGNIFICANT * found["draws"]
            for row in facts["unseen"]["rows"]
            if row["effect"] == "seconds in another order"
            for found in row["found"].values()
        ),
        (("unseen", "rows"), found_by_both),
    ),
    (
        "and finds less of [damage of other kinds](test.md).",
        lambda facts: other_damage(facts) < mean_power(facts["statistics"]["power_20"], "this distance")[0],
        (("statistics", "power_20"), none_found),
    ),
    (
        "**Which of two is closer** takes more files: 50 or more.",
        takes_fifty,
        (("coverage", "differences"), all_called_closer),
    ),
    (
        "the worse one hardly ever",
        lambda facts: max(ordered(facts, 20)["wrong"] + ordered(facts, 50)["wrong"]) < 0.01,
        (("coverage", "differences"), lambda rows: [{**row, "closer": [50, 0]} for row in rows]),
    ),
    (
        "show more mild damage than fifty unmatched files.",
        lambda facts: all(
            shares_found(facts).loc[kind, "10 matched pairs"] > shares_found(facts).loc[kind, "50 files"]
            for kind in (MILD, VERY_MILD)
        ),
        (("statistics", "paired_power_10"), none_found),
    ),
    (
        "A missing class needs the most files;",
        lambda facts: all(
            shares_found(facts)[size].idxmin() == "one to three of ten words missing"
            for size in ("20 files", "50 files")
        ),
        (("statistics", "power_50"), none_found),
    ),
]

REPRODUCE = [
    (
        "three times: as it is, without AVX512 and without AVX2.",
        lambda facts: [*facts["processors"]["settings"]] == ["as it is", "without AVX512", "without AVX2"],
        (("processors", "settings"), {"as it is": {}}),
    ),
    (
        "and the p-values are equal.",
        lambda facts: facts["processors"]["same_p"],
        (("processors", "same_p"), False),
    ),
]

CLAIMS = [
    Claim(page, *claim)
    for page, claims in {
        "report.md": REPORT,
        "README.md": README,
        "chapters/limits.md": LIMITS,
        "chapters/clicks.md": CLICKS,
        "chapters/reading.md": READING,
        "chapters/test.md": TEST,
        "chapters/related_work.md": RELATED,
        "chapters/guide.md": GUIDE,
        "chapters/reproduce.md": REPRODUCE,
    }.items()
    for claim in claims
]


# What the pages say of the code


def test_what_the_guide_calls_is_there():
    text = in_one_line("chapters/guide.md")
    assert {*re.findall(r"metrics\.(\w+)\(", text)} == {"distance", "compare", "compare_each", "difference"}
    assert all(callable(getattr(metrics, name)) for name in re.findall(r"metrics\.(\w+)\(", text))
    (attribute,) = re.findall(r"compare\(\.\.\.\)\.(\w+)", text)
    assert attribute in Comparison.__dataclass_fields__


def test_readme_says_which_sound_is_too_short():
    (limit,) = re.findall(r"less than ([\d.]+) ms;", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert limit == f"{1e3 * SHORTEST_SECONDS:.1f}"


def test_readme_names_the_extras_that_all_lacks():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    reached = ["all"]
    for name in reached:  # an extra may ask for others
        asked = re.findall(r"audio-distance\[(.*?)\]", " ".join(extras[name]))
        reached += {one for group in asked for one in group.split(",")} - {*reached}
    (told,) = re.findall(r"`all` lacks those that no result uses \((.*?)\)", in_one_line("README.md"))
    assert {*re.findall(r"`([\w-]+)`", told)} == {*extras} - {*reached}


def test_shares_of_the_first_pages_are_counted_right():
    coverage = {
        "trials": 10,
        "intervals": [{"units": [50, 8], "covered": 7}, {"units": [20, 20], "covered": 9}],
        "differences": [
            {"condition": "hum 4 in 50 % and 20 %", "units": 20, "closer": [1, 6]},
            {"condition": "equal: hum 4 in 50 % and 20 %", "units": 20, "closer": [2, 2]},
            {"condition": "hum 4 in 50 % and 0 %", "units": 20, "closer": [0, 9]},
            {"condition": "hum 4 in 50 % and 20 %", "units": 50, "closer": [0, 8]},
        ],
    }
    assert tables.held(coverage, fewest=5, most=10) == [0.7]
    assert tables.held(coverage, fewest=8, most=20) == [0.7, 0.9]
    assert tables.in_order(coverage, "50 % and 20 %", units=20) == {"wrong": [0.1], "right": [0.6]}
    found = {f"{kind} 2": {"this distance": [place, 12]} for place, kind in enumerate(KINDS, 1)}
    shares = tables.mostly(found, severity=2)
    assert shares["missed"] == [place / 12 for place in range(1, 7)] and len(shares["found"]) == 6
    row = {"must_differ": True, "draws": 10, "found": {"compare": 5, "aisfx / frechet": 4}}
    tests = [{"embedding": "three_views", "test": "compare"}, {"embedding": "aisfx", "test": "frechet"}]
    assert tables.right_of({"rows": [row, row]}, tests) == [2, 0]


def test_power_by_source_is_of_the_test_alone():
    tested = {"compare": {"clean": [5, 10], "noise 1": [1, 10], "hum": [4, 10]}, "energy": {"hum": [9, 10]}}
    trials = {"permutation": {"digits": {"three_views": tested}}}
    assert contrast.test_power_by_source(trials) == {"digits": 0.25}


def test_what_is_made_and_how_long_it_takes_is_as_the_makefile_says():
    page = (ROOT / "chapters" / "reproduce.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    helped = dict(re.findall(r"^([a-z]+):.*## (.*)$", makefile, flags=re.MULTILINE))
    told = dict(re.findall(r"^- `make ([a-z]+)`: (.*)$", page, flags=re.MULTILINE))
    assert {"report", "test", "study", "bench", "gate", "models", "songs", "wavenet", "site"} == {*told}
    for name in ("study", "bench", "gate", "models", "songs", "wavenet"):  # "..., about an hour"
        takes = re.split(r"[,;] ", told[name])[-1]
        assert takes in helped[name], f"chapters/reproduce.md says of make {name}: {takes}"
    assert all(name in helped for name in told)
