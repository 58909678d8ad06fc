// The page comes to life: layout, pointer, keys, tabs.
const $ = (id) => document.getElementById(id);
const [lanes, stage, spacer, plot, labels] = ["lanes", "stage", "spacer", "plot", "labels"].map($);
let selected = null;
let isDue = false;
let painted = "";

function paint() {
  isDue = false;
  const width = lanes.clientWidth;
  layOut(width);
  const height = Math.max(lanes.clientHeight, 1);
  spacer.style.height = `${totalHeight}px`;
  stage.style.height = `${Math.min(height, Math.max(totalHeight, 1))}px`;
  labels.style.width = `${labelWidth}px`;
  labels.classList.toggle("narrow", labelWidth < 200);
  const scroll = lanes.scrollTop;
  const frame = [width, labelWidth, window_.from, window_.to, ...Object.values(colors)].join();
  if (frame !== painted) {
    painted = frame;
    paintOverview($("overview"), width);
    paintRuler($("ruler"), width);
  }
  const pen = openCanvas(plot, width, Math.min(height, Math.max(totalHeight, 1)));
  paintLanes(pen, width, height, scroll, selected);
  paintArrows(pen, height, scroll);
  placeLabels(scroll, height);
}

function refresh() {
  if (!isDue) {
    isDue = true;
    requestAnimationFrame(paint);
  }
}

function placeLabels(scroll, height) {
  const made = [];
  for (let n = rowAt(scroll)?.index ?? 0; n < rows.length && rows[n].y < scroll + height; n += 1) {
    made.push(makeLabel(rows[n], scroll));
  }
  if (!rows.length) made.push(element("p", { class: "label", textContent: "No process was seen." }));
  labels.replaceChildren(...made);
  const isThere = selected && made.some((label) => label.id === selected.id);
  if (isThere) lanes.setAttribute("aria-activedescendant", selected.id);
  else lanes.removeAttribute("aria-activedescendant");
}

function makeLabel(row, scroll) {
  const label = element("div", { id: row.id, class: `label ${row.kind}`, role: "option" });
  label.style.top = `${row.y - scroll}px`;
  label.style.height = `${row.height}px`;
  label.style.paddingLeft = `${6 + Math.min(row.depth, 8) * 13}px`;
  label.setAttribute("aria-selected", String(row === selected));
  if (row.kind === "scope") {
    label.setAttribute("role", "presentation");
    label.append(element("span", { class: "name", textContent: row.title }));
    label.title = row.sub;
    return label;
  }
  const isFold = row.kind === "fold";
  const life = row.members[0];
  label.append(element("span", { class: "twist", textContent: isFold ? (row.isOpen ? "\u25bc" : "\u25b6") : "" }));
  const name = isFold ? `${row.members.length} \u00d7 ${life.foldName}` : life.name;
  label.append(element("span", { class: "name", textContent: name }));
  if (life.isInit && !isFold) label.append(element("span", { class: "init", textContent: `PID ${life.nsPid ?? 1}` }));
  label.append(element("span", { class: "pid", textContent: isFold ? "equal fates" : life.pid }));
  label.setAttribute("aria-label", `${name}, ${isFold ? "equal fates, Enter opens" : `pid ${life.pid}`}, ${life.end}`);
  label.title = isFold ? "Equal processes drawn as one: open to see each" : who(life);
  label.addEventListener("click", (event) => {
    select(row);
    if (isFold && event.target.className === "twist") toggle(row);
  });
  label.addEventListener("dblclick", () => toggle(row));
  return label;
}

function toggle(row) {
  if (row?.kind !== "fold") return;
  setOpen(row, !row.isOpen);
  select(rows.find((each) => each.id === row.id), true);
}

function select(row, keepPanel = false) {
  if (!row || row.kind === "scope") return;
  selected = row;
  const top = row.y;
  if (top < lanes.scrollTop) lanes.scrollTop = top - HEIGHT.scope;
  else if (top + row.height > lanes.scrollTop + lanes.clientHeight) {
    lanes.scrollTop = top + row.height - lanes.clientHeight;
  }
  if (!keepPanel || !panel.hidden) describe(row);
  refresh();
}

