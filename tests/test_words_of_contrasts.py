"""Sentences of four chapters that a new result could make false: each names itself when it does.

The chapters are contrast, gate, not_seen and pairs. A row has the page, the words as they stand there, what
has to hold of the results, and a change of them after which it does not: every check is seen to fail.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from experiments import soundness as pairs_experiment
from experiments import unseen as unseen_experiment
from report import contrast, rendering, tables
from report.tables import pairs as pairs_tables
from study import results


@dataclass(frozen=True)
class Sentence:
    """Words of a page, what has to hold of its facts, and what spoils these; see ``facts``."""

    page: str
    words: str
    holds: Callable[[dict], bool]
    spoil: Callable[[dict], None]


# What has to hold, in the terms of the results


def finder(unseen, effect, source):
    """Who finds an effect: "the test", "the oracle alone" or "nobody"."""
    return tables.who_finds(unseen).loc[effect, source]


def found(unseen, effect, source, size="50"):
    """The draws in which an effect is found: a row's ``found`` of one number of files."""
    (row,) = [row for row in unseen["rows"] if (row["effect"], row["source"]) == (effect, source)]
    return row["found"][size]


def the_oracle_alone(facts):
    unseen = facts["unseen"]
    return list(unseen["rows"][0]["found"])[-1] == "50" and all(
        finder(unseen, *named) == "the oracle alone"
        for named in (
            ("seconds in another order", "long sounds"),
            ("room tone gated", "digits"),
            ("room tone gated", "sounds"),
            ("hum of 100 Hz", "digits"),
            ("hum of 100 Hz", "sounds"),
            ("half of the classes missing", "digits"),
        )
    )


def order_is_not_heard(facts):
    for size in facts["unseen"]["rows"][0]["found"]:
        row = found(facts["unseen"], "seconds in another order", "long sounds", size)
        if row["distance"] > 0.1 * row["draws"] or row["oracle"] < 0.9 * row["draws"]:
            return False
    return True


def pitches(facts):
    """The vocoder is found, and the same rise without it is not; the oracle of pitch finds neither."""
    unseen = facts["unseen"]
    rows = [found(unseen, name, "digits") for name in ("a quarter tone higher", "3 % faster")]
    heard = [2 * row["distance"] >= row["draws"] for row in rows]
    return heard == [True, False] and all(2 * row["oracle"] < row["draws"] for row in rows)


def right(facts, test):
    """How many pairs a test judges right."""
    return sum(pairs_experiment.is_right(row, test) for row in facts["soundness"]["rows"])


def rivals(facts):
    return set(facts["soundness"]["rows"][0]["found"]) - {
        pairs_experiment.COMPARE,
        pairs_experiment.ORACLE,
    }


def missed(facts, group=None):
    return tables.judged_wrong(facts["soundness"], must_differ=True, group=group)


def only_half_of_the_sounds_with_fifty(facts):
    rows = [row for row in facts["soundness"]["rows"] if row["group"] == "classes"]
    seen = [row for row in rows if pairs_experiment.is_right(row, pairs_experiment.COMPARE)]
    return [(row["pair"], row["source"], row["files"]) for row in seen] == [
        ("5 of 10 classes missing", "sounds", 50)
    ]


def verdict(facts, ablation, metric=None):
    family = facts["regressions"]["ablations"][ablation]["family"]
    return family["members"][metric]["verdict"] if metric else family["verdict"]


def bugs(facts):
    return {
        name: row for name, row in facts["regressions"]["ablations"].items() if row["why"].startswith("A bug")
    }


def lost_within_the_margin(facts):
    """The two bugs that pass are surely worse in the envelope, by less than the margin."""
    passed = [name for name in bugs(facts) if verdict(facts, name) in ("no worse", "better")]
    for name in passed:
        member = facts["regressions"]["ablations"][name]["family"]["members"]["envelope"]
        if not 0 < member["interval"][0] < member["interval"][1] < member["margin"]:
            return False
    return passed == ["hop_257", "wrong_rate"]


