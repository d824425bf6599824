"""Every table once, a file a chapter: results in, a pandas DataFrame out.

A notebook shows it, the report writes it.

Conventions
    argument   the content of the results file of that name, as ``study.results.read`` returns it.
    table      a row a candidate, source, model or setting in words, which is the index; its name heads the
               first column. Cells are texts as they are read (``report.numbers``), intervals as
               "mean (low to high)"; numbers only where a notebook alone shows them.
    interval   95 %; of what, the docstring says.
    markdown   what the template writes of a table.
"""

from __future__ import annotations

from report.tables.autoencoders import faults, ladder, models, recognised, verdicts_of_models
from report.tables.challenge import answer, clicks, incumbents, parts, published
from report.tables.classifier import (
    beside,
    calibrations,
    divisions,
    new_folders,
    one_or_three,
    predictions,
    rungs,
    trained_embeddings,
    warned,
)
from report.tables.combinations import what_each_adds
from report.tables.coverage import claims_of_closer, coverage_of_intervals, held, in_order
from report.tables.large_sets import added_error
from report.tables.lengths import unequal_lengths
from report.tables.listening import (
    chosen,
    families,
    families_apart,
    laboratories,
    listeners,
    outside,
    rated,
)
from report.tables.pairs import judged_right, judged_wrong, right_of, told_by_labels, unfamiliar_pairs
from report.tables.quality import direction, no_speech
from report.tables.regressions import (
    alarms,
    bugs,
    caught,
    family_alarms,
    few_clips,
    members,
    plans,
    promises,
    promises_of_like_sides,
    promises_of_unlike_sides,
    verdicts,
)
from report.tables.songs import (
    collections_of_songs,
    copies,
    leaks,
    sets_of_songs,
    songs_a_minute,
    tastes,
    tempo_and_key,
)
from report.tables.speed import time_of_comparing
from report.tables.statistics import benchmark, false_alarms, files_needed, mostly, soundness
from report.tables.table import markdown
from report.tables.trials import (
    against,
    bad_files,
    candidates,
    embeddings,
    harmless,
    level,
    level_by_kind,
    order_of_tones,
    own_test,
    plain_damage,
    power,
    rivals,
    side_by_side,
    soundness_of_tests,
    wrong_pairs,
)
from report.tables.unseen import most_missed, not_seen, who_finds
from report.tables.versions import power_of_versions, versions_beside
from report.tables.wavenet import (
    bits_of_digits,
    bits_of_songs,
    told_the_digit,
    wavenet_faults,
    wavenet_ladder,
    wavenet_speed,
    wavenet_training,
)

__all__ = [
    "added_error",
    "against",
    "alarms",
    "answer",
    "bad_files",
    "benchmark",
    "beside",
    "bits_of_digits",
    "bits_of_songs",
    "bugs",
    "calibrations",
    "candidates",
    "caught",
    "chosen",
    "claims_of_closer",
    "clicks",
    "collections_of_songs",
    "copies",
    "coverage_of_intervals",
    "direction",
    "divisions",
    "embeddings",
    "false_alarms",
    "families",
    "families_apart",
    "family_alarms",
    "faults",
    "few_clips",
    "files_needed",
    "harmless",
    "held",
    "in_order",
    "incumbents",
    "judged_right",
    "judged_wrong",
    "laboratories",
    "ladder",
    "leaks",
    "level",
    "level_by_kind",
    "listeners",
    "markdown",
    "members",
    "models",
    "most_missed",
    "mostly",
    "new_folders",
    "no_speech",
    "not_seen",
    "one_or_three",
    "order_of_tones",
    "outside",
    "own_test",
    "parts",
    "plain_damage",
    "plans",
    "power",
    "power_of_versions",
    "predictions",
    "promises",
    "promises_of_like_sides",
    "promises_of_unlike_sides",
    "published",
    "rated",
    "recognised",
    "right_of",
    "rivals",
    "rungs",
    "sets_of_songs",
    "side_by_side",
    "songs_a_minute",
    "soundness",
    "soundness_of_tests",
    "tastes",
    "tempo_and_key",
    "time_of_comparing",
    "told_by_labels",
    "told_the_digit",
    "trained_embeddings",
    "unequal_lengths",
    "unfamiliar_pairs",
    "verdicts",
    "verdicts_of_models",
    "versions_beside",
    "warned",
    "wavenet_faults",
    "wavenet_ladder",
    "wavenet_speed",
    "wavenet_training",
    "what_each_adds",
    "who_finds",
    "wrong_pairs",
]
