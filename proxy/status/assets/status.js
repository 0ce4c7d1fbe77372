// Asks for the figures while somebody looks, and hands them to the parts of the page.

import { onSchemeChange } from "./colours.js";
import { NodesTable } from "./nodes_table.js";
import { showEvents, showFigures, showHot, showMoves, showState } from "./panels.js";
import { SlotMap } from "./slot_map.js";

const SLOTS_EVERY = 2;
const PATIENCE = 8000;
const map = new SlotMap();
const table = new NodesTable((shard) => map.emphasize(shard));
const notice = document.getElementById("notice");
let turn = 0;
let last = null;
let heard = 0;

async function fetched(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function look() {
  const told = await fetched("status.json");
  const slots = turn++ % SLOTS_EVERY === 0 ? await fetched("slots.json") : null;
  last = told;
  heard = Date.now();
  map.takeNodes(told.nodes);
  if (slots) map.takeSlots(slots);
  table.take(told.nodes);
  showState(told);
  showFigures(told);
  showHot(told.hot_slots);
  showMoves(told);
  showEvents(told.events);
}

async function keepLooking() {
  let pause = 1000;
  if (document.visibilityState === "visible") {
    try {
      await look();
      notice.hidden = true;
      document.body.dataset.turns = turn;
    } catch (error) {
      notice.textContent = "The proxy does not answer; what is shown is old.";
      notice.hidden = false;
    }
    pause = Math.max(1000, (last?.period ?? 1) * 1000);
  }
  setTimeout(keepLooking, pause);
}

function showAge() {
  const seconds = last ? Math.round((Date.now() - heard) / 1000) : null;
  document.getElementById("freshness").textContent = seconds === null ? "" : `as of ${seconds} s ago`;
}

onSchemeChange(() => { map.draw(); if (last) table.take(last.nodes); });
setInterval(showAge, 1000);
keepLooking();