def others_improve(facts):
    return all(
        verdict(facts, name) == "no worse"
        and any(m["verdict"] == "better" for m in row["family"]["members"].values())
        for name, row in bugs(facts).items()
        if name in ("hop_257", "wrong_rate")
    )


def base(facts, metric):
    return np.mean(facts["regressions"]["ablations"]["base"]["values"][metric])


def margin(facts, metric):
    return facts["regressions"]["ablations"]["wrong_rate"]["family"]["members"][metric]["margin"]


def not_kept(facts):
    """Each failing share, and the largest of unequal numbers, is surely above what is promised."""
    calibration = facts["calibration"]
    level = calibration["level"]
    unequal = calibration["unequal"].values()
    return all(cell["interval"][0] > level / 2 for cell in calibration["failing"].values()) and all(
        max(row[sizes]["interval"][0] for row in unequal) > level for sizes in next(iter(unequal))
    )


def largest_lead(facts):
    """Rivals that find more than ``compare`` by an interval without zero."""
    return [row for row in facts["level"][1:] if row["lead"]["interval"][1] < 0]


def most_powerful(facts):
    return max(facts["level"][1:], key=lambda row: row["power"])


def calmer(facts):
    this, *others = facts["found"]["side_by_side"]
    return {row["label"] for row in others if row["harmless"] < this["harmless"]}


def zeros(facts):
    return {row["label"]: row["zero"]["mean"] for row in facts["found"]["side_by_side"]}


def largest_harmless_change(facts):
    embedding, distance = contrast.trials.THIS
    rows = [tables[embedding][distance] for tables in facts["nuisance"].values()]
    return max(contrast.trials.HARMLESS, key=lambda change: max(abs(row[change]) for row in rows))


def more_than_own(facts):
    own, *others = facts["level"]
    return [row for row in others if row["power"] > own["power"]]


# What spoils it


def silence(effect, source, *, test="distance"):
    def spoil(facts):
        found(facts["unseen"], effect, source)[test] = 0

    return spoil


def hear(effect, source):
    def spoil(facts):
        row = found(facts["unseen"], effect, source)
        row["distance"] = row["draws"]

    return spoil


def every_pair_right(group=None, test="compare"):
    def spoil(facts):
        for row in facts["soundness"]["rows"]:
            if group in (None, row["group"]):
                row["found"][test] = row["draws"] if row["must_differ"] else 0

    return spoil


def judged(ablation, said, metric=None):
    def spoil(facts):
        family = facts["regressions"]["ablations"][ablation]["family"]
        (family["members"][metric] if metric else family)["verdict"] = said

    return spoil


def put(*path, value):
    """Replace what lies at the end of a path of keys and places."""

    def spoil(facts):
        *way, last = path
        for step in way:
            facts = facts[step]
        facts[last] = value

    return spoil


def every_rival(**changes):
    def spoil(facts):
        for row in facts["level"][1:]:
            row.update(copy.deepcopy(changes))

    return spoil


