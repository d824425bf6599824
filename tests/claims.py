"""Sentences of the pages that a new result would make false, and how one is shown to be able to fail."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Claim:
    """A sentence of a page, what must be true of the results, and a change of one that makes it false.

    ``page`` is a path from the top; of the ``sentence`` a part that holds no number of a result; ``holds``
    and ``spoilt`` are of all facts by name; ``spoilt`` is a place in them, and what would stand there, or a
    function of what does.
    """

    page: str
    sentence: str
    holds: Callable[[Mapping], bool]
    spoilt: tuple[tuple, Any]

    def __str__(self):
        return f"{self.page}: {self.sentence}"


@cache
def in_one_line(page):
    """The text of a page or notebook, line breaks and the marks of a quotation taken out."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    lines = text.splitlines()
    return " ".join(" ".join(line.removeprefix(">") for line in lines).split())


def changed(content, place, value):
    """A copy of nested mappings and lists with another ``value`` at ``place``, which has to exist."""
    if not place:
        return value(content) if callable(value) else value
    key, *rest = place
    copy = dict(content) if isinstance(content, Mapping) else list(content)
    copy[key] = changed(content[key], rest, value)
    return copy


def pytest_generate_tests(metafunc):
    """Every claim of the module that imports this, one test each."""
    if "claim" in metafunc.fixturenames:
        metafunc.parametrize("claim", metafunc.module.CLAIMS, ids=str)


class TestSentences:
    """For a module with ``CLAIMS`` and a fixture ``facts``."""

    def test_stands_on_its_page(self, claim):
        assert claim.sentence in in_one_line(claim.page), str(claim)

    def test_holds(self, facts, claim):
        assert claim.holds(facts), f"no longer true, write it anew: {claim}"

    def test_another_result_makes_it_wrong(self, facts, claim):
        assert not claim.holds(changed(facts, *claim.spoilt)), f"nothing makes this false: {claim}"