function describe(row) {
  if (row.kind === "fold") {
    inspectFold(row, [[row.isOpen ? "Fold" : "Show each", () => toggle(row)]]);
  } else {
    const { life } = row;
    inspectLife(life, life.isOutside ? [] : [["Zoom to its life", () => {
      const from = Math.max(life.begin ?? 0, 0);
      const slack = Math.max((lastAt(life) - from) * 0.1, 1000);
      showWindow(from - slack, lastAt(life) + slack);
      refresh();
    }]]);
  }
}

function pick(item) {
  if (!(item.life >= 0)) {
    if (item.at !== undefined) centre(item.at);
    return;
  }
  spacer.style.height = "auto";
  const row = reveal(lives[item.life]);
  spacer.style.height = `${totalHeight}px`;
  if (row) select(row);
  if (item.arrow) {
    centre(item.arrow.at);
    inspectArrows({ arrows: [item.arrow] });
  }
  $("picture").scrollIntoView({ block: "nearest" });
}

function centre(at) {
  const half = (window_.to - window_.from) / 2;
  if (at < window_.from || at > window_.to) showWindow(at - half, at + half);
  refresh();
}

// --- pointer ---

function drag(canvas, onMove, onEnd) {
  canvas.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    canvas.setPointerCapture(down.pointerId);
    const start = { x: down.offsetX, y: down.offsetY, from: window_.from, to: window_.to };
    const move = (event) => onMove(event, start);
    const up = (event) => {
      canvas.removeEventListener("pointermove", move);
      canvas.classList.remove("drag");
      onEnd?.(event, start);
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", up, { once: true });
    canvas.addEventListener("pointercancel", () => canvas.removeEventListener("pointermove", move), { once: true });
  });
}

function usePointer() {
  drag(plot, (event, start) => {
    if (Math.abs(event.offsetX - start.x) < 3) return;
    plot.classList.add("drag");
    const by = ((start.x - event.offsetX) / plotWidth) * (start.to - start.from);
    showWindow(start.from + by, start.to + by);
    refresh();
  }, (event, start) => {
    if (Math.abs(event.offsetX - start.x) >= 3) return;
    const group = arrowsAt(event.offsetX, event.offsetY);
    if (group) inspectArrows(group);
    else select(rowAt(event.offsetY + lanes.scrollTop));
  });
  for (const [id, toAt] of [["ruler", toTime], ["overview", overviewTime]]) {
    drag($(id), () => {}, (event, start) => {
      const [from, to] = [toAt(start.x), toAt(event.offsetX)].sort((a, b) => a - b);
      if (Math.abs(event.offsetX - start.x) > 4) showWindow(from, to);
      else {
        const half = (window_.to - window_.from) / 2;
        showWindow(from - half, from + half);
      }
      refresh();
    });
  }
  for (const canvas of [plot, $("ruler")]) {
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY * 0.004), toTime(event.offsetX));
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        pan((event.deltaX || event.deltaY) / plotWidth);
      } else return;
      event.preventDefault();
      refresh();
    }, { passive: false });
  }
  plot.addEventListener("dblclick", (event) => {
    zoom(0.4, toTime(event.offsetX));
    refresh();
  });
  plot.addEventListener("pointermove", showTip);
  plot.addEventListener("pointerleave", () => { $("tip").hidden = true; });
}

function showTip(event) {
  const tip = $("tip");
  const text = event.buttons ? "" : tipText(event.offsetX, event.offsetY);
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const top = Math.min(event.clientY + 16, window.innerHeight - tip.offsetHeight - 8);
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

function tipText(x, y) {
  if (x < labelWidth) return "";
  const group = arrowsAt(x, y);
  const at = toTime(x);
  if (group) {
    const [arrow] = group.arrows;
    const more = group.arrows.length > 1 ? `\nand ${group.arrows.length - 1} more like it` : "";
    return `${describeArrow(arrow)}\n${formatRelative(arrow.at)}: ${arrow.result}${arrow.cause ? `; ${arrow.cause}` : ""}${more}`;
  }
  const row = rowAt(y + lanes.scrollTop);
  if (!row || row.kind === "scope" || y + lanes.scrollTop > totalHeight) return formatRelative(at);
  const mark = marks.find((each) => rowOf[each.target] === row.index && Math.abs(toX(each.at) - x) < 6);
  if (mark) return `${formatRelative(mark.at)}: ${mark.text}`;
  if (row.kind === "fold") return `${formatRelative(at)}\n${foldState(row, at)}`;
  return `${who(row.life)}\n${formatRelative(at)}: ${stateAt(row.life, at)}`;
}

function foldState(row, at) {
  const alive = countBelow(row.steps.born, at) - countBelow(row.steps.died, at);
  const zombie = countBelow(row.steps.turned, at) - countBelow(row.steps.gone, at);
  return `${alive} alive, ${zombie} zombies of ${row.members.length}`;
}

function stateAt(life, at) {
  if (life.isOutside) return "outside the target";
  if (at < 0) return "before the trace";
  if (life.begin !== null && at < life.begin) return "not born";
  if (life.zombieFrom !== null && at >= life.zombieFrom && at < lastAt(life)) return `zombie for ${life.reapBound}${formatDuration(zombieNs(life))}; ${life.end}`;
  if (at >= lastAt(life)) return at > data.span ? "the trace was over" : `gone; ${life.end}`;
  if (life.leaderExit !== null && at >= life.leaderExit) return "its first thread ended, others live";
  return "alive";
}

// --- keys ---

function useKeys() {
  lanes.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    refresh();
  });
}