SENTENCES = (
    # not_seen
    Sentence(
        "not_seen",
        "it mostly misses seconds in another order, gated room tone, a hum of 100 Hz, and half of ten spoken "
        "words missing. An *oracle*, a test that is told what to look for, finds all of these",
        the_oracle_alone,
        hear("hum of 100 Hz", "sounds"),
    ),
    Sentence(
        "not_seen",
        "What nobody finds is missed even by a test that knows what to look for",
        lambda facts: "nobody" in tables.who_finds(facts["unseen"]).to_numpy(),
        lambda facts: facts["unseen"].update(
            rows=[
                {**row, "found": {"50": {"draws": 1, "distance": 1, "oracle": 1}}}
                for row in facts["unseen"]["rows"]
            ]
        ),
    ),
    Sentence(
        "not_seen",
        "It does not look at their order.",
        order_is_not_heard,
        hear("seconds in another order", "long sounds"),
    ),
    Sentence(
        "not_seen",
        "The test finds a rise by a quarter tone that a vocoder makes, without a change of length. It does "
        "not find the same rise by playing 3 % faster. The oracle of pitch finds neither",
        pitches,
        silence("a quarter tone higher", "digits"),
    ),
    Sentence(
        "not_seen",
        "Where the test finds more than the oracle, it sees more",
        lambda facts: any(
            row["found"]["50"]["distance"] > row["found"]["50"]["oracle"]
            for row in facts["unseen"]["rows"]
            if row["effect"] != unseen_experiment.NOTHING
        ),
        lambda facts: [row["found"]["50"].update(distance=0) for row in facts["unseen"]["rows"]],
    ),
    # pairs
    Sentence(
        "pairs",
        "differences, most of them where classes are missing",
        lambda facts: len(missed(facts, "classes")) > len(missed(facts)) / 2,
        every_pair_right("classes"),
    ),
    Sentence(
        "pairs",
        "Frechet on aisfx, a network trained on sound effects, judges as many right",
        lambda facts: right(facts, "aisfx / frechet") == right(facts, "compare"),
        every_pair_right(),
    ),
    Sentence(
        "pairs",
        "and the best of all rivals one more",
        lambda facts: max(right(facts, test) for test in rivals(facts)) == right(facts, "compare") + 1,
        every_pair_right(test="log_mel / energy"),
    ),
    Sentence(
        "pairs",
        "it finds these only where half of the classes of sounds are missing, with fifty files",
        only_half_of_the_sounds_with_fifty,
        every_pair_right("classes"),
    ),
    # gate
    Sentence(
        "gate",
        "pass as no worse and",
        lambda facts: "better" not in [verdict(facts, name) for name in bugs(facts)],
        judged("hop_257", "better"),
    ),
    Sentence(
        "gate",
        "A bug can make one part of a sound better and another worse",
        lambda facts: any(
            {"better", "worse"} <= {member["verdict"] for member in row["family"]["members"].values()}
            for row in bugs(facts).values()
        ),
        lambda facts: [
            member.update(verdict="worse")
            for row in bugs(facts).values()
            for member in row["family"]["members"].values()
        ],
    ),
    Sentence(
        "gate",
        "a lost kind of sound shows in the coverage",
        lambda facts: verdict(facts, "dropped_class", "coverage") == "worse",
        judged("dropped_class", "no worse", "coverage"),
    ),
    Sentence(
        "gate",
        "undecided, by all six and by the distance alone",
        lambda facts: (
            facts["regressions"]["itself"]["verdict"]
            == facts["regressions"]["itself"]["family"]["verdict"]
            == "undecided"
        ),
        put("regressions", "itself", "verdict", value="worse"),
    ),
    Sentence(
        "gate",
        "bugs pass as no worse, and the verdict names their loss",
        lost_within_the_margin,
        judged("swapped_labels", "no worse"),
    ),
    Sentence(
        "gate",
        "Other numbers improve, but neither is called better",
        others_improve,
        lambda facts: [
            m.update(verdict="no worse") for m in bugs(facts)["hop_257"]["family"]["members"].values()
        ],
    ),
    Sentence(
        "gate",
        "**The margin is wide where the base is small.**",
        lambda facts: all(margin(facts, m) > base(facts, m) / 4 for m in ("attack", "coverage")),
        put("regressions", "ablations", "base", "values", "attack", value=[1.0]),
    ),
    Sentence(
        "gate",
        "`--margin envelope=5%` is narrower for one metric",
        lambda facts: 0.05 * base(facts, "envelope") < margin(facts, "envelope"),
        put("regressions", "ablations", "base", "values", "envelope", value=[1.0]),
    ),
    Sentence(
        "gate",
        "though a test that is told what to look for finds it, is likely to pass here too: seconds in "
        "another order, gated room tone, a hum of 100 Hz, half of ten spoken words missing",
        the_oracle_alone,
        hear("room tone gated", "digits"),
    ),
    Sentence(
        "gate",
        "In simulations with 3, 5 and 10 seeds, the numbers of both sides are drawn from distributions of "
        "one shape: normal, skewed, heavy-tailed or two-peaked",
        lambda facts: all(
            list(table) == ["normal", "skewed", "heavy-tailed", "two-peaked"]
            and all(list(row) == ["3", "5", "10"] for row in table.values())
            for table in facts["calibration"]["false_alarms"].values()
        ),
        lambda facts: facts["calibration"]["false_alarms"]["paired"].pop("skewed"),
    ),
    Sentence(
        "gate",
        "**The promises are not kept** where the two sides differ in shape or in number of seeds",
        not_kept,
        put("calibration", "failing", "10", "interval", value=[0.02, 0.03]),
    ),
    Sentence(
        "gate",
        "Few seeds often hold no failure",
        lambda facts: facts["calibration"]["failing"]["3"]["unseen"] > 0.4,
        put("calibration", "failing", "3", "unseen", value=0.1),
    ),
    Sentence(
        "gate",
        'A plan that takes this spread for the truth ("plugged in") promises too much',
        lambda facts: all(
            cell["plugged_in"] < cell["promised"]
            for effect in ("0.5", "1")
            for cell in facts["calibration"]["pilots"]["paired"][effect].values()
        ),
        put("calibration", "pilots", "paired", "1", "3", "plugged_in", value=0.9),
    ),
    # contrast
    Sentence(
        "contrast",
        "find more; none of these judges as many pairs of sets right",
        lambda facts: (
            bool(more_than_own(facts))
            and all(row["right"] < facts["level"][0]["right"] for row in more_than_own(facts))
        ),
        every_rival(right=18),
    ),
    Sentence(
        "contrast",
        "other values, 1 finds more by an interval that excludes zero",
        lambda facts: facts["found"]["significantly_better"] == 1,
        put("found", "significantly_better", value=2),
    ),
    Sentence(
        "contrast",
        "candidates that look for one separating direction, above all the linear classifier, are better at "
        "saying *that* sets differ",
        lambda facts: facts["best"].endswith("/ classifier two sample"),
        put("best", value="three views / energy"),
    ),
    Sentence(
        "contrast",
        "**Whitening gives power**",
        lambda facts: facts["found"]["level"]["whitening"] > 0,
        put("found", "level", "whitening", value=-0.01),
    ),
    Sentence(
        "contrast",
        "**The three views give soundness.**",
        lambda facts: (
            max(shares := facts["found"]["level"]["pairs_by_embedding"], key=shares.get) == "three_views"
        ),
        put("found", "level", "pairs_by_embedding", "log_mel", value=1.0),
    ),
    Sentence(
        "contrast",
        "On the mean spectrum, which finds most",
        lambda facts: most_powerful(facts)["embedding"] == "mean_spectrum",
        every_rival(embedding="log_mel"),
    ),
    Sentence(
        "contrast",
        "the mean spectrum takes a resampling for a difference, and it has no time, so that it cannot hear "
        "speech played backwards",
        lambda facts: (
            {"forward / reversed speech", "resampled there and back"} <= set(most_powerful(facts)["wrong"])
        ),
        every_rival(wrong=["resampled there and back"]),
    ),
    Sentence(
        "contrast",
        "and none finds more than `compare`",
        lambda facts: largest_lead(facts) == [],
        every_rival(lead={"mean": -0.2, "interval": [-0.3, -0.1]}),
    ),
    Sentence(
        "contrast",
        "**none of these is as sound.**",
        lambda facts: all(
            len(row["wrong"]) > len(facts["level"][0]["wrong"]) for row in more_than_own(facts)
        ),
        every_rival(wrong=[]),
    ),
    Sentence(
        "contrast",
        "An unbiased statistic, as of this distance and Gaussian MMD, is at zero on average where nothing "
        "differs. Frechet is at up to",
        lambda facts: (
            max(zeros(facts), key=zeros(facts).get).endswith("/ frechet")
            and all(abs(zero) < 0.05 for label, zero in zeros(facts).items() if "frechet" not in label)
        ),
        put("found", "side_by_side", 0, "zero", "mean", value=0.9),
    ),
    Sentence(
        "contrast",
        "Harmless changes move four of these less than this distance: Frechet on log mel, and Gaussian MMD "
        "on log mel, aisfx and the three views.",
        lambda facts: (
            calmer(facts)
            == {
                "log mel / frechet",
                "log mel / gaussian mmd",
                "aisfx / gaussian mmd",
                "three views / gaussian mmd",
            }
        ),
        put("found", "side_by_side", 0, "harmless", value=0.5),
    ),
    Sentence(
        "contrast",
        "What moves this distance most is resampling up and back",
        lambda facts: largest_harmless_change(facts) == "resampled up and back",
        put("nuisance", "digits", "three_views", "views_energy", "dither", value=0.5),
    ),
    Sentence(
        "contrast",
        "Listeners agree better with none of these (by intervals of the difference without zero)",
        lambda facts: all(row["ahead"]["interval"][1] >= 0 for row in facts["found"]["side_by_side"][1:]),
        put("found", "side_by_side", 3, "ahead", "interval", value=[-0.2, -0.1]),
    ),
    Sentence(
        "contrast",
        "This distance judges all of them right.",
        lambda facts: facts["level"][0]["wrong"] == [] == facts["found"]["side_by_side"][0]["wrong"],
        put("level", 0, "wrong", value=["another split"]),
    ),
    Sentence(
        "contrast",
        "The value rises with severity.",
        lambda facts: facts["found"]["order"]["this"] > 0.5,
        put("found", "order", "this", value=0.2),
    ),
    Sentence(
        "contrast",
        "A permutation test must deal whole files to the sets.",
        lambda facts: facts["found"]["files"] < 0.06 and facts["found"]["frames"] > 0.5,
        put("found", "frames", value=0.05),
    ),
    Sentence(
        "contrast",
        "**A cut band** is not harmless",
        lambda facts: facts["found"]["resampling"] > 1,
        put("found", "resampling", value=0.02),
    ),
)


