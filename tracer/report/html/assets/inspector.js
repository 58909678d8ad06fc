// What is known of one process, of equal ones, or of one arrow, in words.
const MAX_LISTED = 12;
const panel = document.getElementById("selection");

function inspect(title, facts, lists, actions) {
  const close = element("button", { type: "button", textContent: "\u00d7", ariaLabel: "Close" });
  close.addEventListener("click", () => { panel.hidden = true; });
  const list = element("dl");
  for (const [label, value] of facts) {
    if (value) list.append(element("dt", { textContent: label }), element("dd", { textContent: value }));
  }
  panel.replaceChildren(element("h2", {}, title, close), list);
  for (const [heading, lines] of lists) {
    if (!lines.length) continue;
    panel.append(element("b", { textContent: heading }));
    panel.append(element("ul", {}, ...lines.slice(0, MAX_LISTED).map((line) => element("li", { textContent: line }))));
    if (lines.length > MAX_LISTED) {
      panel.append(element("p", { textContent: `and ${lines.length - MAX_LISTED} more, in the table` }));
    }
  }
  for (const [label, act] of actions) {
    const button = element("button", { type: "button", textContent: label });
    button.addEventListener("click", act);
    panel.append(button, " ");
  }
  panel.hidden = false;
}

const when = (at) => (at === null ? "" : `${formatRelative(at)}, ${formatUtc(at, 6, true)} UTC`);

function inspectLife(life, actions) {
  const zombie = zombieNs(life);
  const parent = life.parent < 0 ? "" : who(lives[life.parent]);
  const got = arrows.filter((arrow) => arrow.target === life.index && !arrow.isNotice);
  const sent = arrows.filter((arrow) => arrow.source === life.index && !arrow.isNotice);
  inspect(who(life), [
    ["in its namespace", life.nsPid === null ? "" : `PID ${life.nsPid}${life.isInit ? ", its init" : ""}`],
    ["where", data.scopes[life.scope][0]],
    ["started by", parent],
    ["began", life.begin === null ? "" : life.begin < 0 ? `${formatDuration(-life.begin)} before the trace` : when(life.begin)],
    ["became", life.execs.map(([at, name]) => `${data.text[name]} at ${formatRelative(at)}`).join(", ")],
    ["first thread", life.leaderExit === null ? "" : `ended at ${formatRelative(life.leaderExit)}`],
    ["ended", life.isOutside ? "" : life.exit === null ? life.end : `${life.end} at ${when(life.exit)}`],
    ["why", life.why],
    ["from", life.origin],
    ["stop signal", life.stopSignal],
    ["zombie for", zombie === null ? "" : `${life.reapBound}${formatDuration(zombie)}${life.reap === null ? ", and still one" : ""}`],
    ["then", life.reaped],
  ], [
    ["Signals received", got.map((arrow) => `${formatRelative(arrow.at)} ${arrow.signal} from ${arrow.isSent && arrow.source >= 0 ? who(lives[arrow.source]) : arrow.sender}: ${arrow.result}, ${arrow.disposition}`)],
    ["Signals sent or caused", sent.map((arrow) => `${formatRelative(arrow.at)} ${arrow.signal} to ${who(lives[arrow.target])}`)],
  ], actions);
}

function inspectFold(row, actions) {
  const first = row.members[0];
  const longest = Math.max(...row.members.map((life) => zombieNs(life) ?? -1));
  inspect(`${row.members.length} \u00d7 ${first.foldName}`, [
    ["ended", first.end], ["why", first.why], ["from", first.origin],
    ["stop signal", first.stopSignal],
    ["zombies", longest < 0 ? "" : `for up to ${formatDuration(longest)}`],
    ["then", first.reaped],
    ["PIDs", `${row.members.slice(0, 20).map((life) => life.pid).join(", ")}${row.members.length > 20 ? " ..." : ""}`],
  ], [], actions);
}

function inspectArrows(group) {
  const [arrow] = group.arrows;
  inspect(arrowName(group), [
    ["when", when(arrow.at)],
    ["from", arrow.isSent && arrow.source >= 0 ? who(lives[arrow.source]) : ""],
    ["sent by", arrow.sender],
    ["raised as", !arrow.isSent && !arrow.isNotice && arrow.source >= 0 ? `${who(lives[arrow.source])} ended or asked` : ""],
    ["to", group.arrows.length === 1 ? who(lives[arrow.target]) : `${group.arrows.length} processes`],
    ["target's setting", arrow.disposition],
    ["result", arrow.result],
    ["why", arrow.cause],
  ], [["Each", group.arrows.length > 1 ? group.arrows.map((each) => `${formatRelative(each.at)} ${describeArrow(each)}`) : []]], []);
}
