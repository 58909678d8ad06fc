// What is shown and chosen: drawn when something changed, labels for the rows in sight.
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
  label.append(element("span", { class: "pid", textContent: isFold ? "similar" : life.pid }));
  label.setAttribute("aria-label", `${name}, ${isFold ? "similar processes, Enter opens" : `pid ${life.pid}`}, ${life.end}`);
  label.title = isFold ? "Similar processes drawn as one: open to see each" : who(life);
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
    inspectLife(life, life.isOutside ? [] : [["Zoom to its lifetime", () => {
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
