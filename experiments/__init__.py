"""What is measured: one file a result, named as it."""
