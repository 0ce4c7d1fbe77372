"""ACL: users described, changed, tried out, written and read.

The rules live in `node/acl`, the users and their sessions in `node/session/access`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from node import errors
from node.acl import RuleError
from node.acl.file import AclFileError
from node.acl.rules import Unmatched, joined_selectors
from node.acl.selector import Selector
from node.acl.users import DEFAULT, is_name
from node.commands.model import CATEGORIES
from node.errors import ReplyError, one_line
from node.handlers.arguments import parse_int
from node.handlers.commands import every_offered
from node.handlers.registry import command
from node.replies import OK, SetReply

if TYPE_CHECKING:
    from node.acl.log import Entry
    from node.session.session import Session

LOG_SHOWN = 10
"""Entries of ACL LOG without a count."""
GENPASS_BITS = 256
MOST_GENPASS_BITS = 4096

_BAD_NAME = ReplyError("ERR Usernames can't contain spaces or null characters")
_DEFAULT_STAYS = ReplyError("ERR The 'default' user cannot be removed")
_BAD_GENPASS = ReplyError(
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to "
    f"{MOST_GENPASS_BITS}"
)
_NO_FILE = ReplyError(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL "
    "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
    "order to store users in the Redis configuration."
)
_NOT_SAVED = ReplyError(
    "ERR There was an error trying to save the ACLs. Please check the server logs for more information"
)

HELP = [
    "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CAT [<category>]",
    "    The commands of a category, or all categories.",
    "DELUSER <username> [<username> ...]",
    "    Delete users, and close their connections.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Whether the user may execute a command, without executing it.",
    "GETUSER <username>",
    "    What the user is and may do.",
    "GENPASS [<bits>]",
    "    A password nobody can guess, by default of 256 bits.",
    "LIST",
    "    All users as lines of a configuration file.",
    "LOAD",
    "    Read the users from the ACL file again.",
    "LOG [<count> | RESET]",
    "    The last refusals, or forget them.",
    "SAVE",
    "    Write the users to the ACL file.",
    "SETUSER <username> <rule> [<rule> ...]",
    "    Make a user, or change one.",
    "USERS",
    "    The names of all users.",
    "WHOAMI",
    "    The user of this connection.",
    "HELP",
    "    Print this help.",
]


@command("acl|setuser")
def setuser(ctx: Session, args: list[bytes]) -> str:
    name = args[0]
    if not is_name(name):
        raise _BAD_NAME
    try:
        ctx.worker.access.set_user(name, joined_selectors(args[1:]), ctx)
    except Unmatched as error:
        raise ReplyError(
            f"ERR Unmatched parenthesis in acl selector starting at '{one_line(error.rule)}'."
        ) from None
    except RuleError as error:
        raise ReplyError(f"ERR Error in ACL SETUSER modifier '{one_line(error.rule)}': {error}") from None
    return OK


@command("acl|getuser")
def getuser(ctx: Session, args: list[bytes]) -> dict[bytes, Any] | None:
    user = ctx.worker.access.users.get(args[0])
    if user is None:
        return None
    return {
        b"flags": SetReply(user.flags),
        b"passwords": user.passwords,
        **_permissions(user.root),
        b"selectors": [_permissions(selector) for selector in user.selectors[1:]],
    }


def _permissions(selector: Selector) -> dict[bytes, bytes]:
    return {
        b"commands": selector.describe_commands(),
        b"keys": selector.describe_keys(),
        b"channels": selector.describe_channels(),
    }


@command("acl|deluser")
def deluser(ctx: Session, args: list[bytes]) -> int:
    if DEFAULT in args:
        raise _DEFAULT_STAYS
    return sum(ctx.worker.access.delete_user(name, ctx) for name in args)


@command("acl|list")
def list_(ctx: Session, args: list[bytes]) -> list[bytes]:
    return ctx.worker.access.users.lines()


@command("acl|users")
def users(ctx: Session, args: list[bytes]) -> list[bytes]:
    return [user.name for user in ctx.worker.access.users]


@command("acl|whoami")
def whoami(ctx: Session, args: list[bytes]) -> bytes | None:
    return None if ctx.user is None else ctx.user.name


@command("acl|cat")
def cat(ctx: Session, args: list[bytes]) -> list[bytes]:
    if len(args) > 1:
        raise errors.bad_subcommand_arguments("acl", "CAT")
    if not args:
        return [category.encode() for category in CATEGORIES]
    category = args[0].decode("latin-1").lower()
    if category not in CATEGORIES:
        raise ReplyError(f"ERR Unknown category '{one_line(args[0][:128])}'")
    return [row.name.encode() for row in every_offered() if category in row.categories]


@command("acl|genpass")
def genpass(ctx: Session, args: list[bytes]) -> bytes:
    if len(args) > 1:
        raise errors.bad_subcommand_arguments("acl", "GENPASS")
    bits = parse_int(args[0]) if args else GENPASS_BITS
    if not 0 < bits <= MOST_GENPASS_BITS:
        raise _BAD_GENPASS
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


@command("acl|dryrun")
def dryrun(ctx: Session, args: list[bytes]) -> str | bytes:
    name, *argv = args
    user = ctx.worker.access.users.get(name)
    if user is None:
        raise ReplyError(f"ERR User '{one_line(name)}' not found")
    row = ctx.worker.find(argv)
    if row is None:
        raise ReplyError(f"ERR Command '{one_line(argv[0])}' not found")
    if not row.accepts(len(argv)):
        raise errors.wrong_arity(row.name)
    denial = user.judge(row, argv)
    return OK if denial is None else denial.explain(name, row.name, argv, names_it=True)


@command("acl|log")
def log(ctx: Session, args: list[bytes]) -> Any:
    if len(args) > 1:
        raise errors.bad_subcommand_arguments("acl", "LOG")
    entries = ctx.worker.access.log
    if args and args[0].lower() == b"reset":
        entries.clear()
        return OK
    count = parse_int(args[0]) if args else LOG_SHOWN
    return [_entry(entry, ctx.now) for entry in entries.newest(max(0, count))]


def _entry(entry: Entry, now: int) -> dict[bytes, Any]:
    return {
        b"count": entry.count,
        b"reason": entry.reason.label.encode(),
        b"context": entry.context.encode(),
        b"object": entry.object,
        b"username": entry.username,
        b"age-seconds": (now - entry.updated_at) / 1000,
        b"client-info": entry.client,
        b"entry-id": entry.number,
        b"timestamp-created": entry.created_at,
        b"timestamp-last-updated": entry.updated_at,
    }


@command("acl|load")
def load(ctx: Session, args: list[bytes]) -> str:
    if not ctx.config.aclfile:
        raise _NO_FILE
    try:
        ctx.worker.access.load_file(ctx)
    except AclFileError as error:
        raise ReplyError(f"ERR {one_line(str(error))}") from None
    return OK


@command("acl|save")
def save(ctx: Session, args: list[bytes]) -> str:
    if not ctx.config.aclfile:
        raise _NO_FILE
    try:
        ctx.worker.access.save_file()
    except OSError as error:
        ctx.worker.log.warning(f"Saving the ACL file failed: {error.strerror}")
        raise _NOT_SAVED from None
    return OK


@command("acl|help")
def help_(ctx: Session, args: list[bytes]) -> list[str]:
    return HELP
