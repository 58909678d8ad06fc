// Around the picture: buttons, legend, tables, theme.
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
    }, { title: "Show signals that notify parents of their children's exits", "aria-pressed": "false" });
    bar.append(toggled);
  }
  if (!showIdle) {
    bar.append(button(`${idle.size} idle`, (self) => {
      showIdle = !showIdle;
      self.setAttribute("aria-pressed", String(showIdle));
      buildRows();
    }, { title: "Show processes that existed all the time and did nothing", "aria-pressed": "false" }));
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
    ["killed by the stop signal", (pen) => paintDeath(pen, life("stopped"), 15, 7)],
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