function step(by) {
  let n = selected ? selected.index : by > 0 ? -1 : rows.length;
  do n += by > 0 ? 1 : -1; while (rows[n]?.kind === "scope");
  for (let left = Math.abs(by) - 1; left > 0 && rows[n + Math.sign(by)]; left -= 1) n += Math.sign(by);
  if (rows[n]?.kind === "scope") n += 1;
  if (rows[n]) select(rows[n]);
}

let stepped = -1;
function stepSignal(by) {
  const loud = arrows.filter((arrow) => !arrow.isNotice || showNotices);
  if (!loud.length) return;
  stepped = (stepped + by + loud.length) % loud.length;
  const arrow = loud[stepped];
  select(rows[rowOf[arrow.target]]);
  const half = (window_.to - window_.from) / 2;
  if (arrow.at < window_.from || arrow.at > window_.to) showWindow(arrow.at - half, arrow.at + half);
  inspectArrows({ arrows: [arrow] });
}

const KEYS = {
  ArrowDown: () => step(1), ArrowUp: () => step(-1), PageDown: () => step(10), PageUp: () => step(-10),
  Home: () => { selected = null; step(1); }, End: () => { selected = null; step(-1); },
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15),
  "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: () => showAll(),
  Enter: () => toggle(selected), " ": () => toggle(selected),
  n: () => stepSignal(1), p: () => stepSignal(-1), s: () => data.stops[0] && showStop(data.stops[0]),
  Escape: () => { panel.hidden = true; },
};

// --- the rest of the page ---

function button(text, act, properties = {}) {
  const made = element("button", { type: "button", textContent: text, ...properties });
  made.addEventListener("click", () => { act(made); refresh(); });
  return made;
}

function makeToolbar() {
  const bar = $("toolbar");
  bar.append(button("Whole trace", showAll, { title: "key 0" }));
  const named = data.stops.length > 1;
  for (const stop of data.stops.slice(0, 12)) {
    bar.append(button(named ? `Stop of ${stop.label}` : "The stop", () => showStop(stop), { title: "key s" }));
  }
  bar.append(button("\u2212", () => zoom(1 / 0.6), { title: "zoom out, key \u2212", ariaLabel: "Zoom out" }));
  bar.append(button("+", () => zoom(0.6), { title: "zoom in, key +", ariaLabel: "Zoom in" }));
  if (arrows.some((arrow) => arrow.isNotice)) {
    const toggled = button("SIGCHLD", (self) => {
      showNotices = !showNotices;
      self.setAttribute("aria-pressed", String(showNotices));
      buildRows();
    }, { title: "Show what tells parents of their children's ends", "aria-pressed": "false" });
    bar.append(toggled);
  }
  const find = element("input", { type: "search", placeholder: "Find process", ariaLabel: "Find a process by name or pid, Enter for the next" });
  let at = -1;
  find.addEventListener("input", () => { at = -1; });
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !find.value) return;
    const needle = find.value.toLowerCase();
    for (let n = 1; n <= lives.length; n += 1) {
      const life = lives[(at + n) % lives.length];
      if (!isShown(life) || !`${life.name} ${life.pid}`.toLowerCase().includes(needle)) continue;
      at = life.index;
      pick({ life: life.index });
      return;
    }
  });
  const [lostLives, lostArrows] = data.leftOut;
  if (lostLives || lostArrows) {
    bar.append(element("span", { class: "gap", textContent: `Too much to draw: ${lostLives} processes and ${lostArrows} signals left out` }));
  }
  bar.append(element("span", { class: "grow" }), find);
}

