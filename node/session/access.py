"""Who is logged in, and what that allows: the users of a worker, put to work.

The rules are in `node/acl`; here they meet the sessions. A session has a user, the default one until it
logs in, and two gates follow from that: GATE_AUTH, while it must log in first, and GATE_RESTRICTED, if its
user may not do everything. So a session of an all-powerful user, which is what most are, is never judged.

A user's rights may change while it is connected. Its sessions notice at once; those that listen to channels
which the user may not hear any more are closed, as are all sessions of a user that is deleted.

Internal sessions (a primary's stream, a file) have no user and are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from node import errors
from node.acl import AclLog, Denial, RuleError, User, Users, file
from node.acl.denial import Reason
from node.acl.file import AclFileError
from node.acl.users import DEFAULT, declared, is_name
from node.config.text import to_bytes, to_text
from node.core.command_rows import GATE_AUTH, GATE_RESTRICTED
from node.errors import ReplyError, one_line
from node.session.description import describe

if TYPE_CHECKING:
    from node.commands.model import Command
    from node.session.session import Session
    from node.worker import Worker

TWO_SOURCES = (
    "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. "
    "This setup is very likely to lead to configuration errors and security holes, please define either an "
    "ACL file or declare users directly in your redis.conf, but not both."
)
_CRITICAL = "Critical error while loading ACLs. Exiting."
_LOST_SINCE_QUEUED = (
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
    "command is no longer allowed for the following reason: "
)
_LOST = {
    Reason.COMMAND: "no permission to execute the command or subcommand",
    Reason.KEY: "no permission to touch the specified keys",
    Reason.CHANNEL: "no permission to access one of the channels used as arguments",
}


class Access:
    def __init__(self, worker: Worker) -> None:
        """With the default user alone, and its password as the settings say."""
        self._worker = worker
        config = worker.config
        self.users = Users(lambda: bool(config.acl_pubsub_default == "allchannels"))
        self.log = AclLog()
        self.denied = dict.fromkeys(Reason, 0)
        """How often for each reason: INFO."""
        self._set_password(config.requirepass)
        config.on_change("requirepass", self._set_password)
        config.user_lines = self._config_lines

    # --- where users come from -----------------------------------------------------------------------

    def load_at_start(self) -> None:
        """Users of redis.conf or of the ACL file. Raises AclFileError."""
        config = self._worker.config
        if config.users and config.aclfile:
            raise AclFileError(TWO_SOURCES)
        if config.aclfile:
            try:
                self._replace(self._read_file())
            except AclFileError as error:
                raise AclFileError(f"Aborting Redis startup because of ACL errors: {error}") from None
        for name, rules in config.users:
            if not is_name(name):
                raise AclFileError(f"Spaces not allowed in ACL usernames\n{_CRITICAL}")
            try:
                self.users.put(declared(name, rules, self.users))
            except RuleError as error:
                raise AclFileError(
                    f"Error loading ACL rule '{to_text(error.rule)}' for the user named '{to_text(name)}': "
                    f"{error}\n{_CRITICAL}"
                ) from None

    def load_file(self, caller: Session) -> None:
        """ACL LOAD. Raises AclFileError; nothing has changed then."""
        loaded = self._read_file()
        by_name = {user.name: user for user in loaded}
        for session in self._sessions():
            before = session.user
            if before is None:
                continue
            after = by_name.get(before.name)
            if after is None:
                self._expel(session, caller)
            else:
                self._close_listeners([session], after, caller)
        self._replace(loaded)
        self._settle_all()

    def save_file(self) -> None:
        """ACL SAVE. Raises OSError."""
        config = self._worker.config
        file.save(config.path(config.aclfile), self.users)

    def _read_file(self) -> list[User]:
        config = self._worker.config
        return file.load(config.path(config.aclfile), config.aclfile, self.users)

    def _replace(self, loaded: Sequence[User]) -> None:
        names = {user.name for user in loaded}
        for known in list(self.users):
            if known.name not in names:
                self.users.remove(known.name)
        for user in loaded:
            self.users.put(user)

    def _config_lines(self) -> list[str]:
        """What follows `user` in a rewritten configuration file."""
        if self._worker.config.aclfile:
            return []
        return [to_text(line.partition(b" ")[2]) for line in self.users.lines()]

    # --- changes -------------------------------------------------------------------------------------

    def set_user(self, name: bytes, rules: Sequence[bytes], caller: Session) -> None:
        """ACL SETUSER: all rules, or none and a RuleError."""
        after = self.users.draft(name, rules)
        before = self.users.get(name)
        if before is not None:
            self._close_listeners(self._sessions_of(before), after, caller)
        self.users.put(after)
        self._settle_all()

    def delete_user(self, name: bytes, caller: Session) -> bool:
        """ACL DELUSER of one that is not the default user. False if there is none."""
        user = self.users.remove(name)
        if user is None:
            return False
        for session in self._sessions_of(user):
            self._expel(session, caller)
        return True

    def _set_password(self, password: str) -> None:
        self.users.set_default_password(to_bytes(password))
        self._settle_all()

    def _expel(self, session: Session, caller: Session) -> None:
        """Its user is gone: no request of it may be executed any more."""
        session.user = self.users.default
        session.authenticated = False
        self.settle(session)
        _close(session, caller)

    @staticmethod
    def _close_listeners(sessions: Iterable[Session], after: User, caller: Session) -> None:
        """Close those of a user's sessions that listen to what the user may not hear `after` the change."""
        for session in sessions:
            own = session.subscriptions
            if own is None:
                continue
            names = [*own.channels, *own.shard_channels]
            if not all(after.allows_channel(name, is_pattern=False) for name in names) or not all(
                after.allows_channel(pattern, is_pattern=True) for pattern in own.patterns
            ):
                _close(session, caller)

    # --- sessions ------------------------------------------------------------------------------------

    @property
    def needs_login(self) -> bool:
        """Must a new connection say who it is before it may do anything?"""
        default = self.users.default
        return default.needs_password or not default.is_on

    def greet(self, session: Session) -> None:
        """A new connection, or one that was reset: the default user's."""
        session.user = self.users.default
        session.authenticated = not self.needs_login
        self.settle(session)

    def log_in(self, session: Session, name: bytes, password: bytes) -> None:
        """Make `session`, whose command asks for it, this user's. Raises WRONGPASS."""
        user = self.users.get(name)
        if user is None or not user.accepts(password):
            self._note(session, Reason.AUTH, _context(session), session.spelled(), name, session.last_command)
            raise errors.WRONGPASS
        session.user = user
        session.authenticated = True
        self.settle(session)

    def settle(self, session: Session) -> None:
        """Let the session's gates say what its user's rights are."""
        gate = session.gate & ~(GATE_AUTH | GATE_RESTRICTED)
        if not session.authenticated and self.needs_login:
            gate |= GATE_AUTH
        if session.user is not None and not session.user.is_unrestricted:
            gate |= GATE_RESTRICTED
        session.gate = gate

    def _settle_all(self) -> None:
        for session in self._worker.clients.values():
            self.settle(session)

    def _sessions(self) -> list[Session]:
        return list(self._worker.clients.values())

    def _sessions_of(self, user: User) -> list[Session]:
        return [session for session in self._sessions() if session.user is user]

    def info(self) -> dict[str, int]:
        """Fields of INFO's Stats section."""
        return {
            "acl_access_denied_auth": self.denied[Reason.AUTH],
            "acl_access_denied_cmd": self.denied[Reason.COMMAND],
            "acl_access_denied_key": self.denied[Reason.KEY],
            "acl_access_denied_channel": self.denied[Reason.CHANNEL],
        }

    # --- judging: all of these only for sessions with GATE_RESTRICTED --------------------------------

    def check(self, session: Session, command: Command, argv: Sequence[bytes]) -> None:
        """Raise NOPERM if the session's user may not execute this request."""
        denial = self._judge(session, command, argv, _context(session), command.name)
        if denial is not None:
            raise _refusal(session, denial, "NOPERM", command, argv)

    def check_in_script(self, session: Session, command: Command, argv: Sequence[bytes]) -> None:
        """The same for a command of a script that `session` has sent."""
        denial = self._judge(session, command, argv, "lua", session.last_command)
        if denial is not None:
            session.engine.reject(command.name)
            raise _refusal(session, denial, "ERR ACL failure in script:", command, argv)

    def lost_since_queued(
        self, session: Session, command: Command, argv: Sequence[bytes]
    ) -> ReplyError | None:
        """The reply to a queued command whose right was lost before EXEC; None if it still is there."""
        denial = self._judge(session, command, argv, "multi", "exec")
        if denial is None:
            return None
        session.engine.reject(command.name)
        return ReplyError(_LOST_SINCE_QUEUED + _LOST[denial.reason])

    def _judge(
        self, session: Session, command: Command, argv: Sequence[bytes], context: str, doing: str
    ) -> Denial | None:
        user = session.user
        denial = None if user is None else user.judge(command, argv)
        if denial is not None:
            whole = denial.reason is Reason.COMMAND
            what = command.name.encode() if whole else argv[denial.position]
            self._note(session, denial.reason, context, what, _name(session), doing)
        return denial

    def _note(
        self, session: Session, reason: Reason, context: str, what: bytes, username: bytes, doing: str
    ) -> None:
        self.denied[reason] += 1
        limit, now = self._worker.config.acllog_max_len, session.engine.now
        self.log.add(limit, now, reason, context, what, username, describe(session, doing))


def _refusal(
    session: Session, denial: Denial, prefix: str, command: Command, argv: Sequence[bytes]
) -> ReplyError:
    return ReplyError(f"{prefix} {one_line(denial.explain(_name(session), command.name, argv))}")


def _name(session: Session) -> bytes:
    return DEFAULT if session.user is None else session.user.name


def _context(session: Session) -> str:
    return "multi" if session.in_transaction else "toplevel"


def _close(session: Session, caller: Session) -> None:
    """Others are cut off at once; the caller still gets its reply."""
    if session is caller:
        session.closing = True
    else:
        session.link.abort()
