// The keys, while the lanes have the focus.
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
