"""Results in, pages out: figures, tables, notebooks and ``report.md``. Nothing is measured here."""
