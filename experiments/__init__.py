"""What is measured, one file a result: ``experiments/NAME.py`` makes ``results/NAME.json``.

An experiment is a module with
    docstring        its question in one line; then on what it is measured, how many, with which seeds
    DATA             the sets of recordings it is measured on: their checksums stand in the result's header
    NEEDS            what else it needs, in words
    TAKES            about how long, on two cores
    options(parser)  what it can be told, beside ``quick``, ``runs``, ``workers`` and ``fresh``
    run(**options)   the measurement, which returns the content of the result
    summary(content) what it found, in a few lines
of which NEEDS, options and summary may be missing. ``experiments.__main__`` does the rest: command line,
header, file. Nothing but the report and the tests imports an experiment, and what experiments measure *with*
lies in ``study``.
"""
