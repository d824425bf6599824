from audio_distance.units import Pool


def matched(pool: Pool, *, seed: int) -> Pool:
    return pool
