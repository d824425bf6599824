"""The one error of the package that input causes."""


class AudioError(ValueError):
    """Input that cannot be measured: names every bad file, its value, the limit, the likely cause."""
