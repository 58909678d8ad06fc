// The page comes to life.
function begin() {
  readColors();
  findIdle();
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
