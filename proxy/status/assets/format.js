// Numbers and times as people read them, and elements: text is always set as text, never as markup.

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e9) return `${digits(value / 1e9)} G`;
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  if (value >= 1e4) return `${digits(value / 1e3)} k`;
  return value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit ? digits(value) : value} ${units[unit]}`;
}

export function micros(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e6) return `${digits(value / 1e6)} s`;
  return value >= 1000 ? `${digits(value / 1000)} ms` : `${value} µs`;
}

export function duration(seconds) {
  if (seconds < 120) return `${seconds < 10 ? digits(seconds) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export function clock(unix) {
  const then = new Date(unix * 1000);
  const today = then.toDateString() === new Date().toDateString();
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return today ? time : `${then.toLocaleDateString([], { month: "short", day: "numeric" })} ${time}`;
}

function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function list(rows, otherwise) {
  return rows.length ? element("ul", {}, ...rows) : element("p", { class: "quiet" }, otherwise);
}

// Shows these in `holder`, unless somebody is selecting what it shows, perhaps to copy an address.
export function show(holder, ...children) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && holder.contains(selection.anchorNode)) return;
  holder.replaceChildren(...children);
}
