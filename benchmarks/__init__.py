"""Measures safemem beside the installed alternatives: time, memory, pauses of the garbage collector, threads.

`python -m benchmarks.run`, `.memory` and `.threads`, and `python -m benchmarks.render`, which writes docs/benchmarks.md from the results.
"""
