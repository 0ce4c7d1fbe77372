"""The rows of the matrix: which client, how its program is made and called, and what it must recite."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"

EXPECTED = {
    "ping": "PONG",
    "binary": b"a\0\r\n\xff$*".hex(),
    "missing": "nil",
    "pipeline": "1000",
    "hash": "a=1,b=2",
    "list": "1,2,3",
    "zset": "one=1,two=2.5",
    "set": "x,y",
    "transaction": "OK,2",
    "script": "seven,8",
    "error": "WRONGTYPE",
    "ttl": "100",
    "queue": "job",
    "mget": "1,nil,3",
    "big": str(1 << 20),
    "spread": "500",
    "pubsub": "hello",
}
"""What a program says of what it tried: 1,000 pipelined INCR, BLPOP of a queue, 500 keys over all slots, …"""

EVERYWHERE = ("worker", "cluster", "proxy")
UNCLUSTERED = ("worker", "proxy")
CACHED = "{'hello': ['wörld', 1]} 50 False 42 default"


@dataclass(frozen=True)
class Client:
    """`call`: the words before MODE, in the directory `programs/`. `{build}` is where `make` puts things."""

    language: str
    library: str
    call: tuple[str, ...]
    modes: tuple[str, ...] = UNCLUSTERED
    protocols: tuple[int, ...] = (2,)
    make: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    without: str = ""
    """Lines it does not say: the library has no such thing, or others of its language try it."""
    without_in_cluster: str = ""
    says: dict[str, str] | None = None
    """Instead of `EXPECTED`."""

    def expected(self, mode: str) -> dict[str, str]:
        left_out = {*self.without.split(), *(self.without_in_cluster.split() if mode == "cluster" else ())}
        said = EXPECTED if self.says is None else self.says
        assert left_out <= said.keys()
        return {name: value for name, value in said.items() if name not in left_out}


def _python(library: str, program: str, **more: object) -> Client:
    return Client("Python", library, (sys.executable, f"python/{program}.py"), **more)  # type: ignore[arg-type]


def _framework(library: str, program: str, modes: tuple[str, ...] = UNCLUSTERED, **says: str) -> Client:
    return _python(library, program, modes=modes, says=says)


def _compiled(language: str, library: str, name: str, *command: str, **more: object) -> Client:
    return Client(language, library, (f"{{build}}/{name}",), make=command, **more)  # type: ignore[arg-type]


GO = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": "{build}/gocache", "GOFLAGS": ""}

CLIENTS = (
    _python("redis-py", "redis_py", modes=EVERYWHERE, protocols=(2, 3)),
    _python(
        "valkey-py",
        "redis_py",
        modes=EVERYWHERE,
        protocols=(3,),
        environment={"CLIENT_MODULE": "valkey"},
        without_in_cluster="transaction",
    ),
    _python(
        "redis-py on asyncio",
        "redis_py_asyncio",
        modes=EVERYWHERE,
        protocols=(2, 3),
        without="hash list zset set transaction script mget big pubsub",
    ),
    _python(
        "coredis",
        "coredis_client",
        modes=EVERYWHERE,
        protocols=(3,),
        without="pipeline transaction script queue mget big pubsub",
    ),
    _python(
        "valkey-glide",
        "glide_client",
        modes=EVERYWHERE,
        protocols=(3,),
        without="pipeline transaction queue mget big pubsub",
    ),
    Client("Node.js", "ioredis", ("node", "node/ioredis.js"), EVERYWHERE, without="mget"),
    Client(
        "Node.js",
        "iovalkey",
        ("node", "node/ioredis.js"),
        EVERYWHERE,
        environment={"CLIENT_MODULE": "iovalkey"},
        without="mget",
    ),
    Client(
        "Node.js", "node-redis", ("node", "node/node_redis.js"), EVERYWHERE, (2, 3), without="binary mget"
    ),
    Client(
        "PHP",
        "phpredis",
        ("php", "php/phpredis.php"),
        EVERYWHERE,
        without="pubsub",
        without_in_cluster="pipeline",
    ),
    Client(
        "PHP",
        "Predis",
        ("php", "php/predis.php"),
        EVERYWHERE,
        without="pubsub",
        without_in_cluster="ping pipeline transaction",
    ),
    Client(
        "Ruby",
        "redis-rb",
        ("ruby", "ruby.rb"),
        EVERYWHERE,
        without_in_cluster="pipeline transaction pubsub",
    ),
    Client("Perl", "Redis", ("perl", "perl.pl")),
    Client("Perl", "Redis::Fast", ("perl", "perl.pl"), environment={"CLIENT_MODULE": "Redis::Fast"}),
    Client("Lua", "redis-lua", ("lua5.1", "lua.lua")),
    Client(
        "Erlang",
        "eredis",
        ("escript", "erlang.escript"),
        without="hash zset set script ttl queue mget big pubsub",
    ),
    _compiled(
        "Go",
        "redigo, redisc",
        "go_client",
        *("sh", "-c", "cd go && go build -o {build}/go_client ."),
        modes=EVERYWHERE,
        environment=GO,
        without="ttl queue mget big",
        without_in_cluster="ping pipeline binary missing transaction script hash zset set pubsub",
    ),
    _compiled(
        "C",
        "hiredis",
        "hiredis",
        *("gcc", "-Wall", "-Wextra", "-Werror", "-o", "{build}/hiredis", "hiredis.c", "-lhiredis"),
        without="set queue mget big",
    ),
    _compiled(
        "Objective-C",
        "hiredis",
        "objective_c",
        *("gcc", "-std=gnu11", "-o", "{build}/objective_c", "objective_c.m", "-lobjc", "-lhiredis"),
        without="binary pipeline hash list zset set transaction script error queue mget big pubsub",
    ),
    _compiled(
        "C++",
        "Poco::Redis",
        "poco",
        *("g++", "-o", "{build}/poco", "poco.cpp", "-lPocoRedis", "-lPocoNet", "-lPocoFoundation"),
        without="pipeline hash zset set transaction script ttl queue mget big pubsub",
    ),
    _framework("Celery", "celery_tasks", task="5", group="[0, 2, 4, 6, 8]", chord="20"),
    # Its transactions touch keys of several slots, which no cluster can do.
    _framework("RQ", "rq_jobs", modes=("worker",), job="5", failed="failed"),
    _framework("Django", "django_cache", django=CACHED, django_redis=CACHED, lock="False", pattern="100"),
    _framework(
        "redis-py's locks, limits, aiocache",
        "small_libraries",
        locks="80",
        FixedWindowRateLimiter="5",
        MovingWindowRateLimiter="5",
        SlidingWindowCounterRateLimiter="5",
        aiocache="['1', '2', None] 5",
    ),
)
