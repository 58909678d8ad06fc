// Signals, from sender to target; those that fall on one pixel are one arrow with a count.
let drawn = [];
const instants = Float64Array.from(arrows, (arrow) => arrow.at);

function groupArrows(scroll, height) {
  const slack = nsPerPixel() * 4;
  const groups = new Map();
  const first = countBelow(instants, window_.from - slack);
  for (let n = first; n < arrows.length && arrows[n].at <= window_.to + slack; n += 1) {
    const arrow = arrows[n];
    if (arrow.isNotice && !showNotices) continue;
    const target = rowOf[arrow.target];
    if (target < 0) continue;
    const source = arrow.source < 0 ? -1 : rowOf[arrow.source];
    const to = sideOf(target, scroll, height);
    const from = source < 0 ? to : sideOf(source, scroll, height);
    if (to !== 0 && from === to) continue;
    const slot = Math.round((toX(arrow.at) - labelWidth) / (rows[target].kind === "fold" ? 14 : 3));
    // Of those that only pass by, one line stands for all.
    const end = to === 0 ? target : `out${to}`;
    const key = `${slot}/${source}/${end}/${arrow.signal}/${arrow.isDropped}`;
    const group = groups.get(key);
    if (group) group.arrows.push(arrow);
    else groups.set(key, { source, target, arrows: [arrow], x: toX(arrow.at) });
  }
  return [...groups.values()];
}

// -1 above what is seen, 1 below, 0 in it.
function sideOf(row, scroll, height) {
  if (rows[row].y + rows[row].height < scroll) return -1;
  return rows[row].y > scroll + height ? 1 : 0;
}

function middle(row, scroll) {
  return rows[row].y + rows[row].height / 2 - scroll;
}

function paintArrows(pen, height, scroll) {
  drawn = groupArrows(scroll, height);
  // The loud ones last, on top.
  const order = { notice: 0, other: 1, kill: 2, stop: 3 };
  drawn.sort((a, b) => order[arrowKind(a.arrows[0])] - order[arrowKind(b.arrows[0])]);
  clipPlot(pen, 0, height);
  for (const group of drawn) paintArrow(pen, group, scroll);
  const taken = new Map();
  for (const group of [...drawn].reverse()) paintArrowName(pen, group, taken);
  paintMarks(pen, height, scroll);
  pen.restore();
}

function paintArrow(pen, group, scroll) {
  const arrow = group.arrows[0];
  const kind = arrowKind(arrow);
  const color = colors[kind];
  const down = middle(group.target, scroll);
  const isLoop = group.source === group.target;
  const up = group.source < 0 || isLoop ? down - 11 : middle(group.source, scroll);
  const sign = down > up ? 1 : -1;
  const tip = down - sign * 5;
  const within = (y) => Math.min(Math.max(y, -20), lanes.clientHeight + 20);
  group.top = Math.min(up, down) - 6;
  group.bottom = Math.max(up, down) + 6;
  group.tip = tip;
  pen.globalAlpha = kind === "notice" ? 0.7 : 1;
  pen.strokeStyle = pen.fillStyle = color;
  pen.lineWidth = kind === "notice" ? 1 : Math.min(1.6 + Math.log10(group.arrows.length), 4);
  if (!arrow.isSent) pen.setLineDash([4, 3]);
  pen.beginPath();
  if (isLoop) pen.arc(group.x, down - 8, 5, 0.6, 5.6);
  else {
    pen.moveTo(group.x, within(up));
    pen.lineTo(group.x, within(tip - sign * 4));
  }
  pen.stroke();
  pen.setLineDash([]);
  if (group.source >= 0 && !isLoop) {
    pen.beginPath();
    pen.arc(group.x, up, 2.5, 0, 7);
    pen.fill();
  }
  pen.beginPath();
  pen.moveTo(group.x, tip + sign * 2);
  pen.lineTo(group.x - 4.5, tip - sign * 6);
  pen.lineTo(group.x + 4.5, tip - sign * 6);
  pen.closePath();
  if (arrow.isDropped) {
    pen.fillStyle = colors.bg;
    pen.fill();
    pen.lineWidth = 1.3;
    pen.stroke();
  } else pen.fill();
  pen.globalAlpha = 1;
}

function arrowName(group) {
  const { length } = group.arrows;
  const dropped = group.arrows[0].isDropped && !group.arrows[0].isNotice;
  return `${group.arrows[0].signal}${length > 1 ? ` \u00d7${length}` : ""}${dropped ? " (ignored)" : ""}`;
}

function paintArrowName(pen, group, taken) {
  if (arrowKind(group.arrows[0]) === "notice") return;
  const text = arrowName(group);
  const width = pen.measureText(text).width;
  const right = group.x - 7;
  const row = taken.get(group.target) || [];
  if (row.some(([from, to]) => right > from && right - width < to)) return;
  if (right - width < labelWidth) return;
  row.push([right - width, right + 14]);
  taken.set(group.target, row);
  halo(pen, text, right, group.tip + 4, colors[arrowKind(group.arrows[0])], "right");
}

function paintMarks(pen, height, scroll) {
  const seen = new Set();
  for (const mark of marks) {
    const row = rowOf[mark.target];
    if (row < 0) continue;
    const x = toX(mark.at);
    const y = middle(row, scroll);
    const key = `${row}/${Math.round(x / 4)}`;
    if (seen.has(key) || y < -20 || y > height + 20 || x < labelWidth) continue;
    seen.add(key);
    pen.fillStyle = colors.bad;
    pen.font = "bold 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText("!", x, y);
    pen.font = '12px system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
  }
}

function arrowsAt(x, y) {
  const near = drawn.filter(
    (group) => Math.abs(group.x - x) <= 6 && y >= group.top && y <= group.bottom,
  );
  // The head under the pointer wins over a line that only passes by.
  near.sort((a, b) => Math.abs(a.tip - y) - Math.abs(b.tip - y));
  return near[0] || null;
}

function describeArrow(arrow) {
  const target = who(lives[arrow.target]);
  const from = arrow.isSent && arrow.source >= 0 ? who(lives[arrow.source]) : arrow.sender;
  return `${arrow.signal} from ${from} to ${target}`;
}
