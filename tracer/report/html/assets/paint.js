// Lanes, ruler and overview. Colours come from the style sheet, so both themes are one code.
let colors = {};
let hatch = null;

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of [
    "bg", "panel", "line", "grid", "text", "dim", "accent", "pick", "alive", "alive-edge",
    "zombie", "zombie-edge", "bad", "warn", "good", "stop", "kill", "other", "notice", "grace",
    "killphase", "teardown", "release",
  ]) colors[name] = style.getPropertyValue(`--${name}`).trim();
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.fillStyle = colors.zombie;
  pen.fillRect(0, 0, 6, 6);
  pen.strokeStyle = colors["zombie-edge"];
  pen.lineWidth = 1.4;
  pen.beginPath();
  for (const x of [-6, 0, 6]) {
    pen.moveTo(x, 6);
    pen.lineTo(x + 6, 0);
  }
  pen.stroke();
  hatch = tile;
}

function openCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = '12px system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
  pen.textBaseline = "middle";
  return pen;
}

const PHASE_COLOR = { grace: "grace", kill: "killphase", teardown: "teardown", release: "release" };
const PHASE_NAME = { grace: "grace", kill: "killed", teardown: "teardown", release: "release" };

function paintBands(pen, top, height) {
  for (const stop of data.stops) {
    for (const [kind, from, to] of stop.phases) {
      pen.fillStyle = colors[PHASE_COLOR[kind]];
      const x = toX(from);
      pen.fillRect(x, top, Math.max(toX(to) - x, 1), height);
    }
  }
}

function clipPlot(pen, top, height) {
  pen.save();
  pen.beginPath();
  pen.rect(labelWidth, top, plotWidth, height);
  pen.clip();
}

// Two lines of names and the ribbon below them; nothing of it where there is no stop.
const RIBBON_TOP = data.stops.length ? 32 : -18;
const RULER_HEIGHT = RIBBON_TOP + 56;

function paintRuler(canvas, width) {
  const pen = openCanvas(canvas, width, RULER_HEIGHT);
  const { all, digits } = ticks();
  pen.fillStyle = colors.dim;
  pen.textAlign = "right";
  const stops = data.stops.length;
  const isNarrow = labelWidth < 220;
  const phase = isNarrow ? "phase" : "phase of the stop";
  pen.fillText(stops ? phase : "", labelWidth - 10, RIBBON_TOP + 9.5);
  pen.fillText(isNarrow ? "seconds" : `seconds from ${data.zeroText}`, labelWidth - 10, RIBBON_TOP + 30);
  pen.fillText("UTC", labelWidth - 10, RIBBON_TOP + 46);
  clipPlot(pen, 0, RULER_HEIGHT);
  pen.textAlign = "center";
  for (const at of all) {
    const x = toX(at);
    pen.fillStyle = colors.line;
    pen.fillRect(x, RULER_HEIGHT - 4, 1, 4);
    if (x < labelWidth + 36 || x > labelWidth + plotWidth - 36) continue;
    pen.fillStyle = colors.text;
    pen.fillText(formatRelative(at, digits), x, RIBBON_TOP + 30);
    pen.fillStyle = colors.dim;
    pen.fillText(formatUtc(at, Math.min(digits, 9)), x, RIBBON_TOP + 46);
  }
  paintPhases(pen);
  paintMoments(pen);
  pen.restore();
}

function paintPhases(pen) {
  for (const stop of data.stops) {
    for (const [kind, from, to] of stop.phases) {
      const x = Math.max(toX(from), labelWidth);
      const end = Math.min(toX(to), labelWidth + plotWidth);
      if (end <= labelWidth || x >= labelWidth + plotWidth) continue;
      pen.fillStyle = colors[PHASE_COLOR[kind]];
      pen.fillRect(x, RIBBON_TOP, Math.max(end - x, 1), 18);
      const long = `${PHASE_NAME[kind]} ${formatDuration(to - from)}`;
      const text = [long, PHASE_NAME[kind]].find((t) => pen.measureText(t).width + 8 < end - x);
      if (!text) continue;
      pen.fillStyle = colors.text;
      pen.textAlign = "center";
      pen.fillText(text, (x + end) / 2, RIBBON_TOP + 9.5);
    }
  }
}

function paintMoments(pen) {
  const free = [-Infinity, -Infinity];
  for (const stop of data.stops) {
    for (const [at, text, isKill] of stop.moments) {
      const x = toX(at);
      if (x < labelWidth - 1 || x > labelWidth + plotWidth + 1) continue;
      pen.fillStyle = momentColor(text, isKill);
      const width = pen.measureText(text).width;
      const left = x + width + 6 > labelWidth + plotWidth ? x - width - 5 : x + 5;
      const line = free.findIndex((until) => left >= until);
      pen.fillRect(x - 0.5, line < 1 ? 2 : 18, 1.5, RIBBON_TOP + (line < 1 ? 16 : 0));
      if (line < 0) continue;
      pen.textAlign = "left";
      pen.fillText(text, left, 9 + line * 14);
      free[line] = left + width + 8;
      // A line drawn later must not cross a name.
      if (line === 0) free[1] = Math.max(free[1], x + 2);
    }
  }
}

