"""What a command that measures needs: the project at hand, its policy, a runner, a recorder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tracker.cli.options import LabOptions
from tracker.gate.policy import Policy
from tracker.gate.policy_file import load_policy
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
        (commit,) = self.repository.describe([self.repository.resolve(ref)])
        return commit

    def profiled_runner(self, prefix: Sequence[str]) -> Runner:
        """Return the runner of this lab whose launches run behind a profiler."""
        return make_runner(
            self.runner.project, self.policy,
            machine=self.runner.machine, python=self.runner.python, prefix=prefix,
        )  # fmt: skip

    def traced_runner(self) -> Runner:
        """Return the runner of this lab whose launches also write traces."""
        from tracker.explain.capture import PROFILE

        return make_runner(
            self.runner.project, self.policy,
            machine=self.runner.machine, python=self.runner.python, variables=PROFILE,
        )  # fmt: skip

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
def open_lab(db: str, options: LabOptions, **policy_keys: Any) -> Iterator[Lab]:
    """Yield the lab of the project of this directory, with its store open for writing.

    Args:
        db: URL of the store.
        options: What the command line says.
        policy_keys: Further keys of the policy that it sets; None leaves a key unchanged.

    Raises:
        UsageError: No project, no such policy, interpreter or environment.
        StoreError: The store cannot be opened.
    """
    project = load_project(options.config)
    policy = load_policy(options.policy_path, start=project.config_path.parent)
    given = {key: value for key, value in policy_keys.items() if value is not None}
    policy = replace(policy, **options.policy | given)
    project = replace(project, source=policy.source)
    if options.environment is not None:
        policy = replace(policy, measure=replace(policy.measure, environment=options.environment))
    runner = make_runner(
        project, policy, machine=options.machine or machine_name(), python=options.python
    )
    with Store.open(db) as store:
        recorder = Recorder(
            store,
            policy.name or project.name,
            project.repository,
            python=runner.python,
            commit_url=policy.commit_url,
        )
        yield Lab(project.repository, policy, runner, recorder)