function makeLegend() {
  const life = (endKind) => ({ endKind });
  const samples = [
    ["alive", (pen) => bar(pen, 1, 29, 7, colors.alive, colors["alive-edge"])],
    ["zombie", (pen) => zombieBarAt(pen)],
    ["killed", (pen) => paintDeath(pen, life("killed"), 15, 7)],
    ["ended by the stop signal", (pen) => paintDeath(pen, life("stopped"), 15, 7)],
    ["exit code not 0", (pen) => paintDeath(pen, life("failed"), 15, 7)],
    ["exit code 0", (pen) => paintDeath(pen, life("ok"), 15, 7)],
    ["sent by a process", (pen) => sampleArrow(pen, "stop", [], true)],
    ["raised by the kernel", (pen) => sampleArrow(pen, "kill", [4, 3], true)],
    ["ignored: without effect", (pen) => sampleArrow(pen, "stop", [], false)],
  ];
  $("legend").replaceChildren(...samples.map(([text, draw]) => {
    const canvas = element("canvas");
    const ratio = window.devicePixelRatio || 1;
    canvas.width = 30 * ratio;
    canvas.height = 14 * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    draw(pen);
    return element("li", {}, canvas, text);
  }));
}

function zombieBarAt(pen) {
  pen.fillStyle = pen.createPattern(hatch, "repeat");
  pen.fillRect(1, 2, 28, 10);
  pen.strokeStyle = colors["zombie-edge"];
  pen.strokeRect(1.5, 2.5, 27, 9);
}

function sampleArrow(pen, color, dash, isFull) {
  pen.strokeStyle = pen.fillStyle = colors[color];
  pen.lineWidth = 1.6;
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(2, 7);
  pen.lineTo(20, 7);
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  pen.moveTo(28, 7);
  pen.lineTo(20, 2.5);
  pen.lineTo(20, 11.5);
  pen.closePath();
  if (isFull) pen.fill();
  else pen.stroke();
}

function makeTables() {
  const tables = [processTable(pick), signalTable(pick), zombieTable(pick), findingTable(pick), timelineTable(pick)];
  const filter = element("input", { type: "search", placeholder: "Filter: words, name:web, -sigchld", ariaLabel: "Filter the table" });
  const count = element("output");
  const tabs = element("div", { role: "tablist", "aria-label": "Tables" });
  let current = null;
  const show = (table) => {
    current = table;
    for (const [n, each] of tables.entries()) {
      each.node.hidden = each !== table;
      tabs.children[n].setAttribute("aria-selected", String(each === table));
      tabs.children[n].tabIndex = each === table ? 0 : -1;
    }
    filter.value = table.filter;
    count.textContent = table.refresh();
  };
  tables.forEach((table) => {
    const tab = element("button", { type: "button", role: "tab", textContent: `${table.name} ${table.items.length}` });
    tab.addEventListener("click", () => show(table));
    tabs.append(tab);
  });
  tabs.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = (tables.indexOf(current) + by + tables.length) % tables.length;
    show(tables[next]);
    tabs.children[next].focus();
  });
  filter.addEventListener("input", () => {
    current.filter = filter.value;
    count.textContent = current.refresh();
  });
  $("tables").append(element("div", { class: "bar" }, tabs, filter, count), ...tables.map((t) => t.node));
  $("tables").hidden = false;
  show(tables[0]);
}

function useTheme() {
  const themes = ["auto", "light", "dark"];
  const toggled = $("theme");
  toggled.hidden = false;
  toggled.addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme || "auto") + 1) % 3];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    toggled.textContent = `Theme: ${next}`;
    recolor();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
}

function recolor() {
  readColors();
  makeLegend();
  refresh();
}

function begin() {
  readColors();
  buildRows();
  $("picture").hidden = false;
  makeToolbar();
  layOut(lanes.clientWidth);
  showFirst();
  makeLegend();
  usePointer();
  useKeys();
  useTheme();
  paint();
  makeTables();
  lanes.addEventListener("scroll", refresh);
  new ResizeObserver(refresh).observe(lanes);
  document.documentElement.dataset.readyMs = performance.now().toFixed(0);
}

begin();
