"""Papers that the report names: who, where, code, and figures that are quoted from them.

Conventions
    key       as in ``references.json``, which holds every paper once: first author and year.
    quoted    figures of a paper that the report repeats; they are not measured here, and a page says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Reference:
    """A paper: ``where`` ends with its DOI or arXiv number, ``short`` is what the report calls its idea."""

    authors: str
    year: int
    title: str
    where: str
    code: str = ""
    short: str = ""
    quoted: Mapping[str, float] = field(default_factory=dict)

    @property
    def cited(self) -> str:
        """ "Kilgour and others 2019", "Ma and Lerch 2022": how a sentence names it."""
        names = [name for name in self.authors.split(", ") if name]
        if len(names) == 1:
            return f"{self.authors} {self.year}"
        return f"{names[0]} and {names[1] if len(names) == 2 else 'others'} {self.year}"

    @property
    def line(self) -> str:
        """The entry of the list, in Markdown; a DOI and an arXiv number are links."""
        *place, number = self.where.split(", ")
        if number.startswith("arXiv:"):
            number = f"[{number}](https://arxiv.org/abs/{number.removeprefix('arXiv:')})"
        elif number.startswith("doi:"):
            number = f"[{number}](https://doi.org/{number.removeprefix('doi:')})"
        text = f"{self.authors} {self.year}. *{self.title}.* {', '.join([*place, number])}."
        if self.code:
            text += f" Code: {self.code}"
        return f"{text} ({self.short})" if self.short else text


def references() -> dict[str, Reference]:
    """Every paper by key, in the order of the file."""
    content = json.loads(Path(__file__).with_name("references.json").read_text(encoding="utf-8"))
    return {key: Reference(**row) for key, row in content.items()}
