"""One line of a log, of a worker, a proxy or a supervisor, as `log-format` and `log-timestamp-format` say.

    legacy   6875:M 22 Nov 2026 17:36:41.240 * Ready to accept connections tcp
    logfmt   pid=6875 role=primary timestamp="22 Nov 2026 17:36:41.240" level=notice message="Ready …"
    json     {"pid": 6875, "role": "primary", "timestamp": "22 Nov 2026 17:36:41.240", "level": …}

The first is Redis', the second Valkey's; the third has the fields of the second. The role is M for a primary,
S for a replica, C for a process that is still starting or a saving child, P for a proxy. The mark of the
level is `.` debug, `-` verbose, `*` notice, `#` warning. Timestamps are `legacy`, `iso8601` (local time, with
its offset), or `milliseconds` (since 1970).

A message is one line, and bounded, so that no client can fill the disk with one.
"""

from __future__ import annotations

import json
import time
from typing import Final, NamedTuple

FORMATS: Final = ("legacy", "logfmt", "json")
TIMESTAMPS: Final = ("legacy", "iso8601", "milliseconds")
MARKS: Final = ".-*#"
LEVEL_WORDS: Final = ("debug", "info", "notice", "warning")
ROLES: Final = {"M": "primary", "S": "replica", "C": "RDB/AOF", "P": "proxy", "U": "supervisor"}
MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MAX_LINE: Final = 1024
"""Characters of a message; longer ones are cut."""
_SAFE_IN_QUOTES: Final = str.maketrans({'"': "'", "\n": " ", "\r": " "})


class LineFormat(NamedTuple):
    form: str = "legacy"
    timestamps: str = "legacy"

    def line(self, pid: int, role: str, level: int, now: float, message: str, longest: int = MAX_LINE) -> str:
        """`role`: its letter; `level`: 0 debug to 3 warning; `now`: Unix seconds."""
        at = self._timestamp(now)
        if self.form == "legacy":
            text = message.replace("\n", "\\n")[:longest]
            return f"{pid}:{role} {at} {MARKS[level]} {text}"
        message, role = message[:longest], ROLES.get(role, role)
        if self.form == "logfmt":
            text = message.translate(_SAFE_IN_QUOTES)
            return f'pid={pid} role={role} timestamp="{at}" level={LEVEL_WORDS[level]} message="{text}"'
        fields = {"pid": pid, "role": role, "timestamp": at, "level": LEVEL_WORDS[level], "message": message}
        return json.dumps(fields)

    def _timestamp(self, now: float) -> str:
        milliseconds = int(now * 1000)
        if self.timestamps == "milliseconds":
            return str(milliseconds)
        at, part = time.localtime(now), f"{milliseconds % 1000:03}"
        if self.timestamps == "iso8601":
            minutes = at.tm_gmtoff // 60
            offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
            return f"{time.strftime('%Y-%m-%dT%H:%M:%S', at)}.{part}{offset}"
        date = f"{at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year}"
        return f"{date} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}.{part}"
