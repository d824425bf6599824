"""What is measured, one file a result: ``experiments/NAME.py`` writes ``results/NAME.json``."""
