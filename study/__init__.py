"""How the distance is known to work: sets of audio, damage to them, distances to compare with."""
