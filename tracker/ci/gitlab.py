"""GitLab: a merge request's note that is kept up to date, and the status of its head commit.

The job's own token may write neither, so both need `PACEKEEPER_GITLAB_TOKEN`: a project access
token with the scope `api`, a masked variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from tracker.ci.comment import MARKER
from tracker.ci.result import CiResult, Conclusion, one_line
from tracker.http_client import Api, ApiError

__all__ = ["STATUS_NAME", "GitLabJob"]

STATUS_NAME = "pacekeeper verdict"
_ACCEPTING = "perf-expected"


@dataclass(frozen=True, slots=True)
class GitLabJob:
    """The job at hand, as its environment describes it.

    Attributes:
        project: Id of the project.
        api: The REST API, or None without a token.
        merge_request: Its number in the project, or None.
        target_branch: The branch it is to go to, or None.
        labels: Its labels when the pipeline began.
        ref: The branch or tag of the pipeline.
        job_url: Address of this job.
    """

    project: str
    api: Api | None
    merge_request: str | None = None
    target_branch: str | None = None
    labels: tuple[str, ...] = ()
    ref: str | None = None
    job_url: str | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> GitLabJob | None:
        """Return the job that `environ` describes; None outside GitLab CI.

        Raises:
            ApiError: `CI_API_V4_URL` is no https address.
        """
        if not environ.get("GITLAB_CI"):
            return None
        token = environ.get("PACEKEEPER_GITLAB_TOKEN")
        url = environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4")
        return cls(
            project=environ.get("CI_PROJECT_ID", ""),
            api=Api(url, {"PRIVATE-TOKEN": token, "User-Agent": "pacekeeper"}) if token else None,
            merge_request=environ.get("CI_MERGE_REQUEST_IID") or None,
            target_branch=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or None,
            labels=tuple(environ.get("CI_MERGE_REQUEST_LABELS", "").split(",")),
            ref=environ.get("CI_COMMIT_REF_NAME") or None,
            job_url=environ.get("CI_JOB_URL") or None,
        )

    @property
    def target(self) -> str | None:
        """The branch that the merge request is to go to, as git knows it in a checkout."""
        return f"origin/{self.target_branch}" if self.target_branch else None

    def accepts_expectations(self) -> bool:
        """Whether the merge request had the label `perf-expected` when the pipeline began."""
        return _ACCEPTING in self.labels

    def begin(self, head: str) -> None:
        """Set the status to "running".

        Raises:
            ApiError: The API refused it.
        """
        if self.api is not None:
            self._status(head, "running", "measuring")

    def finish(self, result: CiResult, conclusion: Conclusion, comment: str) -> list[str]:
        """Set the status and write the note; return what could not be written, and why."""
        if self.api is None:
            return ["no note and no status: there is no PACEKEEPER_GITLAB_TOKEN"]
        problems: list[str] = []
        status = partial(self._status, result.head, conclusion.gitlab, conclusion.title)
        for what, write in (("status", status), ("note", partial(self._note, comment))):
            try:
                write()
            except ApiError as error:
                hint = "; the token needs the scope `api`" if error.status in (401, 403) else ""
                problems.append(f"the {what} could not be written: {one_line(str(error))}{hint}")
        return problems

    def _status(self, head: str, state: str, description: str) -> None:
        if not head:
            return
        assert self.api is not None
        body = {"state": state, "name": STATUS_NAME, "description": description}
        body |= {"ref": self.ref} if self.ref else {}
        body |= {"target_url": self.job_url} if self.job_url else {}
        self.api.request("POST", f"{self._path}/statuses/{head}", body=body)

    def _note(self, text: str) -> None:
        if self.merge_request is None:
            return
        assert self.api is not None
        path = f"{self._path}/merge_requests/{quote(self.merge_request, safe='')}/notes"
        me = self.api.request("GET", "/user")["id"]
        ours = next(
            (
                note["id"]
                for note in self.api.pages(path)
                if note["author"]["id"] == me and str(note["body"]).startswith(MARKER)
            ),
            None,
        )
        if ours is None:
            self.api.request("POST", path, body={"body": text})
        else:
            self.api.request("PUT", f"{path}/{ours}", body={"body": text})

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self.project, safe='')}"
