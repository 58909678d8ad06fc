// The mouse: what is under it, and what dragging and turning the wheel do.
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
