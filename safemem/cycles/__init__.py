"""Base classes that do not make reference cycles, and the proof that code makes none."""
