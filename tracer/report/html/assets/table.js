// Tables that sort and filter; rows are made as they are scrolled to.
const CHUNK = 150;

class Table {
  constructor(name, columns, items, onPick) {
    this.name = name;
    this.columns = columns;
    this.items = items;
    this.onPick = onPick;
    this.sort = { column: null, isDown: false };
    this.filter = "";
    this.body = element("tbody");
    this.head = element("tr");
    this.node = element(
      "div",
      { class: "scroller", role: "tabpanel", "aria-label": name, tabIndex: 0 },
      element("table", {}, element("thead", {}, this.head), this.body),
    );
    this.node.addEventListener("scroll", () => this.more());
    this.body.addEventListener("click", (event) => this.click(event));
    this.makeHead();
  }

  makeHead() {
    this.headers = this.columns.map((column) => {
      const button = element("button", { type: "button", textContent: column.title });
      button.addEventListener("click", () => this.sortBy(column));
      const cell = element("th", { class: column.kind || "", "aria-sort": "none", scope: "col" }, button);
      this.head.append(cell);
      return { column, cell, button };
    });
  }

  sortBy(column) {
    const isSame = this.sort.column === column;
    // Numbers begin with the largest: that is what is looked for.
    this.sort = { column, isDown: isSame ? !this.sort.isDown : column.kind === "num" };
    this.refresh();
  }

  matching() {
    const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = this.items.filter((item) => words.every((word) => this.matches(item, word)));
    const { column, isDown } = this.sort;
    if (!column) return kept;
    const value = column.sort || column.value;
    const sign = isDown ? -1 : 1;
    return kept
      .map((item) => [value(item), item])
      .sort(([a], [b]) => {
        const [isNoA, isNoB] = [a === null || a === "", b === null || b === ""];
        if (isNoA || isNoB) return isNoA - isNoB;
        return (a < b ? -1 : a > b ? 1 : 0) * sign;
      })
      .map(([, item]) => item);
  }

  // "name:web" looks into one column, "web" into all, "-web" excludes.
  matches(item, word) {
    if (word.startsWith("-") && word.length > 1) return !this.matches(item, word.slice(1));
    const colon = word.indexOf(":");
    if (colon > 0) {
      const named = this.columns.find((column) => column.title.toLowerCase().replaceAll(" ", "-") === word.slice(0, colon));
      if (named) return String(named.value(item) ?? "").toLowerCase().includes(word.slice(colon + 1));
    }
    item.words ??= this.columns.map((column) => column.value(item) ?? "").join("\n").toLowerCase();
    return item.words.includes(word);
  }

  refresh() {
    for (const { column, cell, button } of this.headers) {
      const isSorted = this.sort.column === column;
      cell.setAttribute("aria-sort", isSorted ? (this.sort.isDown ? "descending" : "ascending") : "none");
      button.textContent = column.title + (isSorted ? (this.sort.isDown ? " \u2193" : " \u2191") : "");
    }
    this.shown = this.matching();
    this.body.replaceChildren();
    this.node.scrollTop = 0;
    this.more();
    return `${this.shown.length} of ${this.items.length}`;
  }

  more() {
    const { node } = this;
    let made = this.body.childElementCount;
    while (made < this.shown.length && node.scrollTop + node.clientHeight * 2 + 400 > node.scrollHeight) {
      const chunk = this.shown.slice(made, made + CHUNK);
      this.body.append(...chunk.map((item) => this.makeRow(item)));
      made += chunk.length;
      if (!node.clientHeight) break;
    }
  }

  makeRow(item) {
    const row = element("tr");
    for (const column of this.columns) {
      const cell = element("td", { class: column.kind || "" });
      const shown = column.show ? column.show(item) : column.value(item);
      cell.append(shown ?? "");
      row.append(cell);
    }
    row.item = item;
    if (item.life >= 0) row.setAttribute("data-life", item.life);
    return row;
  }

  click(event) {
    const row = event.target.closest("tr");
    // Text being marked is not a click.
    if (!row || String(window.getSelection())) return;
    this.onPick(row.item);
  }
}

const num = (title, value, show) => ({ title, value, show, kind: "num" });
const word = (title, value, kind) => ({ title, value, kind });
const time = (title, value) => ({
  title, kind: "num", sort: value,
  value: (item) => (value(item) === null ? "" : `${formatRelative(value(item))} ${formatUtc(value(item))}`),
  show: (item) => (value(item) === null ? "" : formatRelative(value(item))),
});

