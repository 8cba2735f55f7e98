"""Measures safemem beside the installed alternatives: time, memory, pauses of the garbage collector.

`python -m benchmarks.run`, `python -m benchmarks.memory`, and `python -m benchmarks.render`, which writes docs/benchmarks.md from the results.
"""
