"""The options that say how to get in, for every subcommand that talks to servers.

    @connecting
    def check(address: Address, credentials: Credentials = ANONYMOUS) -> None: ...

gives `check` the options of this file in place of `credentials`, and calls it with what they amount to. They
are redis-cli's, but that the key of a certificate is --cert-key (keys are something else here), and that a
password may come from a variable or be asked for.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.common import UsageProblem
from cluster.cli.gathered import gathered
from cluster.operations.dialling import Tls, require_usable
from cluster.operations.link import Credentials

PANEL = "Connection"
PASSWORD_VARIABLES = ["SHOAL_PASSWORD", "REDISCLI_AUTH"]


def option(*names: str, help: str, envvar: str | list[str] | None = None) -> Any:
    return typer.Option(*names, help=help, envvar=envvar, rich_help_panel=PANEL)


def _login(
    user: Annotated[str, option("--user", envvar="SHOAL_USER", help="User name to log in with.")] = "",
    password: Annotated[
        str, option("--password", "-a", envvar=PASSWORD_VARIABLES, help="Password to log in with.")
    ] = "",
    askpass: Annotated[bool, option("--askpass", help="Ask for the password.")] = False,
    tls: Annotated[bool, option("--tls", help="Connect by TLS. Implied by the options below.")] = False,
    cacert: Annotated[str, option("--cacert", help="Whose signatures to trust: a file.")] = "",
    cacertdir: Annotated[str, option("--cacertdir", help="Whose signatures to trust: a directory.")] = "",
    cert: Annotated[str, option("--cert", help="Our certificate.")] = "",
    cert_key: Annotated[str, option("--cert-key", help="Its private key.")] = "",
    sni: Annotated[str, option("--sni", help="Whom the server's certificate names.")] = "",
    tls_ciphers: Annotated[str, option("--tls-ciphers", help="Ciphers to offer, up to TLS 1.2.")] = "",
    insecure: Annotated[bool, option("--insecure", help="Trust any certificate.")] = False,
) -> Credentials:
    if askpass:
        password = typer.prompt("Password", hide_input=True, err=True)
    protection = None
    if tls or insecure or any((cacert, cacertdir, cert, cert_key, sni, tls_ciphers)):
        protection = Tls(cacert, cacertdir, cert, cert_key, sni, tls_ciphers, verify=not insecure)
        try:
            require_usable(protection)
        except ValueError as error:
            raise UsageProblem(str(error)) from error
    return Credentials(user or None, password or None, protection)


connecting = gathered("credentials", _login)
"""Replace the parameter `credentials` of a subcommand by options."""