function duration(title, value, bound) {
  return {
    title, kind: "num", sort: value,
    value: (item) => (value(item) === null ? "" : `${bound(item)}${formatDuration(value(item))}`),
  };
}

function processTable(onPick) {
  const items = lives.filter((life) => !life.isOutside).map((life) => ({ ...life, life: life.index }));
  const several = data.scopes.filter((_, scope) => items.some((item) => item.scope === scope)).length > 1;
  const columns = [
    num("PID", (p) => p.pid), num("PID inside", (p) => p.nsPid), word("Name", (p) => p.name, "id"),
    word("End", (p) => p.end, "id"), word("Why", (p) => p.why, "wide"),
    word("From", (p) => p.origin), word("Stop signal", (p) => p.stopSignal),
    time("Ended", (p) => p.exit), duration("Zombie for", zombieNs, (p) => p.reapBound),
    word("Reaped", (p) => p.reaped), time("Began", (p) => p.begin),
  ];
  if (several) columns.splice(3, 0, word("Where", (p) => data.scopes[p.scope][0]));
  return new Table("Processes", columns, items, onPick);
}

function zombieTable(onPick) {
  const items = data.zombies.map(([life, pid, nsPid, name, parent, ns, bound, end, sigchld, threads]) => ({
    life, pid, nsPid, ns, threads, name: data.text[name], parent: data.text[parent],
    bound: data.text[bound], end: data.text[end], sigchld: data.text[sigchld],
  }));
  return new Table("Zombies", [
    num("PID", (z) => z.pid), num("PID inside", (z) => z.nsPid), word("Name", (z) => z.name, "id"),
    duration("Zombie for", (z) => z.ns, (z) => z.bound), word("Parent", (z) => z.parent),
    word("Parent state", (z) => z.sigchld, "wide"), word("Outcome", (z) => z.end, "wide"),
    num("Live threads", (z) => z.threads || null),
  ], items, onPick);
}

function signalTable(onPick) {
  const items = arrows.map((arrow) => ({ ...arrow, life: arrow.target, arrow }));
  const name = (index) => (index < 0 ? "" : who(lives[index]));
  return new Table("Signals", [
    time("Time", (s) => s.at), word("Signal", (s) => s.signal, "id"),
    word("From", (s) => (s.isSent ? name(s.source) : s.isNotice ? name(s.source) : ""), "id"),
    word("Sent by", (s) => s.sender, "wide"), word("To", (s) => name(s.target), "id"),
    word("Disposition", (s) => s.disposition), word("Result", (s) => s.result),
    word("Why", (s) => s.cause, "wide"),
  ], items, onPick);
}

function findingTable(onPick) {
  const order = { error: 0, warning: 1, info: 2 };
  const items = data.findings.map(([code, name, severity, title, detail, advice, pids]) => ({
    code, name, severity, title, detail, advice, pids,
    life: lives.findIndex((life) => life.pid === pids[0] && !life.isOutside),
  }));
  return new Table("Findings", [
    { title: "Severity", value: (f) => f.severity, sort: (f) => order[f.severity],
      show: (f) => element("span", { class: f.severity, textContent: f.severity }) },
    word("Code", (f) => f.code, "id"), word("What", (f) => f.title, "wide"),
    word("Detail", (f) => f.detail, "wide"), word("To do", (f) => f.advice, "wide"),
    { title: "PIDs", value: (f) => f.pids.join(" "), sort: (f) => f.pids.length,
      show: (f) => `${f.pids.slice(0, 8).join(", ")}${f.pids.length > 8 ? ` and ${f.pids.length - 8} more` : ""}` },
  ], items, onPick);
}

function timelineTable(onPick) {
  const items = data.timeline.map(([at, text, weight]) => ({ at, weight, text: data.text[text], life: -1 }));
  return new Table("Timeline", [
    time("Time", (t) => t.at), num("UTC", (t) => formatUtc(t.at)),
    { title: "What happened", value: (t) => t.text, kind: "wide",
      show: (t) => (t.weight > 1 ? element("b", { textContent: t.text }) : t.text) },
  ], items, onPick);
}