@pytest.fixture(scope="module")
def facts():
    """The results that the four pages are made of; of the trials what is summed up, which takes a second.

    ``found`` is the summary; ``level`` every test with the same tools, this distance's own first; ``best``
    the candidate whose value finds most; ``nuisance`` as in the results.
    """
    measured = {name: results.read(name) for name in ("unseen", "soundness", "regressions", "calibration")}
    trials = results.read("trials")
    powers = {contrast.label(c): contrast.power(trials, c) for c in contrast.candidates(trials)}
    return {
        **measured,
        "found": contrast.summary(trials),
        "level": contrast.level(trials),
        "best": max(powers, key=powers.get),
        "nuisance": trials["nuisance"],
    }


def called(sentence):
    return f"{sentence.page}: {sentence.words[:60]}"


@pytest.mark.parametrize("sentence", SENTENCES, ids=called)
def test_a_sentence_stands_on_its_page_and_holds(facts, sentence):
    text = (rendering.CHAPTERS / f"{sentence.page}.md").read_text(encoding="utf-8")
    assert sentence.words.lower() in " ".join(text.split()).lower(), f"no longer on {sentence.page}.md"
    assert sentence.holds(facts), f"{sentence.page}.md says what is no longer true: {sentence.words}"


@pytest.mark.parametrize("sentence", SENTENCES, ids=called)
def test_another_result_makes_it_false(facts, sentence):
    changed = copy.deepcopy(facts)
    sentence.spoil(changed)
    assert not sentence.holds(changed)


