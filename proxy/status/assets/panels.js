// What stands beside the map and the table: the figures above, hottest slots, migrations, events.

import { bytes, clock, count, duration, element, list, micros, show } from "./format.js";

const REMEMBERED = 90;
const past = { ops: [], p99: [] };

export function showState(told) {
  const { cluster } = told;
  const missing = 16384 - cluster.slots;
  const troubles = [];
  if (missing) troubles.push(`${missing} slots not served`);
  if (cluster.not_ok) troubles.push(`${cluster.not_ok} of ${told.nodes.length} nodes not well`);
  const text = told.problem || troubles.join(", ") || "All slots served";
  const bad = Boolean(told.problem || troubles.length);
  const pill = document.getElementById("state");
  if (pill.textContent !== text) pill.textContent = text;  // or it would be read out each second
  pill.className = `pill ${bad ? "bad" : "good"}`;
  document.title = bad ? `! ${text} – shoal` : "shoal";
}

export function showFigures(told) {
  const { cluster, proxy } = told;
  const worst = Math.max(-1, ...told.nodes.map((node) => node.p99_us ?? -1));
  remember(past.ops, cluster.ops_per_second);
  remember(past.p99, proxy.p99_us ?? 0);
  const moving = told.migrations.reduce((sum, each) => sum + each.slots, 0);
  show(document.getElementById("figures"),
    figure("Operations/s", count(cluster.ops_per_second),
      `at this proxy: ${count(proxy.ops_per_second)}`, past.ops),
    figure("p99 at this proxy", micros(proxy.p99_us),
      `p50 ${micros(proxy.p50_us)}; in nodes ${micros(worst < 0 ? null : worst)}`, past.p99),
    figure("Keys", count(cluster.keys), `${cluster.slots} slots${moving ? `, ${moving} moving` : ""}`),
    figure("Memory", bytes(cluster.memory_bytes), "of all nodes"),
    figure("Nodes", `${cluster.primaries} + ${cluster.replicas}`,
      `primaries + replicas${cluster.not_ok ? `, ${cluster.not_ok} not well` : ""}`),
    figure("Clients here", count(proxy.clients), `port ${proxy.port}, epoch ${cluster.epoch}`),
  );
}

export function showHot(rows) {
  const otherwise = rows === null
    ? "Not counted: CONFIG SET cluster-slot-stats-enabled yes lets workers count."
    : "None has work to speak of.";
  show(document.getElementById("hot"), list((rows ?? []).map((row) => element("li", {},
    element("span", { class: "figure" },
      row.ops_per_second === null ? "" : `${count(row.ops_per_second)}/s · `, `${row.cpu_percent} % CPU`),
    `${row.slot} `, place(row.address))), otherwise));
}

export function showMoves(told) {
  const going = told.migrations.map((row) => element("li", {},
    element("span", { class: "figure" }, progress(row)),
    `${row.slots} slots `, place(row.from), " → ", place(row.to), element("div", { class: "quiet" }, row.state)));
  const ended = told.ended_migrations.map((row) => element("li", {},
    element("time", {}, clock(row.at)), `${row.slots} slots `, place(row.from), " → ", place(row.to),
    element("div", { class: row.state === "success" ? "quiet" : "" }, row.message || row.state)));
  show(document.getElementById("moves"), list([...going, ...ended], "No slot is moving."));
}

export function showEvents(events) {
  show(document.getElementById("events"), list(
    events.map((each) => element("li", {}, element("time", {}, clock(each.at)), ...sentence(each))),
    "Nothing has happened since this proxy started."));
}

function sentence(each) {
  const node = place(each.node);
  const other = place(each.other);
  switch (each.what) {
    case "failover": {
      const waited = each.waited_seconds === null
        ? "No request had to wait." : `Requests waited for ${duration(each.waited_seconds)}.`;
      return [element("b", {}, "Failover: "), other, " took over from ", node,
        element("div", { class: "quiet" }, `${each.slots} slots. ${waited}`)];
    }
    case "moved": return [`${each.slots} slots moved from `, node, " to ", other];
    case "unserved": return [element("b", {}, `${each.slots} slots not served`), ", which were of ", node];
    case "served": return [`${each.slots} slots served by `, other];
    case "failed": return [node, " has failed"];
    case "back": return [node, " is back"];
    case "joined": return [node, " has joined"];
    default: return [node, " has left"];
  }
}

function progress(row) {
  if (row.sent_bytes === null) return "";
  return row.bytes_per_second === null ? bytes(row.sent_bytes)
    : `${bytes(row.sent_bytes)}, ${bytes(row.bytes_per_second)}/s`;
}

function place(address) {
  return element("span", { class: "place" }, address ?? "nobody");
}

function figure(name, value, detail, values) {
  const box = element("div", {}, element("dt", {}, name),
    element("dd", {}, value, element("small", {}, detail)));
  if (values && values.length > 1) box.append(curve(values));
  return box;
}

function curve(values) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", `0 0 ${REMEMBERED - 1} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const most = 1.2 * Math.max(...values) || 1;
  const start = REMEMBERED - values.length;
  const points = values.map((value, index) => `${start + index},${97 - (value / most) * 94}`);
  const line = document.createElementNS(space, "polyline");
  line.setAttribute("points", points.join(" "));
  const area = document.createElementNS(space, "polygon");
  area.setAttribute("points", [`${start},100`, ...points, `${REMEMBERED - 1},100`].join(" "));
  svg.append(area, line);
  return svg;
}

function remember(values, value) {
  values.push(value);
  if (values.length > REMEMBERED) values.shift();
}
