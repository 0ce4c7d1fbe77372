// The table of nodes: each primary with its replicas below it, unless it is sorted by a figure.

import { colourOf, swatch } from "./colours.js";
import { bytes, count, duration, element, micros, show } from "./format.js";

const COLUMNS = [
  { name: "Node", words: true },
  { name: "State", words: true },
  { name: "Slots", value: (row) => row.slots, shown: (row) => row.slots || "" },
  { name: "Keys", value: (row) => row.keys, shown: (row) => count(row.keys) },
  { name: "Ops/s", value: (row) => row.ops_per_second, shown: (row) => count(row.ops_per_second) },
  { name: "p50", value: (row) => row.p50_us, shown: (row) => micros(row.p50_us), hint: "of commands" },
  { name: "p99", value: (row) => row.p99_us, shown: (row) => micros(row.p99_us), hint: "of commands" },
  { name: "Ping", value: (row) => row.ping_ms, shown: (row) => micros(round(row.ping_ms)), hint: "with waiting" },
  { name: "CPU", value: (row) => row.cpu_percent, shown: (row) => percent(row.cpu_percent) },
  { name: "Memory", value: (row) => row.memory_bytes, shown: (row) => bytes(row.memory_bytes) },
  { name: "Lag", value: (row) => row.lag_bytes, shown: (row) => (row.role === "replica" ? bytes(row.lag_bytes) : ""),
    hint: "bytes behind the primary" },
  { name: "Offset", value: (row) => row.offset, shown: (row) => count(row.offset), hint: "of replication" },
  { name: "Up", value: (row) => row.uptime_seconds,
    shown: (row) => (row.uptime_seconds === undefined ? "–" : duration(row.uptime_seconds)) },
];

export class NodesTable {
  // `emphasize` is called with the id of the shard that the pointer or the focus is at, or null.
  constructor(emphasize) {
    this.rows = document.getElementById("rows");
    this.find = document.getElementById("find");
    this.nodes = [];
    this.sorted = null;
    this.heads = COLUMNS.map((column) => this.head(column));
    document.getElementById("columns").replaceChildren(...this.heads);
    this.find.addEventListener("input", () => this.draw());
    this.rows.addEventListener("pointerover", (event) => {
      const row = event.target.closest("tr");
      emphasize(row?.dataset.shard ?? null);
    });
    this.rows.addEventListener("pointerleave", () => emphasize(null));
  }

  head(column) {
    const button = element("button", { type: "button", title: column.hint ?? null }, column.name);
    button.addEventListener("click", () => {
      this.sorted = column.words || this.sorted === column ? null : column;
      this.draw();
    });
    return element("th", { scope: "col", class: column.words ? "words" : null }, button);
  }

  take(nodes) {
    this.nodes = nodes;
    this.draw();
  }

  draw() {
    this.heads.forEach((head, index) => {
      if (COLUMNS[index] === this.sorted) head.setAttribute("aria-sort", "descending");
      else head.removeAttribute("aria-sort");
    });
    const words = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.order().filter((row) => words.every((word) => wordsOf(row).includes(word)));
    const none = element("td", { class: "words quiet", colspan: COLUMNS.length }, "None is like that.");
    show(this.rows, ...(shown.length ? shown.map((row) => this.line(row)) : [element("tr", {}, none)]));
  }

  order() {
    if (this.sorted) {
      const value = (row) => this.sorted.value(row) ?? -1;
      return [...this.nodes].sort((a, b) => value(b) - value(a));
    }
    const first = (row) => row.primary ?? row.address;
    const text = (row) => `${padded(first(row))} ${row.role} ${padded(row.address)}`;
    return [...this.nodes].sort((a, b) => (text(a) < text(b) ? -1 : 1));
  }

  line(row) {
    const shard = row.primary_id ?? row.id;
    const replica = row.role === "replica";
    const below = replica && !this.sorted;
    const cells = COLUMNS.map((column) => {
      if (column.name === "Node") return nodeCell(row, shard, below);
      if (column.name === "State") return element("td", { class: "words" }, ...flags(row));
      return element("td", {}, String(column.shown(row)));
    });
    const kind = `${below ? "replica" : "first"}`;
    return element("tr", { class: kind, "data-shard": shard, "data-id": row.id }, ...cells);
  }
}

function nodeCell(row, shard, below) {
  const mark = below ? "" : swatch(colourOf(shard));
  const title = `${row.role} ${row.id}, epoch ${row.epoch}${row.version ? `, ${row.version}` : ""}`;
  return element("td", { class: "node", title }, mark, row.address);
}

function flags(row) {
  const found = [];
  const good = row.state === "ok" && row.in_sync !== false && !row.loading;
  if (row.state === "failed") found.push(["bad", "failed"]);
  else if (row.state !== "ok") found.push(["bad", row.state]);
  if (row.loading) found.push(["warn", "loading"]);
  if (row.state === "ok" && row.in_sync === false) found.push(["warn", "not in sync"]);
  if (good) found.push(["good", row.role]);
  for (const flag of row.flags) found.push(["warn", flag === "fail?" ? "suspected" : flag]);
  return found.map(([kind, text]) => element("span", { class: `flag ${kind}` }, text));
}

function wordsOf(row) {
  const sync = row.in_sync === false ? "not in sync" : "";
  const words = [row.address, row.id, row.role, row.state, sync, row.primary ?? "", ...row.flags];
  return words.join(" ").toLowerCase();
}

// Numbers in addresses compare as numbers.
function padded(text) {
  return text.replace(/\d+/g, (number) => number.padStart(5, "0"));
}

function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(value)} %`;
}

function round(ms) {
  return ms === undefined ? undefined : Math.round(ms * 1000);
}
