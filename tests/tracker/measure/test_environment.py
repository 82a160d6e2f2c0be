"""The rule by which measured code sees no secrets."""

import pytest

from tracker.measure.environment import is_secret, without_secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PACEKEEPER_DB", "sqlite:///x.db"),
        ("PACEKEEPER_WEBHOOK", "https://example.org/x"),
        ("GITHUB_TOKEN", "x"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://example.org"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("OPENAI_API_KEY", "x"),
        ("PGPASSWORD", "x"),
        ("DB_PASS", "x"),
        ("SSH_AUTH_SOCK", "/tmp/agent"),
        ("NETRC_CREDENTIALS", "x"),
        ("DATABASE_URL", "postgresql://host/name"),
        ("SENTRY_DSN", "x"),
        ("PIP_INDEX_URL", "https://me:secret@example.org/simple"),
        ("GIT_REMOTE", "https://token@example.org/o/n"),
        ("NOTE", "see https://hooks.slack.com/services/T0/B0/x"),
        ("X", "ghp_0123456789abcdefghij0123456789abcdef"),
        ("X", "-----BEGIN OPENSSH PRIVATE KEY-----"),
        ("X", "Authorization: Basic eDp5"),
        *(
            (name, "x")
            for name in (
                "OPENAI_KEY",
                "SSH_KEY",
                "MY_SERVICE_CREDS",
                "BLOB_SAS",
                "SIGNING_PEM",
                "OAUTH",
                "JIRA_USERPASS",
                "AZURE_STORAGE_CONNECTION_STRING",
                "CI_JOB_JWT_V2",
                "NPM_CONFIG__AUTH",
            )
        ),
        ("X", "host=db user=u password=hunter2"),
        ("X", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0"),
        ("X", "https://a.blob.core.windows.net/c?sv=2020-08-04&sig=abc%3D"),
        ("X", "pkt_01234567_" + "a" * 43),
        ("X", '{"auths": {"registry": {"auth": "dXNlcjpwYXNz"}}}'),
    ],
)
def test_secrets(name, value):
    assert is_secret(name, value)
    assert without_secrets({name: value, "HOME": "/h"}) == {"HOME": "/h"}
    assert without_secrets({name: value}, keep=[name]) == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWD", "/work"),
        ("PATH", "/usr/bin:/bin"),
        ("PACEKEEPER_CACHE", "/cache"),
        ("CUDA_VISIBLE_DEVICES", "0"),
        ("GITHUB_AUTHOR", "a"),
        ("COMPASS", "north"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_OFFLINE", "1"),
        ("PIP_INDEX_URL", "https://example.org/simple"),
        ("SSH_CLIENT", "::1 22"),
        ("KEYBOARD", "us"),
        ("MONKEY", "x"),
        ("MAX_TOKENS", "4096"),
        ("BYPASS_CACHE", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("CFLAGS", "-O2 -DKEY=1"),
    ],
)
def test_ordinary_variables(name, value):
    assert not is_secret(name, value)


def test_numbered_git_settings_go_together():
    settings = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraheader",
        "GIT_CONFIG_VALUE_0": "AUTHORIZATION: basic eDp5",
    }
    assert without_secrets(settings) == {}
    assert without_secrets(settings | {"GIT_CONFIG_VALUE_0": "x"}) != {}
