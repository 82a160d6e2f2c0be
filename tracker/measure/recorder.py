"""Writes launches into the store, each as soon as it is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tracker.domain import Arm, Problem, RevisionRecord, RunSource
from tracker.fingerprint import collect
from tracker.measure.git import Commit, Repository, commit_url_template
from tracker.measure.launch import LaunchFault, LaunchResult
from tracker.measure.machine import node_name
from tracker.quarantine import serving_gpus, sick_gpus
from tracker.store import Store, queries

__all__ = ["Recorder"]


class Recorder:
    """Records launches of one project.

    Args:
        store: Opened for writing.
        project: Name of the project in the store.
        repository: Where commits and the remote are looked up.
        python: The measured interpreter, for the fingerprint of suites that write none.
        commit_url: Template with `{commit}`; from the git remote where None.

    Raises:
        StoreError: The project cannot be written.
    """

    def __init__(
        self,
        store: Store,
        project: str,
        repository: Repository,
        *,
        python: str,
        commit_url: str | None = None,
    ) -> None:
        self.store = store
        self.project = project
        self._repository = repository
        self._python = python
        url = commit_url or commit_url_template(repository.remote_url())
        store.record_project(project, commit_url=url)

    def commits(self, commits: Sequence[Commit]) -> None:
        """Record what git knows of `commits`: parents, subjects, times."""
        branch = self._repository.branch()
        self.store.record_revisions(
            self.project,
            [
                RevisionRecord(
                    commit=commit.hash,
                    committed_at=commit.committed_at,
                    parents=commit.parents,
                    subject=commit.subject,
                    branch=branch,
                    author=commit.author,
                )
                for commit in commits
            ],
        )

    def checked(self, result: LaunchResult) -> LaunchResult:
        """Return a launch with a fault for each GPU in quarantine that served it.

        A GPU that the launch itself shows to be sick goes into quarantine first.
        """
        now = datetime.now(UTC)
        for gpu in sick_gpus(result.launches, machine=result.file.machine, now=now):
            self.store.record_quarantine(gpu)
        used = {
            gpu.get("uuid")
            for launch in result.launches
            for gpu in serving_gpus(launch.header).values()
        }
        if not used:
            return result
        faults = tuple(
            LaunchFault("device", gpu.text)
            for uuid, gpu in queries.quarantined_gpus(self.store).items()
            if uuid in used
        )
        return replace(result, faults=(*result.faults, *faults))

    def launch(
        self,
        result: LaunchResult,
        source: RunSource,
        *,
        gate_id: str | None = None,
        pair: int | None = None,
        arm: Arm | None = None,
    ) -> None:
        """Record one launch; its failures become problems that the store remembers.

        Of a launch with a fault that is all: its values are not the commit's.
        """
        if result.faults:
            faults = [Problem(path=str(result.log), reason=f.text) for f in result.faults]
            self.store.record_problems(self.project, [*faults, *result.problems()])
            return
        if result.machine is not None:
            self.store.record_machine(self.project, result.machine)
        self.store.record_benchmarks(self.project, result.benchmarks.values())
        fingerprint = result.launches[0].fingerprint if result.launches else collect(self._python)
        self.store.record_file(
            self.project,
            result.file,
            benchmarks=result.benchmarks,
            source=source,
            fingerprint=fingerprint,
            launches=result.launches,
            gate_id=gate_id,
            pair=pair,
            arm=arm,
            node=node_name(),
        )
        if problems := result.problems():
            self.store.record_problems(self.project, problems)
