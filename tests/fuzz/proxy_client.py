"""One client of the fuzz of order and isolation: does what it likes, and knows what it must be answered.

Everything it writes is a token that names it: `owner:what:number`. So a reply that belongs to somebody else,
or to another request, cannot go unnoticed. Errors are right only where a worker hung up or its connection
could not be made; whether a request with such an answer took effect is not known, so a value that is read may
be any that was written since the last one that was confirmed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL, NULL_ARRAY, NULL_BULK, Error, Push, Simple, encode

Check = Callable[[Any], bool]
Words = tuple[str | int, ...]

NOTHING = (NULL, NULL_BULK, NULL_ARRAY)
HUNG_UP = ("ERR upstream connection lost", "CLUSTERDOWN upstream")


class WrongReply(AssertionError):
    """A reply that this request cannot have."""


def hung_up(reply: Any) -> bool:
    return isinstance(reply, Error) and reply.text.startswith(HUNG_UP)


class FuzzClient:
    """`round` does one random thing and raises WrongReply, EOFError or TimeoutError if that goes wrong."""

    def __init__(self, proxy: ShoalProxy, name: int, population: int, seed: int) -> None:
        self.proxy = proxy
        self.name = name
        self.population = population
        self.rng = random.Random(f"{seed}:{name}")
        self.number = 0
        self.confirmed: dict[str, int] = {}
        self.received: list[bytes] = []
        """Elements taken from the own queue."""
        self.errors = 0
        self.connect()

    def connect(self) -> None:
        self.protocol = self.rng.choice((2, 3))
        self.link = self.proxy.resp(self.protocol, timeout=30)
        self.listening = False

    def close(self) -> None:
        self.link.close()

    def round(self) -> None:
        actions = [
            (self.pipeline, 6), (self.transaction, 4), (self.watch, 3), (self.wait, 3), (self.give, 3),
            (self.take, 3), (self.listen, 3), (self.publish, 3), (self.leave, 1), (self.reset, 1),
        ]  # fmt: skip
        (action,) = self.rng.choices([each for each, _ in actions], [weight for _, weight in actions])
        action()

    # Saying and hearing

    def token(self, what: str) -> str:
        self.number += 1
        return f"{self.name}:{what}:{self.number}"

    def say(self, *exchanges: tuple[Words, Check]) -> list[Any]:
        """Send all requests in one piece or several, read and check the replies."""
        raw = b"".join(encode(*words) for words, _ in exchanges)
        while raw:
            part = self.rng.choice((len(raw), self.rng.randrange(1, len(raw) + 1)))
            self.link.send(raw[:part])
            raw = raw[part:]
        replies = []
        for words, right in exchanges:
            reply = self.hear()
            self.errors += hung_up(reply)
            if not hung_up(reply) and not right(reply):
                raise WrongReply(f"client {self.name}, RESP{self.protocol}: {words} got {reply!r}")
            replies.append(reply)
        return replies

    def hear(self) -> Any:
        """The next reply. What is pushed meanwhile must be meant for this client."""
        while isinstance(frame := self.link.read(), Push):
            self.check_message(frame.items)
        return frame

    def check_message(self, items: list[Any]) -> None:
        told, own = items[0], f"to-{self.name}".encode()
        if (
            told in (b"message", b"smessage")
            and self.listening
            and items[1] == own
            and items[2].startswith(own)
        ):
            return
        raise WrongReply(f"client {self.name} was told {items}")

    # Keys of its own

    def key(self) -> str:
        return f"key:{self.name}:{self.rng.randrange(4)}"

    def write(self, key: str) -> tuple[Words, Check]:
        token = self.token(key)
        number = self.number

        def right(reply: Any) -> bool:
            self.confirmed[key] = number
            return bool(reply == Simple("OK"))

        return ("SET", key, token), right

    def is_value(self, key: str) -> Check:
        """Right for GET: written by this client to this key, and not before the last that was confirmed."""

        def right(reply: Any) -> bool:
            least = self.confirmed.get(key, 0)
            if reply in NOTHING:
                return least == 0
            owner, name, number = reply.decode().replace(key, "key").split(":")
            return (owner, name) == (str(self.name), "key") and least <= int(number) <= self.number

        return right

    def pipeline(self) -> None:
        exchanges: list[tuple[Words, Check]] = []
        for _ in range(self.rng.randrange(1, 25)):
            key, token = self.key(), self.token("echo").encode()
            other = f"none:{self.name}"
            exchanges.append(
                self.rng.choice(
                    (
                        self.write(key),
                        (("GET", key), self.is_value(key)),
                        (("ECHO", token.decode()), lambda reply, token=token: reply == token),
                        (("MGET", key, other), self.is_pair(key)),
                        (("DEL", other, f"{other}2"), lambda reply: reply == 0),
                        (
                            ("EVAL", "return ARGV[1]", 1, key, token.decode()),
                            lambda reply, t=token: reply == t,
                        ),
                        (("NONSENSE", token.decode()), lambda reply: isinstance(reply, Error)),
                    )
                )
            )
        self.say(*exchanges)

    def is_pair(self, key: str) -> Check:
        right = self.is_value(key)
        return lambda reply: bool(len(reply) == 2 and right(reply[0]) and reply[1] in NOTHING)

    # Transactions

    def transaction(self) -> None:
        """With luck one that is carried out; else one that is given up."""
        key, token = self.key(), self.token("in")
        words, _ = self.write(key)
        number = self.number
        queued = lambda reply: reply == Simple("QUEUED")  # noqa: E731
        body: list[tuple[Words, Check]] = [(words, queued), (("GET", key), queued), (("ECHO", token), queued)]
        opened = (("MULTI",), lambda reply: reply == Simple("OK"))
        if self.rng.random() < 0.2:
            self.say(opened, *body, (("DISCARD",), lambda reply: reply == Simple("OK")))
            return
        if self.rng.random() < 0.2:
            elsewhere = (("GET", f"{{other}}{key}"), lambda reply: reply.prefix == "CROSSSLOT")
            self.say(opened, *body, elsewhere, (("EXEC",), lambda reply: reply.prefix == "EXECABORT"))
            return
        expected = [Simple("OK"), str(words[2]).encode(), token.encode()]
        reply = self.say(opened, *body, (("EXEC",), lambda reply: reply == expected))[-1]
        if reply == expected:
            self.confirmed[key] = number

    def watch(self) -> None:
        """A key of its own that nobody else writes: null only if the worker hung up, or it wrote itself."""
        key = self.key()
        queued = lambda reply: reply == Simple("QUEUED")  # noqa: E731
        ok = lambda reply: reply == Simple("OK")  # noqa: E731
        if self.say((("WATCH", key), ok)) != [Simple("OK")]:
            return
        touched = self.rng.random() < 0.5 and self.say(self.write(key)) == [Simple("OK")]
        if self.rng.random() < 0.2:
            self.say((("UNWATCH",), ok))
            return
        value = self.is_value(key)
        right = lambda reply: reply in NOTHING or (not touched and len(reply) == 1 and value(reply[0]))  # noqa: E731
        self.say((("MULTI",), ok), (("GET", key), queued), (("EXEC",), right))

    # Waiting, giving and taking

    def wait(self) -> None:
        queue, token = f"own:{self.name}", self.token("queue").encode()
        if self.rng.random() < 0.5:
            nothing = lambda reply: reply in NOTHING  # noqa: E731
            self.say(
                (("BLPOP", f"never:{self.name}", "0.01"), nothing),
                (("ECHO", "x"), lambda reply: reply == b"x"),
            )
            return
        mine = lambda reply: reply in NOTHING or reply[1].startswith(b"%d:queue:" % self.name)  # noqa: E731
        pop: Words = self.rng.choice((("BLPOP", queue, "0.5"), ("BLMPOP", "0.5", 1, queue, "LEFT")))
        if pop[0] == "BLMPOP":
            mine = lambda reply: reply in NOTHING or reply[1][0].startswith(b"%d:queue:" % self.name)  # noqa: E731
        self.say((("RPUSH", queue, token.decode()), lambda reply: isinstance(reply, int)), (pop, mine))

    def give(self) -> None:
        other = self.rng.randrange(self.population)
        token = f"to-{other}/{self.token('gift')}"
        self.say((("RPUSH", f"gifts:{other}", token), lambda reply: isinstance(reply, int)))

    def take(self) -> None:
        """What others gave: nobody else may get it, and nobody twice."""

        def right(reply: Any) -> bool:
            if reply in NOTHING:
                return True
            self.received.append(reply[1])
            return bool(reply[1].startswith(b"to-%d/" % self.name))

        self.say((("BLPOP", f"gifts:{self.name}", "0.02"), right))

    # Listening

    def listen(self) -> None:
        own = f"to-{self.name}"
        shard = self.rng.random() < 0.5
        subscribe, unsubscribe = ("SSUBSCRIBE", "SUNSUBSCRIBE") if shard else ("SUBSCRIBE", "UNSUBSCRIBE")
        self.link.send_command(subscribe, own)
        self.listening = True
        reply = self.until(subscribe.lower().encode())
        if not hung_up(reply):
            for _ in range(self.rng.randrange(3)):
                token = self.token("ping").encode()
                self.link.send_command("PING", token)
                self.until(b"pong", token)
        self.link.send_command(unsubscribe, own)
        self.until(unsubscribe.lower().encode())
        self.listening = False

    def until(self, word: bytes, token: bytes | None = None) -> Any:
        """Skip messages for this client up to the confirmation `word`, or the answer to PING `token`."""
        while True:
            frame = self.link.read()
            if hung_up(frame):
                self.errors += 1
                return frame
            items = frame.items if isinstance(frame, Push) else frame
            if token is not None and items in (token, [b"pong", token]):
                return items
            if token is None and items[0] == word:
                if items[1] != f"to-{self.name}".encode():
                    raise WrongReply(f"client {self.name} was told {items}")
                return items
            self.check_message(items)

    def publish(self) -> None:
        other = self.rng.randrange(self.population)
        command = self.rng.choice(("PUBLISH", "SPUBLISH"))
        token = f"to-{other}/{self.token('news')}"
        self.say(((command, f"to-{other}", token), lambda reply: isinstance(reply, int)))

    # Leaving

    def leave(self) -> None:
        """Without waiting for replies, or in the middle of a request."""
        requests: list[Words] = [
            ("GET", self.key()), ("MGET", "a", "b", "c"), ("BLPOP", f"never:{self.name}", 0), ("MULTI",),
            ("WATCH", self.key()), ("SUBSCRIBE", f"to-{self.name}"), ("SSUBSCRIBE", f"to-{self.name}"),
            ("GET", self.key()), ("MONITOR",), ("WAIT", 1, 0),
        ]  # fmt: skip
        raw = b"".join(encode(*words) for words in self.rng.choices(requests, k=self.rng.randrange(1, 8)))
        self.link.send(raw[: self.rng.randrange(1, len(raw) + 1)])
        self.close()
        self.connect()

    def reset(self) -> None:
        """Out of whatever it is in, back to RESP2."""
        ok = lambda reply: reply == Simple("OK")  # noqa: E731
        self.say((("WATCH", self.key()), ok), (("MULTI",), ok))
        self.say((("RESET",), lambda reply: reply == Simple("RESET")))
        self.protocol = 2
        self.say((("EXEC",), lambda reply: reply == Error("ERR EXEC without MULTI")))