@pytest.mark.parametrize("page", ["contrast", "gate", "not_seen", "pairs"])
def test_no_condition_chooses_the_words_of_a_page(page):
    """But whether a result is there at all."""
    template = rendering.PAGES[rendering.CHAPTERS / f"{page}.md"].read_text(encoding="utf-8")
    blocks = re.findall(r"\{%-?\s*((?:if|elif|else)\b.*?)-?%\}", template)
    assert blocks and all(
        re.fullmatch(r"if \w+ is defined( and \w+ is defined)* ", block) for block in blocks
    )
    inside = " ".join(re.findall(r"\{\{.*?\}\}", template, flags=re.DOTALL))
    assert not re.search(r"\b(if|else|or)\b", inside)
    assert "namespace" not in template


# The tables that took the place of lists in sentences


def test_the_bugs_of_the_gate_are_counted():
    def row(why, said, alone):
        return {"why": why, "family": {"verdict": said}, "verdicts": {"distance": {"verdict": alone}}}

    ablations = {
        "base": {"why": ""},
        "a": row("A bug: a.", "worse", "worse"),
        "b": row("A bug: b.", "better", "worse"),
        "c": row("A bug: c.", "no worse", "no worse"),
        "d": row("A bug: d.", "undecided", "better"),
        "e": row("A question: e?", "worse", "worse"),
    }
    assert tables.bugs({"ablations": ablations}) == {
        "planted": 4,
        "worse": 1,
        "passed": 2,
        "undecided": 1,
        "alone": 2,
    }


