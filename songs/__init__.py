"""A music collection as tables: fetched, indexed, sampled, described; on one machine or many.

Conventions
    content   SHA-256 of a file's bytes, in hex: what a song is called, wherever its files lie.
    song      one content; several files may hold it.
    sample    an excerpt of a song.
    rate      in Hz, given wherever sound is handled; nothing assumes one.
    path      as ``os.fsdecode`` gives it, so that a name in any encoding goes in and comes out again.

One pure function a stage (path in, rows out) runs in a process pool or on a Spark cluster (``engine``); the
rows become immutable Parquet parts (``tables``), which DuckDB reads. Nothing here needs PyTorch or Hydra, and
only ``engine`` knows of Spark.
"""
