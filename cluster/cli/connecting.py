"""The options that say how to get in, for every subcommand that talks to servers.

    @connecting
    def check(address: Address, credentials: Credentials = ANONYMOUS) -> None: ...

gives `check` the options of this file in place of `credentials`, and calls it with what they amount to. They
are redis-cli's, but that the key of a certificate is --cert-key (keys are something else here), and that a
password may come from a variable or be asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from cluster.cli.common import UsageProblem
from cluster.operations.dialling import Tls, require_usable
from cluster.operations.link import Credentials

PANEL = "Connection"
PASSWORD_VARIABLES = ["SHOAL_PASSWORD", "REDISCLI_AUTH"]
REPLACED = "credentials"


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


def connecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Replace the parameter `credentials` of a subcommand by options."""
    own = inspect.signature(function)
    ours = inspect.signature(_login)
    hints = {name: hint for name, hint in get_type_hints(function, include_extras=True).items()}
    hints |= get_type_hints(_login, include_extras=True)
    parameters = [each for each in own.parameters.values() if each.name != REPLACED]
    parameters += ours.parameters.values()

    def called(**given: Any) -> Any:
        login = {name: given.pop(name) for name in ours.parameters}
        return function(**given, credentials=_login(**login))

    called.__name__ = function.__name__
    called.__doc__ = function.__doc__
    called.__module__ = function.__module__
    called.__annotations__ = {each.name: hints[each.name] for each in parameters}
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for each in parameters
        ]
    )
    return called
