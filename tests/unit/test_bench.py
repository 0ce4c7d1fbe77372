"""The bench's data and what it makes of redis-benchmark's output. Whether it runs is seen by running it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from node.commands import TABLE
from tests.bench.forms import FULL, QUICK, USUAL
from tests.bench.measure import Sample, latencies
from tests.bench.plot import draw
from tests.bench.report import as_json, missed_bars
from tests.bench.rows import ROWS, SHAPES, Row
from tests.bench.runs import KINDS, Result, Setting
from tests.bench.weights import Weight

OF_REDIS_BENCHMARK = (
    "ping_inline ping_mbulk set get incr lpush rpush lpop rpop sadd hset spop zadd zpopmin "
    "lrange_100 lrange_300 lrange_500 lrange_600 mset xadd"
)


def test_all_rows_of_redis_benchmark_come_first() -> None:
    assert " ".join(ROWS).startswith(OF_REDIS_BENCHMARK)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.command], ids=lambda row: row.name)
def test_rows_are_commands_of_the_right_arity(row: Row) -> None:
    argv = row.argv(3)
    arity = TABLE[argv[0].lower()].arity
    assert len(argv) == arity if arity > 0 else len(argv) >= -arity
    assert ("xxx" in argv) == ("VALUE" in row.command)


def test_forms_choose() -> None:
    assert [row.name for row in USUAL.selected_rows()] == ["set", "get"]
    assert {row.name for row in QUICK.selected_rows()} == set(ROWS)
    assert {(one.pipeline, one.value_size, one.clients) for one in QUICK.settings()} == {
        (1, 64, 50),
        (16, 64, 50),
    }
    full = FULL.settings()
    assert len(full) == len(set(full))
    assert {setting.pipeline for setting in full} == {1, 16, 100}
    assert {setting.value_size for setting in full} == {3, 64, 1024}
    assert {setting.clients for setting in full} == {1, 50, 1000}
    assert {(setting.aof, setting.replica) for setting in full} >= {
        (True, True),
        (True, False),
        (False, True),
    }
    narrow = FULL.with_axes(pipelines=(2,), clients=(7,), sizes=None)
    assert {(setting.pipeline, setting.clients) for setting in narrow.settings()} == {(2, 7)}


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit, match="no such row: hgte"):
        USUAL.__class__(USUAL.extent, rows="hget,hgte").selected_rows()


def test_latencies_are_read_from_the_distribution() -> None:
    output = (
        "Latency by percentile distribution:\n0.000% <= 0.1 milliseconds (cumulative count 1)\n"
        "50.000% <= 0.5 milliseconds (cumulative count 50)\n"
        "99.219% <= 2.5 milliseconds (cumulative count 99)\n"
        "100.000% <= 7.0 milliseconds (cumulative count 100)\n\n"
        "Cumulative distribution of latencies:\n100.000% <= 0.01 milliseconds (cumulative count 100)\n"
    )
    assert latencies(output, 50.0, 99.0, 99.9) == [0.5, 2.5, 7.0]


def made_result(row: str, pipeline: int, ours: float) -> Result:
    result = Result(ROWS[row], Setting(pipeline))
    for kind, cpu in zip(KINDS, (ours, 2.0, 1.0), strict=True):
        result.samples[kind] = [Sample(1000.0, cpu, 0.1, 0.2, 0.3)]
    return result


def test_bars_are_told_by_row_and_pipeline() -> None:
    results = [made_result("get", 1, 0.9), made_result("get", 16, 0.9), made_result("hget", 16, 0.9)]
    weight = Weight(SHAPES["string"], {"shoal": 115.0, "redis": 100.0, "valkey": 120.0})
    assert missed_bars(results, [weight]) == [
        "get P=16: CPU ratio 0.90 > 0.6",
        "memory of a string: ratio 1.15 > 1.1",
    ]
    assert as_json(results, [weight])["rows"][0]["cpu"] == {"shoal": 0.9, "redis": 2.0, "valkey": 1.0}


def test_the_plot_has_a_bar_for_each_result() -> None:
    results = [made_result("get", 1, 0.9), made_result("get", 16, 5.0), made_result("hget", 16, 0.9)]
    svg = ElementTree.fromstring(draw(results))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("0.90") == 2
    assert {"get", "hget", "5.00", "pipeline 16"} <= set(texts)
