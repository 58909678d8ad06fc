// Time and pixels. The window into time is [from, to], ns from the trace's begin.
let labelWidth = 270;
const MIN_WINDOW = 2000;
// Room around the trace: to its right for what is written behind the ends.
const BEFORE = 0.02;
const AFTER = 0.13;
const window_ = { from: 0, to: data.span };
let plotWidth = 800;

function layOut(width) {
  labelWidth = Math.min(270, Math.max(130, Math.round(width * 0.27)));
  plotWidth = Math.max(width - labelWidth, 60);
}

const toX = (at) => labelWidth + ((at - window_.from) / (window_.to - window_.from)) * plotWidth;
const toTime = (x) => window_.from + ((x - labelWidth) / plotWidth) * (window_.to - window_.from);
const nsPerPixel = () => (window_.to - window_.from) / plotWidth;

function showWindow(from, to) {
  const low = -data.span * BEFORE;
  const high = data.span * (1 + AFTER);
  const width = Math.min(Math.max(to - from, MIN_WINDOW), high - low);
  const middle = (from + to) / 2;
  window_.from = Math.min(Math.max(middle - width / 2, low), high - width);
  window_.to = window_.from + width;
}

function zoom(factor, around = (window_.from + window_.to) / 2) {
  showWindow(around - (around - window_.from) * factor, around + (window_.to - around) * factor);
}

function pan(part) {
  const by = (window_.to - window_.from) * part;
  showWindow(window_.from + by, window_.to + by);
}

function showAll() {
  showWindow(-data.span, data.span * 3);
}

function showStop(stop) {
  const end = stop.end ?? data.span;
  const width = Math.max(end - stop.begin, MIN_WINDOW);
  showWindow(stop.begin - width * 0.25, end + width * 0.25);
}

// At first: all of it, unless the stops are too small a part of it to be seen.
function showFirst() {
  showAll();
  if (!data.stops.length) return;
  const from = Math.min(...data.stops.map((stop) => stop.begin));
  const to = Math.max(...data.stops.map((stop) => stop.end ?? data.span));
  const hasZombies = data.zombies.length > 0;
  if (!hasZombies && to - from < data.span * 0.08) {
    const width = Math.max(to - from, MIN_WINDOW);
    showWindow(from - width * 0.25, to + width * 0.25);
  }
}

// Round steps of about 100 pixels.
function ticks() {
  const rough = nsPerPixel() * 100;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const digits = Math.min(9, Math.max(0, Math.ceil(9 - Math.log10(step) - 1e-9)));
  const first = Math.ceil((window_.from - data.zero) / step) * step + data.zero;
  const all = [];
  for (let at = first; at <= window_.to; at += step) all.push(at);
  return { all, digits };
}
