"""One function a figure, results in, a matplotlib Figure out; a file a chapter."""
