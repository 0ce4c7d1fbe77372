"""INFO of several workers as one: counts and bytes are added up, and each kind of field by its own rule.

* whole numbers are added; `…_human` is said anew from the sum
* switches, shares and durations (see `_greatest`): the greatest; moments of success: the earliest
* `…_status`: the first that is not `ok`
* `name=value,name=value`: value by value, means weighted by what they are means of
* other words, such as a policy: the first worker's
"""

from __future__ import annotations

from collections.abc import Iterable

Fields = dict[str, str]
Sections = dict[str, Fields]


def parse(text: str) -> Sections:
    """Section title -> field -> value."""
    sections: Sections = {}
    fields: Fields = {}
    for line in text.splitlines():
        if line.startswith("# "):
            fields = sections.setdefault(line[2:], {})
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value
    return sections


def merged(reports: Iterable[Sections]) -> Sections:
    columns: dict[str, dict[str, list[str]]] = {}
    for report in reports:
        for title, fields in report.items():
            section = columns.setdefault(title, {})
            for name, value in fields.items():
                section.setdefault(name, []).append(value)
    return {title: _section(section) for title, section in columns.items()}


def _section(columns: dict[str, list[str]]) -> Fields:
    fields = {name: _field(name, values) for name, values in columns.items()}
    for name in fields:
        base = fields.get(name.removesuffix("_human"), "")
        if name.endswith("_human") and base.isdigit():
            fields[name] = human(int(base))
    return fields


def _field(name: str, values: list[str]) -> str:
    if "=" in values[0]:
        return _compound(values)
    if name.endswith("_status"):
        return next((value for value in values if value != "ok"), "ok")
    numbers = [number for number in map(_number, values) if number is not None]
    if len(numbers) < len(values):
        return values[0]
    if name == "rdb_last_save_time":
        return str(min(numbers))
    if _greatest(name) or any(isinstance(number, float) for number in numbers):
        return max(values, key=float)
    return str(sum(numbers))


def _greatest(name: str) -> bool:
    """Is this a switch, a state, a duration or a share, of which there is no sum? Or what all have?"""
    return name in ("number_of_libraries", "number_of_functions") or name.endswith(
        ("loading", "_enabled", "_in_progress", "_scheduled", "_sec", "_usec", "_running", "_age", "_perc",
         "_ratio", "_time", "_active")
    )  # fmt: skip


def _compound(values: list[str]) -> str:
    """`keys=1,expires=0,avg_ttl=0`, `calls=1,usec=3,usec_per_call=3.00,…`, `count=2`, `p50=1.0,p99=2.0`."""
    rows = [dict(part.partition("=")[::2] for part in value.split(",")) for value in values]
    total: dict[str, str] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        column = [row[name] for row in rows if name in row]
        numbers = [_number(value) for value in column]
        if name == "avg_ttl":
            total[name] = _mean([(row["avg_ttl"], row["expires"]) for row in rows])
        elif all(isinstance(number, int) for number in numbers):
            total[name] = str(sum(number for number in numbers if number is not None))
        elif None not in numbers:
            total[name] = max(column, key=float)
        else:
            total[name] = column[0]
    if "usec_per_call" in total and int(total["calls"]):
        total["usec_per_call"] = f"{int(total['usec']) / int(total['calls']):.2f}"
    return ",".join(f"{name}={value}" for name, value in total.items())


def _mean(weighted: list[tuple[str, str]]) -> str:
    weight = sum(int(count) for _, count in weighted)
    return str(sum(int(value) * int(count) for value, count in weighted) // weight if weight else 0)


def _number(value: str) -> int | float | None:
    try:
        return int(value)
    except ValueError:
        try:
            return float(value)
        except ValueError:
            return None


def human(size: int) -> str:
    """Bytes as INFO writes them for people: 846.47K."""
    amount = float(size)
    for unit in "BKMGT":
        if amount < 1024 or unit == "T":
            break
        amount /= 1024
    return f"{size}B" if unit == "B" else f"{amount:.2f}{unit}"
