"""The environment variables that measured code sees: the user's own, without secrets.

The rule: a variable is left out where

- it is the store's URL, `PACEKEEPER_DB`;
- its name says that it is a secret: TOKEN, SECRET, PASSWORD, CREDENTIAL, KEY, WEBHOOK, AUTH, COOKIE,
  DSN, PEM, SAS, a connection string, or the URL of a database;
- or its value is one: a URL with a password or a signature, a web hook's address, a known form of
  token, a private key, an authorization header, a `password=` of a connection string.

`[measure] keep_env` names the exceptions that a suite needs. The rule covers the environment, and
nothing else that a program of the same user can read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["is_secret", "without_secrets"]

_STORE = "PACEKEEPER_DB"
_NAME = re.compile(
    r"TOKEN(?![A-Z])|SECRET|EXTRAHEADER|PASSW|PASSPHRASE|PGPASS|USERPASS|CREDENTIAL|WEBHOOK|COOKIE"
    r"|(?:API|ACCESS|PRIVATE|ENCRYPTION|DEPLOY|SIGNING)KEY|CONN(?:ECTION)?_?STR(?:ING)?(?![A-Z])"
    r"|(?:^|_)(?:O?AUTH|AUTHORIZATION|API_TOKENS|PWD|PASS|PAT|DSN|JWT|BEARER|CREDS?|KEYS?|PEM|SAS|SK)(?:$|_)"
    r"|(?:^|_)(?:DATABASE|DB|POSTGRES|POSTGRESQL|MYSQL|MONGO|MONGODB|REDIS|AMQP|SENTRY)_?(?:URL|URI)$",
    re.IGNORECASE,
)
# PWD alone is the working directory; git numbers its settings.
_HARMLESS = re.compile(r"(?:OLD)?PWD|GIT_CONFIG_KEY_\d+")
_VALUE = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s@]*:[^/\s@]+@"  # URL with a password
    r"|https?://[^/\s]+@"  # a token in the place of the user
    r"|https?://(?:hooks\.|[^\s]*/(?:api/)?webhooks?/)"
    r"|[?&](?:sig|signature|token|access_token|api_?key|key)="  # a URL that is signed
    r"|\b(?:password|passwd|pwd|secret|account_?key|shared_?access_?(?:key|signature))\s*=\s*[^\s;]"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abposr]-|hf_|sk[-_]|npm_|pypi-|dop_v1_|pkt_|AIza|ya29\.)"
    r"[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\."  # JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r'|"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"'  # a container registry's configuration
    r"|\b(?:authorization|x-api-key)\s*:|\b(?:bearer|basic)\s+[A-Za-z0-9+/=_.-]{16,}",
    re.IGNORECASE,
)


def is_secret(name: str, value: str) -> bool:
    """Return whether the rule above keeps this variable from measured code."""
    if name == _STORE or _VALUE.search(value):
        return True
    return _NAME.search(name) is not None and _HARMLESS.fullmatch(name) is None


def without_secrets(environment: Mapping[str, str], *, keep: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables that measured code may see.

    Args:
        environment: All of them.
        keep: Names that stay although they look like secrets.
    """
    kept = frozenset(keep)
    secrets = {n for n, value in environment.items() if n not in kept and is_secret(n, value)}
    if any(name.startswith("GIT_CONFIG_") for name in secrets):
        # git reads them by number: a hole among them would make it fail.
        secrets |= {name for name in environment if name.startswith("GIT_CONFIG_")}
    return {name: value for name, value in environment.items() if name not in secrets}
