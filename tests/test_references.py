"""Every paper is complete, linked, and cited by what it says."""

import re

import pytest

from report.references import Reference, references

PAPERS = references()


@pytest.mark.parametrize("key", PAPERS)
def test_a_paper_has_a_number_that_leads_to_it(key):
    paper = PAPERS[key]
    first = paper.authors.split(",")[0].split(" and ")[0].lower().replace("ń", "n").replace("é", "e")
    assert key == f"{first.replace(' ', '').replace('-', '')}{paper.year}"
    assert re.search(r"(arXiv:\d{4}\.\d{5}|doi:10\.\d{4,}/\S+|JMLR \d+:\d+)$", paper.where), paper.where
    assert not paper.code or paper.code.startswith("https://github.com/")


def test_names_as_a_sentence_has_them():
    def cited(authors):
        return Reference(authors, 2020, "T", "W, JMLR 1:1").cited

    assert cited("One") == "One 2020"
    assert cited("One, Two") == "One and Two 2020"
    assert cited("One, Two, Three") == "One and others 2020"
    assert cited("One and others") == "One and others 2020"


def test_numbers_are_links():
    line = Reference("A, B", 2021, "Title", "Venue, arXiv:2101.00001", code="https://github.com/a/b").line
    assert line == (
        "A, B 2021. *Title.* Venue, [arXiv:2101.00001](https://arxiv.org/abs/2101.00001). "
        "Code: https://github.com/a/b"
    )
    assert "(https://doi.org/10.1/x)" in Reference("A", 2021, "T", "V, doi:10.1/x").line
