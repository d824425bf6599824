"""One function a figure, results in, a matplotlib Figure out; a file a chapter.

``results`` is the content of the results file that ``report.figures.index`` names beside the function. A
docstring says what is drawn, along which axes, in which unit, and what to look for.
"""
