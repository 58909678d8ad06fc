// The data, read once: every row an object, every string in place.
const data = JSON.parse(document.getElementById("data").textContent);
const TEXT_COLUMNS = new Set([
  "name", "reapBound", "end", "why", "origin", "stopSignal", "reaped", "foldName",
  "signal", "result", "disposition", "cause", "sender",
]);

function readRows(columns, rows) {
  return rows.map((row, index) => {
    const one = { index };
    columns.forEach((column, place) => {
      one[column] = TEXT_COLUMNS.has(column) ? data.text[row[place]] : row[place];
    });
    return one;
  });
}

const lives = readRows(data.lifeColumns, data.lives);
const arrows = readRows(data.arrowColumns, data.arrows);
const marks = data.marks.map(([at, target, text]) => ({ at, target, text: data.text[text] }));
const stopSignals = new Set(data.stops.flatMap((stop) => stop.moments.map((m) => m[1])));
const notices = new Set();
for (const arrow of arrows) if (arrow.isNotice) notices.add(arrow.target);

// When a life's lane ends: gone, or to the end of the trace. Who never was a
// zombie is over with its exit, whenever the kernel freed the rest.
function lastAt(life) {
  if (life.exit !== null && life.zombieFrom === null) return life.exit;
  return life.reap ?? data.span;
}

function zombieNs(life) {
  return life.zombieFrom === null ? null : Math.max(0, lastAt(life) - life.zombieFrom);
}

function who(life) {
  return `${life.name}[${life.pid}]`;
}

function arrowKind(arrow) {
  if (arrow.isNotice) return "notice";
  if (arrow.signal === "SIGKILL") return "kill";
  return stopSignals.has(arrow.signal) ? "stop" : "other";
}

function formatDuration(ns) {
  if (ns === null) return "";
  const value = Math.abs(ns);
  const sign = ns < 0 ? "-" : "";
  if (value < 1e3) return `${sign}${value} ns`;
  if (value < 1e6) return `${sign}${(value / 1e3).toFixed(1)} \u00b5s`;
  if (value < 1e9) return `${sign}${(value / 1e6).toFixed(value < 1e8 ? 1 : 0)} ms`;
  if (value < 6e10) return `${sign}${(value / 1e9).toFixed(value < 1e10 ? 2 : 1)} s`;
  const seconds = Math.round(value / 1e9);
  if (seconds < 3600) return `${sign}${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${sign}${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${sign}${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

// Seconds from the stop's begin, with as many digits as the step asks for.
function formatRelative(at, digits = 6) {
  const seconds = (at - data.zero) / 1e9;
  return `${seconds < 0 ? "\u2212" : "+"}${Math.abs(seconds).toFixed(digits)} s`;
}

function formatUtc(at, digits = 6, withDay = false) {
  const ns = BigInt(data.beginUtcNs) + BigInt(Math.round(at));
  const iso = new Date(Number(ns / 1000000n)).toISOString();
  const rest = String(ns % 1000000000n).padStart(9, "0").slice(0, digits);
  const clock = `${iso.slice(11, 19)}${digits ? `.${rest}` : ""}`;
  return withDay ? `${iso.slice(0, 10)} ${clock}` : clock;
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("aria") || name === "role" || name.startsWith("data-")) {
      made.setAttribute(name, value);
    } else made[name] = value;
  }
  made.append(...children);
  return made;
}
