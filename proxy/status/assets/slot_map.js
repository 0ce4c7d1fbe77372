// The picture of the 16384 slots: a pixel each, 128 in a row, made large by the browser. So drawing all of them
// takes a millisecond. The cursor is an element of its own above it.

import { assignColours, colourOf, css, heatColour, isDark, swatch } from "./colours.js";
import { count, element } from "./format.js";

const SIDE = 128;
const SLOTS = SIDE * SIDE;
const LEGEND_MOST = 60;
const SHADES = 255;
const UNSERVED = { light: [208, 47, 58], dark: [240, 82, 92] };

export class SlotMap {
  constructor() {
    this.canvas = document.getElementById("slots");
    this.cursor = document.getElementById("cursor");
    this.readout = document.getElementById("slot");
    this.legend = document.getElementById("legend");
    this.owners = new Array(SLOTS).fill(null);
    this.moving = new Map();
    this.told = { keys: null, load: null, load_unit: null };
    this.nodes = new Map();
    this.shown = "owner";
    this.emphasis = null;
    this.slot = null;
    this.canvas.addEventListener("pointermove", (event) => this.point(this.slotAt(event)));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("keydown", (event) => this.walk(event));
    this.canvas.addEventListener("blur", () => this.point(null));
    for (const choice of document.querySelectorAll("input[name=colours]")) {
      choice.addEventListener("change", () => { this.shown = choice.value; this.draw(); });
      if (choice.checked) this.shown = choice.value;
    }
  }

  takeNodes(nodes) {
    assignColours(nodes);
    this.nodes = new Map(nodes.map((node) => [node.id, node]));
  }

  takeSlots(told) {
    this.told = told;
    this.owners.fill(null);
    for (const [first, last, id] of told.owners) this.owners.fill(id, first, last + 1);
    this.moving = new Map();
    for (const [first, last, id] of told.moving) {
      for (let slot = first; slot <= last; slot += 1) this.moving.set(slot, id);
    }
    this.draw();
  }

  // Let one owner's slots stand out; null: none.
  emphasize(id) {
    if (this.emphasis === id) return;
    this.emphasis = id;
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    const colour = this.colours();
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const of = colour(slot);
      const place = slot * 4;
      image.data[place] = of[0];
      image.data[place + 1] = of[1];
      image.data[place + 2] = of[2];
      image.data[place + 3] = this.isFaint(slot) ? 60 : 255;
    }
    context.putImageData(image, 0, 0);
    this.tell();
    this.legend.replaceChildren(...this.legendItems());
  }

  isFaint(slot) {
    return this.emphasis !== null && this.owners[slot] !== this.emphasis;
  }

  // A function: slot → colour.
  colours() {
    const unserved = UNSERVED[isDark() ? "dark" : "light"];
    const values = this.shown === "owner" ? null : this.told[this.shown];
    if (this.shown !== "owner") {
      const end = top(values) || 1;
      const ramp = Array.from({ length: SHADES + 1 }, (_, shade) => heatColour(shade / SHADES));
      return (slot) => {
        if (this.owners[slot] === null) return unserved;
        return ramp[values ? Math.round(SHADES * Math.sqrt((values[slot] ?? 0) / end)) : 0];
      };
    }
    const known = new Map();
    const bright = isDark() ? [255, 255, 255] : [20, 26, 30];
    return (slot) => {
      const id = this.owners[slot];
      if (id === null) return unserved;
      if (this.moving.has(slot) && (slot + (slot >> 7)) % 2) return bright;
      if (!known.has(id)) known.set(id, colourOf(id));
      return known.get(id);
    };
  }

  legendItems() {
    const items = this.shown === "owner" ? this.ownerItems() : [this.rampItem()];
    const lost = this.owners.reduce((sum, id) => sum + (id === null), 0);
    if (lost) items.push(item(swatch(UNSERVED[isDark() ? "dark" : "light"]), `not served: ${lost}`));
    if (this.moving.size) items.push(item(`moving: ${this.moving.size} (chequered)`));
    return items;
  }

  ownerItems() {
    const serving = [...this.nodes.values()].filter((node) => node.slots);
    const items = serving.slice(0, LEGEND_MOST).map((node) =>
      item(swatch(colourOf(node.id)), element("span", { class: "place" }, node.address), ` ${node.slots}`));
    if (serving.length > LEGEND_MOST) items.push(item(`and ${serving.length - LEGEND_MOST} more`));
    return items;
  }

  rampItem() {
    const values = this.told[this.shown];
    if (!values) {
      return item("Load is not counted: CONFIG SET cluster-slot-stats-enabled yes lets workers count it.");
    }
    const ramp = element("canvas", { width: 64, height: 1, role: "img", "aria-label": "from little to much" });
    const context = ramp.getContext("2d");
    for (let column = 0; column < 64; column += 1) {
      context.fillStyle = css(heatColour(column / 63));
      context.fillRect(column, 0, 1, 1);
    }
    return element("li", { class: "ramp" }, "0", ramp, `${count(top(values))} ${this.unit()}`);
  }

  unit() {
    if (this.shown === "keys") return "keys";
    return this.told.load_unit === "us/s" ? "µs of CPU a second" : "requests a second";
  }

  slotAt(event) {
    const frame = this.canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - frame.left) / frame.width) * SIDE);
    const row = Math.floor(((event.clientY - frame.top) / frame.height) * SIDE);
    return column < 0 || row < 0 || column >= SIDE || row >= SIDE ? null : row * SIDE + column;
  }

  walk(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE, Home: -SLOTS, End: SLOTS };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = this.slot === null ? 0 : this.slot + steps[event.key];
    this.point(Math.min(Math.max(next, 0), SLOTS - 1));
  }

  point(slot) {
    this.slot = slot;
    this.cursor.hidden = slot === null;
    if (slot !== null) {
      this.cursor.style.left = `${((slot % SIDE) / SIDE) * 100}%`;
      this.cursor.style.top = `${(Math.floor(slot / SIDE) / SIDE) * 100}%`;
    }
    this.tell();
  }

  tell() {
    const slot = this.slot;
    if (slot === null) {
      this.readout.replaceChildren(element("span", { class: "quiet" }, "Point at a slot, or go there by arrow keys."));
      return;
    }
    const owner = this.nodes.get(this.owners[slot]);
    const target = this.nodes.get(this.moving.get(slot));
    const parts = [element("b", {}, `Slot ${slot}`), " · ", owner ? owner.address : "not served"];
    if (this.moving.has(slot)) parts.push(` → ${target ? target.address : this.moving.get(slot)}`);
    const { keys, load, load_unit: unit } = this.told;
    if (keys && keys[slot] !== null) parts.push(` · ${count(keys[slot])} keys`);
    if (load && load[slot] !== null) {
      parts.push(` · ${count(load[slot])} ${unit === "us/s" ? "µs/s of CPU" : "requests/s"}`);
    }
    this.readout.replaceChildren(...parts);
  }
}

function item(...children) {
  return element("li", {}, ...children);
}

// The end of the scale, on which roots are drawn, so that the lesser are seen, too. Where all slots are much alike, none of them is shown as hot.
function top(values) {
  if (!values) return 0;
  let [most, sum, known] = [0, 0, 0];
  for (const value of values) {
    if (value === null) continue;
    most = Math.max(most, value);
    sum += value;
    known += 1;
  }
  return Math.max(most, (6 * sum) / Math.max(known, 1));
}
