"""What the distance is for: models that emit sets of sounds. PyTorch lives here only."""
