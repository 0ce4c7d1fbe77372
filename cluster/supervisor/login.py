"""How the supervisor and the proxies log in at workers that have passwords, and clients at the proxies.

It is all in the settings given to the workers. `requirepass` alone is enough: replicas then get the same as
`masterauth`, and so do we. With users of one's own (`user`, `aclfile`), `masteruser` and `masterauth` say as
whom workers log in at each other; we use these, too. Proxies know one password: they ask their clients for
`requirepass`, or, where there is none, for `masterauth`, so that nobody gets in through them who could not
without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from cluster.operations.dialling import Tls
from cluster.operations.link import Credentials

CLIENT_VARIABLE = "SHOAL_PROXY_AUTH"
UPSTREAM_VARIABLE = "SHOAL_UPSTREAM_AUTH"
"""By which proxies get theirs (proxy/config.py): command lines can be read by all users of a machine."""


@dataclass(frozen=True)
class Login:
    credentials: Credentials = field(default_factory=Credentials)
    for_clients: str = ""
    """What proxies ask for; empty: nothing."""
    more_settings: tuple[str, ...] = ()
    """Of workers, so that they get in at each other."""
    lets_anybody_in: bool = False
    """By `protected-mode no` workers let in whoever comes without a password, and so do proxies."""
    tls: Tls | None = None
    """How all of them are connected to; None: plainly."""

    @property
    def arguments(self) -> list[str]:
        """What AUTH takes at workers."""
        login = [self.credentials.username, self.credentials.password]
        return [word for word in login if word]

    @property
    def at_proxies(self) -> Credentials:
        return Credentials(None, self.for_clients or None, self.tls)

    @property
    def proxy_options(self) -> list[str]:
        return ["--protected-mode", "no"] if self.lets_anybody_in else []

    @property
    def proxy_environment(self) -> dict[str, str]:
        if not self.credentials.password:
            return {}
        user = self.credentials.username or "default"
        return {
            CLIENT_VARIABLE: self.for_clients,
            UPSTREAM_VARIABLE: f"{user}:{self.credentials.password}",
        }


def login_from(worker_settings: Sequence[str], tls: Tls | None = None) -> Login:
    """`worker_settings`: `--name value ...`, as they are given to workers."""
    login = _by_password(worker_settings)
    anybody = _last(worker_settings, "protected-mode").lower() == "no"
    credentials = replace(login.credentials, tls=tls)
    return replace(login, tls=tls, credentials=credentials, lets_anybody_in=anybody)


def _by_password(worker_settings: Sequence[str]) -> Login:
    required = _last(worker_settings, "requirepass")
    user, password = _last(worker_settings, "masteruser"), _last(worker_settings, "masterauth")
    if password:
        return Login(Credentials(user or None, password), required or password)
    if required:
        return Login(Credentials(None, required), required, ("--masterauth", required))
    return Login()


def _last(settings: Sequence[str], name: str) -> str:
    """The last value of a directive, as that is the one that holds; empty when it is not given."""
    value = ""
    for word, following in pairwise(settings):
        if word.lower() == f"--{name}":
            value = following
    return value
