"""What the example pages compare: where the sounds are found, and whose they are.

Conventions
    sets       name -> files, in the order in which they are compared; "reference" is what the others, the
               candidates, are compared with.
    licence    a page is committed and holds its sounds, so only such are here as may be passed on; it says
               whose they are, and under which licence.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gen_audio
from experiments import challenge
from report.pages import not_seen
from study import datasets, results

SAMPLES = results.FOLDER / "autoencoders" / "samples"
HELD_OUT = Path(__file__).with_name("held_out_digits.txt")
FREESOUND = Path(__file__).with_name("freesound.csv")

DIGITS = (
    "Digits: Free Spoken Digit Dataset by Z. Jackson and contributors, "
    "https://github.com/Jakobovski/free-spoken-digit-dataset, under CC BY-SA 4.0, "
    "https://creativecommons.org/licenses/by-sa/4.0/. What is changed is changed as said here, and is under "
    "the same licence.",
)

Sets = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Example:
    """A page: its name without extension, its words, and ``sounds``, which finds its sets.

    ``sounds`` is given an empty folder for what it has to write, and raises ``datasets.MissingData``.
    ``document`` makes the page's HTML of the sets, where it is no comparison; ``made_of`` are then the files
    that are its code.
    """

    name: str
    title: str
    about: str
    credits: tuple[str, ...]
    sounds: Callable[[Path], Sets]
    document: Callable[..., str] | None = None
    made_of: tuple[Path, ...] = ()


def examples() -> tuple[Example, ...]:
    """All of them."""
    best = results.read("autoencoders")["best"].replace("_", " ")
    return (
        Example(
            name="challenge",
            title="The challenge's tests against its background",
            about="Sines and faint noise from a seed; the tests as published, with clicks, and clean. "
            "The reference is the background.",
            credits=("The sounds are made by gen_audio.py, and are under the MIT licence like it.",),
            sounds=challenge_sets,
        ),
        Example(
            name="rain_against_sea_waves",
            title="Rain against sea waves",
            about="Two classes of ESC-10 (K. J. Piczak, CC BY 3.0); the reference is rain. Whose recordings "
            "they are is said at the end.",
            credits=freesound_credits(),
            sounds=rain_and_sea_waves,
        ),
        Example(
            name="autoencoder_against_recordings",
            title="Samples of an autoencoder against recordings",
            about="The reference are spoken digits that no model was trained on (Free Spoken Digit Dataset, "
            f"CC BY-SA 4.0), the candidate samples of the {best} autoencoder, the nearest of those tried.",
            credits=(
                "Recordings: Free Spoken Digit Dataset by Z. Jackson and contributors, "
                "https://github.com/Jakobovski/free-spoken-digit-dataset, under CC BY-SA 4.0, "
                "https://creativecommons.org/licenses/by-sa/4.0/.",
                "Samples: made by a network that was trained on others of them; under the same licence.",
            ),
            sounds=autoencoder_and_recordings,
        ),
        Example(
            name="not_seen",
            title="What the test does not see",
            about="Small changes of recordings, to listen to. How often did the test of this distance find "
            "them between two sets of so many files, and how often did an oracle, which is told what to look "
            "at? Where the oracle seldom finds a change too, so few files hardly hold it. The sets share no "
            "file: much that is plain here, one heard against the other, is lost among different recordings.",
            credits=(*DIGITS, *freesound_credits(not_seen.LONG)),
            sounds=not_seen.sets,
            document=not_seen.document,
            made_of=not_seen.MADE_OF,
        ),
    )


def challenge_sets(folder: Path) -> Sets:
    """The background; both tests as published, then clean, by the names of ``results/challenge.json``."""
    for kind, overflow in challenge.OVERFLOWS.items():
        gen_audio.write(str(folder / kind), seed=challenge.SEED, overflow=overflow)

    def files(kind: str, name: str) -> list[Path]:
        return sorted((folder / kind / name).iterdir())

    published = {test: files("historic", test) for test in challenge.TESTS}
    clean = {f"{test}, clean": files("clean", test) for test in challenge.TESTS}
    return {"reference": files("clean", "background"), **published, **clean}


def rain_and_sea_waves(_: Path) -> Sets:
    """The clips that ``freesound.csv`` lists: one of the first four recordings of each fold.

    One a recording, for several clips of one would be no independent draws.
    """
    place = {f"{path.parent.name}/{path.name}": path for path in datasets.files("sounds")}
    listed = [row["file"] for row in _freesound()]
    return {
        name: [place[file] for file in listed if file.startswith(label)]
        for name, label in (("reference", "002 - Rain/"), ("Sea waves", "003 - Sea waves/"))
    }


def freesound_credits(files: Sequence[str] = ()) -> tuple[str, ...]:
    """What holds for all clips, then a line a clip, or only of these: its title, author, address, licence."""
    return (
        "Clips of ESC-10, https://github.com/karolpiczak/ESC-10: K. J. Piczak, ESC: Dataset for "
        "Environmental Sound Classification, ACM Multimedia 2015, https://doi.org/10.1145/2733373.2806390. "
        "They are cut from the recordings below, of freesound.org.",
        "CC BY 3.0 is https://creativecommons.org/licenses/by/3.0/, CC0 1.0 is "
        "https://creativecommons.org/publicdomain/zero/1.0/.",
        *(
            f"{clip.name}: {row['title']} by {row['author']}, "
            f"https://freesound.org/s/{clip.name.split('-')[1]}/, {row['licence']}"
            for row in _freesound()
            if not files or row["file"] in files
            for clip in [Path(row["file"])]
        ),
    )


def _freesound() -> list[dict[str, str]]:
    """Rows of ``freesound.csv``, which are those of ESC-10's README: file, title, author, licence."""
    with FREESOUND.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def autoencoder_and_recordings(_: Path) -> Sets:
    """Held-out digits, the first of the reference of ``experiments.autoencoders``; samples that it kept."""
    samples = sorted(SAMPLES.glob("*.flac"))
    if len(samples) < 2:
        raise datasets.MissingData(
            f"no samples in results/{SAMPLES.parent.name}/{SAMPLES.name}, where "
            "`python -m experiments autoencoders` keeps them"
        )
    place = {path.name: path for path in datasets.files("digits")}
    return {
        "reference": [place[name] for name in HELD_OUT.read_text(encoding="utf-8").split()],
        "Autoencoder": samples,
    }
