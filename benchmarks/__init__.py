"""asv suites over the inference engine. A class is a scenario: one engine launch, every metric.

Nothing here imports torch or ``inference`` at module level: asv imports these modules to discover
benchmarks, and forks from a process that holds them.
"""