def test_promises_are_told_by_their_worst_case():
    def cells(*shares, **more):
        return {str(place): {"share": share, **more} for place, share in enumerate(shares)}

    calibration = {
        "level": 0.05,
        "false_alarms": {"paired": {"a": cells(0.01, 0.06)}, "unpaired": {"a": cells(0.02)}},
        "looks": cells(0.04, 0.03, uncorrected=0.1),
        "several": cells(0.05, uncorrected=0.2),
        "margin": {"a": cells(0.02), "b": cells(0.03)},
        "planted": {"paired": {"a": cells(0.9, 0.7, promised=0.8)}},
        "failing": cells(0.3, 0.1),
        "unequal": {"a": {"2 / 9": {"share": 0.06}}, "b": {"2 / 9": {"share": 0.11}}},
    }
    like = tables.promises_of_like_sides(calibration)
    assert like["the worst case"].tolist() == ["6.0 %", "4.0 %", "5.0 %", "3.0 %", "70.0 %"]
    assert like["without correction"].tolist() == ["–", "10.0 %", "20.0 %", "–", "–"]
    assert like["promised"].tolist()[-2:] == ["at most 2.5 %", "at least 80 %"]
    unlike = tables.promises_of_unlike_sides(calibration)
    assert unlike["the worst case"].tolist() == ["30.0 %", "10.0 %", "11.0 %"]
    assert unlike.index[-1] == "nothing changed, 2 seeds against 9, not paired"


def test_pairs_judged_wrong_are_told_by_embedding():
    def judged(frechet, mmd):
        return {"must_differ": True, "frechet": [frechet], "gaussian_mmd": [mmd]}

    soundness = {
        "log_mel": {"a / b": judged(0.5, 0.01), "c / d": judged(0.01, 0.01)},
        "aisfx": {"a / b": judged(0.5, 0.01), "c / d": judged(0.01, 0.01)},
    }
    table = tables.wrong_pairs({"soundness": soundness})
    assert table.index.tolist() == ["a / b"]
    assert table.loc["a / b"].tolist() == ["log mel, aisfx", "–"]


def test_every_embedding_is_explained():
    table = tables.embeddings(results.read("trials"))
    assert len(table) == 8 and "–" not in table["its numbers"].tolist()


def test_the_groups_of_pairs_are_those_that_the_page_explains(facts):
    text = (rendering.CHAPTERS / "pairs.md").read_text(encoding="utf-8")
    groups = {row["group"] for row in facts["soundness"]["rows"]}
    assert groups == set(pairs_tables.GROUPS)
    for name in pairs_tables.GROUPS.values():
        assert f"**{name.capitalize()}" in text
