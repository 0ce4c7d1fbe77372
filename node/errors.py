"""Every error a client of a worker can see, in the field's own words.

An error is raised as `ReplyError` (or returned as a reply value, which is the same to the client):
its text is what follows the `-` on the wire, prefix included. Constants are for fixed texts, functions
for texts with an argument. The words are those of Redis 7.2 and later, because clients match on them.
"""

from __future__ import annotations


class ReplyError(Exception):
    """An error reply. `text` is the whole line after `-`: prefix (`ERR`, `WRONGTYPE`, ...) and words.

    `counted`: it stands in the error statistics already, where it arose, inside of a script.

    Constants are raised again and again, and each time Python adds to their traceback, frames with all their
    variables. Whoever makes a reply of one therefore takes it `with_traceback(None)`.
    """

    def __init__(self, text: str, *, counted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.counted = counted

    @property
    def raw(self) -> bytes:
        """The text as the bytes that a client sent and gets back, whether or not they are UTF-8."""
        return self.text.encode("utf-8", "surrogateescape")


WRONGTYPE = ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")
SYNTAX = ReplyError("ERR syntax error")
NOT_AN_INTEGER = ReplyError("ERR value is not an integer or out of range")
NOT_A_FLOAT = ReplyError("ERR value is not a valid float")
OUT_OF_RANGE = ReplyError("ERR value is out of range")
MUST_BE_POSITIVE = ReplyError("ERR value is out of range, must be positive")
NO_SUCH_KEY = ReplyError("ERR no such key")
SAME_OBJECT = ReplyError("ERR source and destination objects are the same")
INDEX_OUT_OF_RANGE = ReplyError("ERR index out of range")
INCREMENT_OVERFLOW = ReplyError("ERR increment or decrement would overflow")
NAN_OR_INFINITY = ReplyError("ERR increment would produce NaN or Infinity")
STRING_TOO_LONG = ReplyError("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
BIT_OFFSET = ReplyError("ERR bit offset is not an integer or out of range")
BIT_VALUE = ReplyError("ERR bit is not an integer or out of range")
BUSYKEY = ReplyError("BUSYKEY Target key name already exists.")
NOAUTH = ReplyError("NOAUTH Authentication required.")
WRONGPASS = ReplyError("WRONGPASS invalid username-password pair or user is disabled.")
NOPROTO = ReplyError("NOPROTO unsupported protocol version")
INVALID_CURSOR = ReplyError("ERR invalid cursor")
DB_INDEX_OUT_OF_RANGE = ReplyError("ERR DB index is out of range")
INVALID_DB_INDEX = ReplyError("ERR invalid DB index")
OOM = ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
LOADING = ReplyError("LOADING Redis is loading the dataset in memory")
READONLY = ReplyError("READONLY You can't write against a read only replica.")
NOREPLICAS = ReplyError("NOREPLICAS Not enough good replicas to write.")
MISCONF = ReplyError(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report "
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
    "Redis logs for details about the RDB error."
)
MONITORS_ACCESS_NO_KEYS = ReplyError("ERR Replica can't interact with the keyspace")
SHUTDOWN_FAILED = ReplyError("ERR Errors trying to SHUTDOWN. Check logs.")
NO_MULTI = ReplyError("ERR Command not allowed inside a transaction")
MAX_CLIENTS = ReplyError("ERR max number of clients reached")
PROTECTED_MODE = ReplyError(
    "DENIED Redis is running in protected mode because protected mode is enabled and no password is set "
    "for the default user. In this mode connections are only accepted from the loopback interface. If you "
    "want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just "
    "disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface "
    "by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not "
    "publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) "
    "Alternatively you can just disable the protected mode by editing the Redis configuration file, and "
    "setting the protected mode option to 'no', and then restarting the server. 3) If you started the server "
    "manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an "
    "authentication password for the default user. NOTE: You only need to do one of the above things in "
    "order for the server to start accepting connections from the outside."
)
BUSY_SCRIPT = ReplyError(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
)
BUSY_FUNCTION = ReplyError(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)
MASTERDOWN = ReplyError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
UNBLOCKED_BY_CLIENT = ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK")
UNBLOCKED_BY_ROLE = ReplyError(
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)
EXECABORT = ReplyError("EXECABORT Transaction discarded because of previous errors.")
NESTED_MULTI = ReplyError("ERR MULTI calls can not be nested")
WATCH_INSIDE_MULTI = ReplyError("ERR WATCH inside MULTI is not allowed")
EXEC_WITHOUT_MULTI = ReplyError("ERR EXEC without MULTI")
DISCARD_WITHOUT_MULTI = ReplyError("ERR DISCARD without MULTI")
CROSSSLOT = ReplyError("CROSSSLOT Keys in request don't hash to the same slot")
TRYAGAIN = ReplyError("TRYAGAIN Multiple keys request during rehashing of slot")
CLUSTERDOWN = ReplyError("CLUSTERDOWN The cluster is down")
CLUSTERDOWN_UNBOUND = ReplyError("CLUSTERDOWN Hash slot not served")
CLUSTERDOWN_READONLY = ReplyError("CLUSTERDOWN The cluster is down and only accepts read commands")
NO_CONFIG_FILE = ReplyError("ERR The server is running without a config file")
CLUSTER_DISABLED = ReplyError("ERR This instance has cluster support disabled")
BAD_DUMP_PAYLOAD = ReplyError("ERR DUMP payload version or checksum are wrong")
BAD_DATA_FORMAT = ReplyError("ERR Bad data format")


def wrong_arity(command: str) -> ReplyError:
    """`command` as the table names it: lower case, subcommands as `config|get`."""
    return ReplyError(f"ERR wrong number of arguments for '{command}' command")


def unknown_command(argv: list[bytes]) -> ReplyError:
    """Name and leading arguments are echoed, cut to 128 bytes, with control characters replaced."""
    name = _printable(argv[0][:128])
    shown = ""
    for arg in argv[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{_printable(arg[: 128 - len(shown)])}' "
    return ReplyError(f"ERR unknown command '{name}', with args beginning with: {shown}")


def unknown_subcommand(container: str, subcommand: bytes) -> ReplyError:
    return ReplyError(
        f"ERR unknown subcommand '{_printable(subcommand[:128])}'. Try {container.upper()} HELP."
    )


def bad_subcommand_arguments(container: str, subcommand: str) -> ReplyError:
    """Of a subcommand whose arity the table leaves open."""
    return ReplyError(
        f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. "
        f"Try {container.upper()} HELP."
    )


def not_for_subscribers(command: str) -> ReplyError:
    return ReplyError(
        f"ERR Can't execute '{command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
        "allowed in this context"
    )


def invalid_expire(command: str) -> ReplyError:
    return ReplyError(f"ERR invalid expire time in '{command}' command")


def transaction_discarded(reason: ReplyError) -> ReplyError:
    """EXEC itself was refused."""
    return ReplyError(f"EXECABORT Transaction discarded because of: {reason.text.removeprefix('ERR ')}")


def config_set_unknown(name: str) -> ReplyError:
    return ReplyError(f"ERR Unknown option or number of arguments for CONFIG SET - '{one_line(name)}'")


def config_set_failed(name: str, reason: str) -> ReplyError:
    return ReplyError(
        f"ERR CONFIG SET failed (possibly related to argument '{one_line(name)}') - {one_line(reason)}"
    )


def moved(slot: int, host: str, port: int) -> ReplyError:
    return ReplyError(f"MOVED {slot} {host}:{port}")


def ask(slot: int, host: str, port: int) -> ReplyError:
    return ReplyError(f"ASK {slot} {host}:{port}")


def one_line(text: str | bytes) -> str:
    """Text of a client that may stand inside an error line."""
    if isinstance(text, bytes):
        return _printable(text)
    return text.replace("\r", " ").replace("\n", " ")


def _printable(raw: bytes) -> str:
    """Client bytes that may stand inside an error line: CR and LF would break the protocol, and Redis, which
    writes C strings, stops at NUL."""
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")


def redirect(host: str, port: int) -> ReplyError:
    """Valkey's, outside of clusters: our primary is there."""
    return ReplyError(f"REDIRECT {host}:{port}")
