"""The bench's data, what it makes of samples, and a short run of all its parts beside the real servers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from redis.crc import key_slot

from node.commands import TABLE
from tests.bench.bars import judge
from tests.bench.bus_bench import messages_per_second
from tests.bench.forms import BARS, FULL, QUICK, USUAL, estimate
from tests.bench.measure import Sample, latencies
from tests.bench.plot import draw
from tests.bench.record import Record
from tests.bench.results import PARTS, Calls, Result, Setting
from tests.bench.rows import ROWS, Row
from tests.bench.runs import Extent, Task, measure
from tests.bench.scale_bench import plan, tag
from tests.bench.servers import KINDS, slots_of
from tests.bench.shapes import SHAPES
from tests.bench.system_calls import can_count
from tests.bench.weights import Weight

OF_REDIS_BENCHMARK = (
    "ping_inline ping_mbulk set get incr lpush rpush lpop rpop sadd hset spop zadd zpopmin "
    "lrange_100 lrange_300 lrange_500 lrange_600 mset xadd"
)
SHORTEST = Extent(keys=100, rounds=1, seconds=0.001, open_seconds=0.05)


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
    assert {task.row.name for task in QUICK.tasks()} == set(ROWS)
    assert {(task.part, task.setting) for task in QUICK.tasks()} == {
        ("rows", Setting(1)),
        ("rows", Setting(16)),
    }
    full = FULL.tasks()
    settings = {task.setting for task in full if task.part == "rows"}
    assert len(full) == len({task.key for task in full})
    assert {setting.pipeline for setting in settings} == {1, 16, 100}
    assert {setting.value_size for setting in settings} == {3, 64, 1024}
    assert {setting.clients for setting in settings} == {1, 50, 1000}
    assert {setting.server for setting in settings} == {
        (aof, replica) for aof in (False, True) for replica in (False, True)
    }
    assert {task.setting.value_size for task in full if task.row.name == "incr"} == {64}
    narrow = replace(FULL, parts=("rows",)).with_axes(pipelines=(2,), clients=(7,), sizes=None)
    assert {(task.setting.pipeline, task.setting.clients) for task in narrow.tasks()} == {(2, 7)}


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit, match="no such row: hgte"):
        replace(USUAL, rows="hget,hgte").selected_rows()


def test_what_is_promised_takes_a_quarter_of_an_hour() -> None:
    assert 5 < estimate(BARS.tasks(), BARS.selected_shapes(), BARS.extent) / 60 < 15


def test_the_bus_on_paper_is_what_the_simulation_counts() -> None:
    for members, counted in ((6, 2.0), (20, 3.35), (50, 6.81), (100, 9.93)):
        assert messages_per_second(members, 15000) == pytest.approx(counted, rel=0.05)
    for members, counted in ((20, 11.3), (50, 26.0), (100, 46.2)):
        assert messages_per_second(members, 5000) == pytest.approx(counted, rel=0.13)


def test_workers_and_their_loads_have_cpus_of_their_own_while_there_are_enough() -> None:
    assert plan(2, [0, 1, 2, 3]) == [(0, 2), (1, 3)]
    assert plan(1, [4, 7]) == [(4, 7)]
    assert plan(4, [0, 1]) == [(0, 1), (1, 0), (0, 1), (1, 0)]
    for number in range(4):
        first, last = slots_of(number, 4)
        assert first <= key_slot(tag(number, 4).encode()) <= last


def test_latencies_are_read_from_the_distribution() -> None:
    output = (
        "Latency by percentile distribution:\n0.000% <= 0.1 milliseconds (cumulative count 1)\n"
        "50.000% <= 0.5 milliseconds (cumulative count 50)\n"
        "99.219% <= 2.5 milliseconds (cumulative count 99)\n"
        "100.000% <= 7.0 milliseconds (cumulative count 100)\n\n"
        "Cumulative distribution of latencies:\n100.000% <= 0.01 milliseconds (cumulative count 100)\n"
    )
    assert latencies(output, 50.0, 99.0, 99.9) == [0.5, 2.5, 7.0]


def made_result(row: str, pipeline: int, *cpus: float, throughput: float = 1000.0) -> Result:
    """Ours takes `cpus`, a round each; Redis 2.0 and Valkey 1.0."""
    result = Result(ROWS[row], Setting(pipeline))
    for kind, each in zip(KINDS, (cpus, [2.0] * len(cpus), [1.0] * len(cpus)), strict=True):
        ours = throughput if kind == "shoal" else 1000.0
        result.samples[kind] = [Sample(ours, cpu, 0.1, 0.2, 0.3) for cpu in each]
    return result


def test_bars_are_judged_by_row_and_pipeline() -> None:
    results = [
        made_result("get", 1, 0.9),
        made_result("get", 16, 0.9, 0.8, 0.7),
        made_result("hget", 16, 0.9, 0.99, 1.05),
        made_result("zadd", 16, 0.9, 1.01, 1.05, throughput=900.0),
    ]
    weight = Weight(SHAPES["string"], {"shoal": 115.0, "redis": 100.0, "valkey": 120.0})
    unjudged = replace(SHAPES["set of 10"], bar=None)
    states = {
        (one.title, one.name): one.state for one in judge(results, [weight, Weight(unjudged, {"shoal": 9.0})])
    }
    assert states == {
        ("CPU, pipeline 1", "get"): "met",
        ("CPU, pipeline 16, GET, SET and INCR", "get"): "missed",
        ("CPU, pipeline 16, every other row", "hget"): "met",
        ("CPU, pipeline 16, every other row", "zadd"): "open",
        ("throughput, pipeline 1", "get"): "met",
        ("throughput, pipeline 16", "get"): "met",
        ("throughput, pipeline 16", "hget"): "met",
        ("throughput, pipeline 16", "zadd"): "missed",
        ("memory per key, at most 1.1", "string"): "missed",
    }


def test_nothing_is_judged_that_no_bar_is_about() -> None:
    results = [made_result("get", 100, 2.0)]
    results += [replace(made_result("get", 1, 2.0), setting=Setting(clients=1000))]
    assert judge(results, []) == []


def test_the_plot_has_a_bar_for_each_result() -> None:
    results = [made_result("get", 1, 0.9), made_result("get", 16, 5.0), made_result("hget", 16, 0.9)]
    svg = ElementTree.fromstring(draw(results))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("0.90") == 2
    assert {"get", "hget", "5.00", "pipeline 16"} <= set(texts)


def test_a_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    weight = Weight(SHAPES["string"], {"shoal": 115.0, "redis": 100.0, "valkey": 120.0})
    calls = Result(ROWS["get"], Setting(), "calls", {kind: [Calls(2.0)] for kind in KINDS})
    record = Record(path, QUICK.extent)
    for each in (made_result("get", 16, 0.9, 0.8), calls, weight):
        record.add(each)

    again = Record(path, QUICK.extent)
    tasks = [task for task in QUICK.tasks() if again.has(task)]
    assert [task.key for task in tasks] == [("rows", "get", Setting(16))]
    assert again.results(tasks) == record.results(tasks)
    assert again.has(Task("calls", ROWS["get"], Setting())) and again.has("string")
    assert again.weights() == [weight]
    assert json.loads(path.read_text())["rows"][0]["cpu"]["shoal"] == pytest.approx(0.85)
    with pytest.raises(SystemExit, match=r"of another run \(its extent differ"):
        Record(path, FULL.extent)


def test_each_part_is_measured_beside_the_real_servers() -> None:
    parts = [part for part in PARTS if part != "calls" or can_count()]
    tasks = [Task(part, ROWS["get"], Setting(pipeline=4, clients=3)) for part in parts]
    tasks.append(Task("latency", ROWS["lpop"], Setting(clients=2)))
    found = {result.key: result for result in measure(tasks, SHORTEST, [])}
    assert set(found) == {task.key for task in tasks}
    for kind in KINDS:
        (hard,) = found["rows", "get", tasks[0].setting].samples[kind]
        assert hard.throughput > 0 and hard.cpu > 0 and hard.p50 <= hard.p99 <= hard.p999
        for task in tasks:
            if task.part == "latency":
                (easy,) = found[task.key].samples[kind]
                assert easy.throughput > 0 and 0 < easy.p50 <= easy.p99 <= easy.p999
