"""Executors: where the jobs of the queue run. One protocol, one file for each engine.

* `protocol`: what the service knows of an executor. `settings`: `[executors]` of pacekeeper.toml.
* `local`, `slurm`, `ray_jobs`: the engines; `engines` makes those that are asked for.
* `work`: what the process of a job does, wherever it runs.
"""
