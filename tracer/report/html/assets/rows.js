// Which lanes there are, from top to bottom: groups, a tree of processes, similar folded.
const MIN_FOLD = 4;
const HEIGHT = { scope: 26, life: 24, fold: 40 };
const openFolds = new Set();
let showNotices = false;
let rows = [];
let rowOf = new Int32Array(lives.length);
let totalHeight = 0;

// Who was there before, does nothing and is still there, and all its offspring too.
const idle = new Set();
const MANY_IDLE = 40;
let showIdle = true;

function findIdle() {
  const isBusy = new Uint8Array(lives.length);
  for (const life of lives) {
    const wasThere = life.begin !== null && life.begin <= 0;
    if (wasThere && life.isQuiet && !life.isInit && life.exit === null && life.zombieFrom === null && life.leaderExit === null) continue;
    for (let at = life; at && !isBusy[at.index]; at = lives[at.parent]) isBusy[at.index] = 1;
  }
  for (const life of lives) if (!isBusy[life.index] && !life.isOutside) idle.add(life.index);
  // A few are no burden, and where nothing happened they are all there is to see.
  showIdle = idle.size < MANY_IDLE || idle.size === lives.length;
}

// Outside first, then what was stopped, then the rest.
function scopeOrder() {
  const stopped = new Set(data.stops.map((stop) => stop.scope));
  const rank = (scope) => (scope === 0 ? 0 : stopped.has(scope) ? 1 : 2);
  return data.scopes.map((_, scope) => scope).sort((a, b) => rank(a) - rank(b) || a - b);
}

function isShown(life) {
  if (!showIdle && idle.has(life.index)) return false;
  // Who only hears of a child's end is noise until those signals are asked for.
  return !life.isOutside || !life.isQuiet || (showNotices && notices.has(life.index));
}

function buildRows() {
  const children = lives.map(() => []);
  const roots = data.scopes.map(() => []);
  for (const life of lives) {
    if (!isShown(life)) continue;
    const parent = life.parent < 0 ? null : lives[life.parent];
    if (parent && !parent.isOutside && parent.scope === life.scope && parent !== life) {
      children[parent.index].push(life);
    } else roots[life.scope].push(life);
  }
  const placed = { rows: [], y: 0, of: new Int32Array(lives.length).fill(-1), children };
  for (const scope of scopeOrder()) {
    const members = roots[scope];
    if (!members.length) continue;
    members.sort((a, b) => b.isInit - a.isInit || a.begin - b.begin);
    const [title, sub] = data.scopes[scope];
    push(placed, { kind: "scope", title, sub, depth: 0, members: [], id: `scope-${scope}` });
    placeSiblings(placed, members, 0);
  }
  rows = placed.rows;
  rowOf = placed.of;
  totalHeight = placed.y;
}

function push(placed, row) {
  row.y = placed.y;
  row.height = HEIGHT[row.kind];
  row.index = placed.rows.length;
  placed.y += row.height;
  placed.rows.push(row);
  return row;
}

function placeSiblings(placed, siblings, depth) {
  const fates = new Map();
  for (const life of siblings) {
    if (!fates.has(life.fold)) fates.set(life.fold, []);
    fates.get(life.fold).push(life);
  }
  for (const members of fates.values()) {
    if (members.length < MIN_FOLD) {
      for (const life of members) placeLife(placed, life, depth);
      continue;
    }
    const first = members[0];
    const id = `fold-${first.fold}-${first.parent}-${depth}`;
    const isOpen = openFolds.has(id);
    const row = push(placed, { kind: "fold", id, depth, members, isOpen, steps: steps(members) });
    if (isOpen) {
      for (const life of members) placeLife(placed, life, depth + 1);
      continue;
    }
    for (const life of members) placed.of[life.index] = row.index;
    placeSiblings(placed, members.flatMap((life) => placed.children[life.index]), depth + 1);
  }
}

function placeLife(placed, life, depth) {
  const row = push(placed, { kind: "life", id: `life-${life.index}`, life, depth, members: [life] });
  placed.of[life.index] = row.index;
  const children = placed.children[life.index];
  if (children.length) placeSiblings(placed, children, depth + 1);
}

// Sorted instants from which the number alive, or a zombie, at any time can be read.
function steps(members) {
  const sorted = (values) => Float64Array.from(values).sort();
  const zombies = members.filter((life) => life.zombieFrom !== null);
  return {
    born: sorted(members.map((life) => (life.wasZombie ? -Infinity : life.begin ?? -Infinity))),
    died: sorted(members.map((life) => aliveUntil(life))),
    turned: sorted(zombies.map((life) => life.zombieFrom)),
    gone: sorted(zombies.map((life) => lastAt(life))),
  };
}

function aliveUntil(life) {
  if (life.wasZombie) return -Infinity;
  if (life.exit !== null) return life.exit;
  return life.zombieFrom !== null ? life.zombieFrom : Infinity;
}

// How many of the sorted values are below the limit.
function countBelow(values, limit) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function rowAt(y) {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle].y <= y) low = middle;
    else high = middle - 1;
  }
  return rows[low];
}

function setOpen(row, isOpen) {
  if (isOpen) openFolds.add(row.id);
  else openFolds.delete(row.id);
  buildRows();
}

// Open what hides a process, and give its row.
function reveal(life) {
  if (!isShown(life) && idle.has(life.index)) {
    showIdle = true;
    buildRows();
  }
  for (let tries = 0; tries < 50; tries += 1) {
    const row = rows[rowOf[life.index]];
    if (!row || row.kind !== "fold") return row;
    setOpen(row, true);
  }
  return null;
}