function momentColor(text, isKill) {
  if (isKill) return colors.kill;
  return text.startsWith("SIG") ? colors.stop : colors.dim;
}

function paintOverview(canvas, width) {
  const height = 40;
  const pen = openCanvas(canvas, width, height);
  pen.fillStyle = colors.dim;
  pen.textAlign = "right";
  pen.fillText("whole trace", labelWidth - 10, 12);
  pen.fillText(formatDuration(data.span), labelWidth - 10, 28);
  const kept = { ...window_ };
  showAll();
  clipPlot(pen, 0, height);
  paintBands(pen, 0, height);
  paintCounts(pen, everyone, 4, height - 8);
  Object.assign(window_, kept);
  const [from, to] = [kept.from, kept.to].map(overviewX);
  pen.fillStyle = colors.accent;
  pen.globalAlpha = 0.1;
  pen.fillRect(from, 0, to - from, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = colors.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(from + 0.75, 0.75, Math.max(to - from - 1.5, 2), height - 1.5);
  pen.restore();
}

const everyone = steps(lives.filter((life) => !life.isOutside));

function overviewX(at) {
  return labelWidth + ((at + data.span * BEFORE) / (data.span * (1 + BEFORE + AFTER))) * plotWidth;
}

function overviewTime(x) {
  return data.span * (((x - labelWidth) / plotWidth) * (1 + BEFORE + AFTER) - BEFORE);
}

// How many live, and on top how many are zombies; nothing shorter than a pixel is missed.
function paintCounts(pen, counts, top, height) {
  const perPixel = nsPerPixel();
  const most = Math.max(counts.born.length, 1);
  const scale = height / most;
  const atLeast = (count) => (count ? Math.max(count * scale, 1.5) : 0);
  const bottom = top + height;
  const stripes = pen.createPattern(hatch, "repeat");
  for (let x = labelWidth; x < labelWidth + plotWidth; x += 1) {
    const from = toTime(x);
    if (from > data.span) break;
    const to = from + perPixel;
    const alive = countBelow(counts.born, to) - countBelow(counts.died, from);
    const zombie = countBelow(counts.turned, to) - countBelow(counts.gone, from);
    const high = Math.min(atLeast(alive), height);
    if (alive) {
      pen.fillStyle = colors.alive;
      pen.fillRect(x, bottom - high, 1, high);
    }
    if (zombie) {
      const more = Math.min(atLeast(zombie), height);
      const edge = Math.max(bottom - high - more, top);
      pen.fillStyle = stripes;
      pen.fillRect(x, edge, 1, more);
      pen.fillStyle = colors["zombie-edge"];
      pen.fillRect(x, edge, 1, 1);
    }
  }
}

// Before the trace began, and after it ended, nothing was seen.
function shadeUntraced(pen, height) {
  pen.fillStyle = colors.line;
  pen.globalAlpha = 0.45;
  pen.fillRect(labelWidth, 0, toX(0) - labelWidth, height);
  pen.fillRect(toX(data.span), 0, Math.max(labelWidth + plotWidth - toX(data.span), 0), height);
  pen.globalAlpha = 1;
}

function paintLanes(pen, width, height, scroll, selected) {
  clipPlot(pen, 0, height);
  paintBands(pen, 0, height);
  shadeUntraced(pen, height);
  pen.fillStyle = colors.grid;
  for (const at of ticks().all) pen.fillRect(Math.round(toX(at)), 0, 1, height);
  for (const stop of data.stops) {
    for (const [at, text, isKill] of stop.moments) {
      pen.fillStyle = momentColor(text, isKill);
      pen.globalAlpha = 0.55;
      pen.fillRect(toX(at) - 0.5, 0, 1, height);
      pen.globalAlpha = 1;
    }
  }
  pen.restore();
  for (let n = rowAt(scroll)?.index ?? 0; n < rows.length && rows[n].y < scroll + height; n += 1) {
    const row = rows[n];
    const y = row.y - scroll;
    if (row.kind === "scope") {
      pen.fillStyle = colors.panel;
      pen.fillRect(0, y, width, row.height);
      continue;
    }
    if (row === selected) {
      pen.fillStyle = colors.pick;
      pen.globalAlpha = 0.6;
      pen.fillRect(labelWidth, y, plotWidth, row.height);
      pen.globalAlpha = 1;
    }
    pen.fillStyle = colors.grid;
    pen.fillRect(0, y + row.height - 1, width, 1);
    clipPlot(pen, y, row.height);
    if (row.kind === "fold") paintFold(pen, row, y);
    else paintLife(pen, row.life, y + row.height / 2);
    pen.restore();
  }
}

function paintFold(pen, row, y) {
  if (!row.isOpen) paintCounts(pen, row.steps, y + 4, row.height - 8);
  const last = Math.max(...row.members.map((life) => Math.min(lastAt(life), data.span)));
  const end = row.members[0].end;
  paintEnd(pen, `${row.members.length} \u00d7 ${end}`, toX(last), y + row.height / 2, row.members[0]);
}

function paintLife(pen, life, y) {
  if (life.isOutside) {
    paintOutside(pen, life, y);
    return;
  }
  const from = toX(Math.max(life.begin ?? window_.from, window_.from - nsPerPixel() * 20));
  const until = Math.min(aliveUntil(life), data.span);
  const last = toX(Math.min(lastAt(life), data.span));
  if (life.wasZombie) {
    zombieBar(pen, toX(Math.min(window_.from, 0)) - 20, last, y, 10);
    paintEnd(pen, life.end, last, y, life);
    return;
  }
  const to = Math.max(toX(Math.min(until, window_.to + nsPerPixel() * 20)), from + 1.5);
  bar(pen, from, to, y, colors.alive, colors["alive-edge"]);
  if (life.zombieFrom !== null && life.exit !== null) {
    // Exited, its parent not notified yet: PID 1 waits here for its namespace.
    pen.fillStyle = colors["alive-edge"];
    pen.fillRect(to, y - 1, Math.max(toX(life.zombieFrom) - to, 0), 2);
  }
  if (life.leaderExit !== null) zombieBar(pen, toX(life.leaderExit), to, y + 2, 5);
  if (life.zombieFrom !== null) zombieBar(pen, toX(life.zombieFrom), toX(lastAt(life)), y, 10);
  if (life.exit !== null) paintDeath(pen, life, toX(life.exit), y);
  paintEnd(pen, life.end, Math.max(last, to), y, life);
}

function bar(pen, from, to, y, fill, edge) {
  pen.fillStyle = fill;
  pen.fillRect(from, y - 5, to - from, 10);
  pen.fillStyle = edge;
  pen.fillRect(from, y - 5, 1.5, 10);
}

function zombieBar(pen, from, to, y, height) {
  const left = Math.max(from, -10);
  const right = Math.min(to, labelWidth + plotWidth + 10);
  if (right < left) return;
  pen.fillStyle = pen.createPattern(hatch, "repeat");
  pen.fillRect(left, y - height / 2, Math.max(right - left, 1.5), height);
  pen.strokeStyle = colors["zombie-edge"];
  pen.lineWidth = 1;
  pen.strokeRect(left + 0.5, y - height / 2 + 0.5, Math.max(right - left - 1, 0.5), height - 1);
}

// Shape as well as colour: a cross was killed, a diamond failed, a dot ended well.
function paintDeath(pen, life, x, y) {
  pen.lineWidth = 2;
  if (life.endKind === "killed" || life.endKind === "stopped") {
    pen.strokeStyle = life.endKind === "killed" ? colors.kill : colors.stop;
    pen.beginPath();
    pen.moveTo(x - 4, y - 4);
    pen.lineTo(x + 4, y + 4);
    pen.moveTo(x + 4, y - 4);
    pen.lineTo(x - 4, y + 4);
    pen.stroke();
    return;
  }
  pen.fillStyle = life.endKind === "failed" ? colors.warn : colors.good;
  pen.beginPath();
  if (life.endKind === "failed") {
    pen.moveTo(x, y - 5);
    pen.lineTo(x + 5, y);
    pen.lineTo(x, y + 5);
    pen.lineTo(x - 5, y);
  } else pen.arc(x, y, 3.5, 0, 7);
  pen.fill();
}

function endColor(life) {
  return colors[{ killed: "kill", stopped: "stop", failed: "warn" }[life.endKind] || "dim"];
}

function paintEnd(pen, text, x, y, life) {
  if (!text || x < labelWidth - 40) return;
  const width = pen.measureText(text).width;
  const edge = labelWidth + plotWidth;
  if (x > edge + 40) return;
  const left = x + 9 + width > edge ? Math.min(x, edge) - width - 8 : x + 9;
  halo(pen, text, left, y, endColor(life), "left");
}

function halo(pen, text, x, y, color, align) {
  pen.textAlign = align;
  const width = pen.measureText(text).width;
  pen.fillStyle = colors.bg;
  pen.globalAlpha = 0.88;
  pen.beginPath();
  pen.roundRect(align === "right" ? x - width - 3 : x - 3, y - 8, width + 6, 16, 3);
  pen.fill();
  pen.globalAlpha = 1;
  pen.fillStyle = color;
  pen.fillText(text, x, y + 0.5);
}

function paintOutside(pen, life, y) {
  const from = toX(Math.max(life.begin ?? window_.from, window_.from));
  pen.strokeStyle = colors.dim;
  pen.lineWidth = 1;
  pen.setLineDash([2, 4]);
  pen.beginPath();
  pen.moveTo(Math.max(from, labelWidth), y + 0.5);
  pen.lineTo(labelWidth + plotWidth, y + 0.5);
  pen.stroke();
  pen.setLineDash([]);
}
