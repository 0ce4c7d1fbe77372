// One colour for each shard, and two ramps for heat. A shard keeps its colour for as long as the page is open,
// whoever of it is the primary.

const RAMPS = {
  light: [[234, 239, 240], [196, 222, 220], [128, 182, 184], [234, 172, 84], [164, 30, 60]],
  dark: [[32, 43, 48], [28, 66, 74], [44, 116, 122], [230, 160, 70], [255, 232, 168]],
};
const scheme = window.matchMedia("(prefers-color-scheme: dark)");
const numbers = new Map();
const primaries = new Map();
let used = 0;

export function isDark() {
  return scheme.matches;
}

export function onSchemeChange(react) {
  scheme.addEventListener("change", react);
}

// `nodes` as status.json has them.
export function assignColours(nodes) {
  const serving = nodes.filter((node) => node.role === "primary");
  for (const node of serving) {
    if (numbers.has(node.id)) continue;
    const former = primaries.get(node.id);
    const heir = former && numbers.has(former) && !serving.some((each) => each.id === former && each.slots);
    numbers.set(node.id, heir ? numbers.get(former) : used++);
  }
  for (const node of nodes) {
    if (node.primary_id) { primaries.set(node.id, node.primary_id); numbers.delete(node.id); }
  }
}

export function colourOf(id) {
  if (!numbers.has(id)) return [128, 140, 145];
  const number = numbers.get(id);
  const hue = (192 + number * 137.508) % 360;
  const lightness = [0.5, 0.62, 0.4][number % 3] + (isDark() ? 0.02 : 0);
  return fromHsl(hue, 0.42, lightness);
}

// `share` from 0 to 1.
export function heatColour(share) {
  const ramp = RAMPS[isDark() ? "dark" : "light"];
  const place = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
  const first = Math.min(Math.floor(place), ramp.length - 2);
  const part = place - first;
  return ramp[first].map((from, index) => Math.round(from + (ramp[first + 1][index] - from) * part));
}

export function css([red, green, blue]) {
  return `rgb(${red}, ${green}, ${blue})`;
}

// A small square. The policy of the page allows no style attributes, but attributes of SVG.
export function swatch(colour) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  const square = document.createElementNS(space, "rect");
  square.setAttribute("width", "1");
  square.setAttribute("height", "1");
  square.setAttribute("fill", css(colour));
  svg.append(square);
  const holder = document.createElement("span");
  holder.className = "swatch";
  holder.append(svg);
  return holder;
}

function fromHsl(hue, saturation, lightness) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (offset) => {
    const turn = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(turn - 3, 9 - turn, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}
