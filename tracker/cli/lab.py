"""What a command that measures needs: the project at hand, its policy, a runner, a recorder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tracker.gate.policy import Policy
from tracker.gate.policy_file import check_patterns, load_policy
from tracker.measure.git import Commit, Repository
from tracker.measure.launch import Runner
from tracker.measure.machine import machine_name
from tracker.measure.project import load_project
from tracker.measure.recorder import Recorder
from tracker.measure.runners import make_runner
from tracker.store import Store

__all__ = ["Lab", "open_lab"]


@dataclass(frozen=True, slots=True)
class Lab:
    """All that is needed to measure and judge commits of one project."""

    repository: Repository
    policy: Policy
    runner: Runner
    recorder: Recorder

    def commit(self, ref: str) -> Commit:
        """Return the commit that `ref` names.

        Raises:
            UsageError: It names none.
        """
        (found,) = self.repository.describe([self.repository.resolve(ref)])
        return found

    def environments(self) -> dict[str, Lab]:
        """Return a lab for each environment that asv builds, by name; without several, this lab alone.

        The bound on false regressions is shared among them.

        Raises:
            UsageError: asv cannot list its environments, or has no such environment.
        """
        from tracker.measure.asv.environments import environment_names

        project, wanted = self.runner.project, self.policy.measure.environment
        names = environment_names(project, self.runner.python, wanted)
        if len(names) < 2:
            return {names[0] if names else "": self}
        labs: dict[str, Lab] = {}
        for name in names:
            measure = replace(self.policy.measure, environment=name)
            policy = replace(self.policy, alpha=self.policy.alpha / len(names), measure=measure)
            runner = make_runner(
                project, policy, machine=self.runner.machine, python=self.runner.python
            )
            labs[name] = replace(self, policy=policy, runner=runner)
        return labs


@contextmanager
def open_lab(
    db: str,
    *,
    config: Path | None = None,
    policy_path: Path | None = None,
    given: dict[str, Any],
    python: str | None = None,
    machine: str | None = None,
    environment: str | None = None,
) -> Iterator[Lab]:
    """Yield the lab of the asv project of this directory, with its store open for writing.

    Args:
        db: URL of the store.
        config: The project's asv.conf.json; else the nearest.
        policy_path: Instead of the project's pacekeeper.toml.
        given: Keys of the policy that the command line sets; None leaves a key unchanged.
        python: Interpreter that runs the suites; else this one.
        machine: Name of this machine; else asv's.
        environment: Name of the only asv environment to measure; None: all.

    Raises:
        UsageError: No project, no such policy, or a pattern that is no regular expression.
        StoreError: The store cannot be opened.
    """
    check_patterns(given.get("bench") or ())
    found = load_project(config)
    policy = load_policy(policy_path, start=found.config_path.parent)
    policy = replace(policy, **{key: value for key, value in given.items() if value is not None})
    found = replace(found, source=policy.source)
    if environment is not None:
        policy = replace(policy, measure=replace(policy.measure, environment=environment))
    runner = make_runner(found, policy, machine=machine or machine_name(), python=python)
    with Store.open(db) as store:
        recorder = Recorder(
            store,
            policy.name or found.name,
            found.repository,
            python=runner.python,
            commit_url=policy.commit_url,
        )
        yield Lab(found.repository, policy, runner, recorder)
