// Drawings, and the map: what is pointed at is told, what is clicked plays, what a box holds is listed.
const drawn = new Map();  // a tab's key -> its figures, by name
const drawing = new Map();  // a tab's key -> a promise of them

// Axes take their colours from the style sheet when they are painted.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const figures of drawn.values()) {
    for (const figure of Object.values(figures)) for (const axis of [...figure.below, ...figure.left]) axis.change.emit();
  }
});

function draw(tab) {
  if (!drawing.has(tab.key)) drawing.set(tab.key, drawAnew(tab));
  return drawing.get(tab.key);
}
async function drawAnew(tab) {
  const roots = Object.fromEntries(Object.entries(tab.roots).map(([name, id]) => [id, `${tab.key}-${name}`]));
  await Bokeh.embed.embed_items({ [tab.key]: tab.document }, [{ docid: tab.key, roots, root_ids: Object.keys(roots) }]);
  const made = Bokeh.documents[Bokeh.documents.length - 1];
  drawn.set(tab.key, Object.fromEntries(Object.entries(tab.roots).map(([name, id]) => [name, made.get_model_by_id(id)])));
  for (const name of Object.keys(tab.roots)) nameWithin(byId(`${tab.key}-${name}`));
  followMap(tab);
  byId(tab.key).dataset.drawn = "yes";
}

// Bokeh makes its tools reachable by keyboard and gives them no role; its canvas is reached by our own keys.
function nameWithin(root) {
  for (const node of root.querySelectorAll("*")) {
    if (node.shadowRoot) nameWithin(node.shadowRoot);
    if (node.classList.contains("bk-events")) node.tabIndex = -1;
    else if (node.tabIndex === 0) {
      node.setAttribute("role", "button");
      node.setAttribute("aria-label", node.title || "More tools");
    }
  }
}

const tip = byId("tip");
document.addEventListener("pointermove", (event) => {
  tip.style.left = `${Math.max(0, Math.min(event.clientX + 14, innerWidth - 230))}px`;
  tip.style.top = `${event.clientY + 14}px`;
});

const pointsOf = (tab) => drawn.get(tab.key).map.renderers.find((renderer) => renderer.name === "points").data_source;
const quietly = new Set();  // keys of tabs in which a selection of one file is no click on it

const boxOf = (tab) => drawn.get(tab.key).map.center.find((part) => part.name === "box");

function select(tab, indices) {
  quietly.add(tab.key);
  pointsOf(tab).selected.indices = indices;
  quietly.delete(tab.key);
}

function followMap(tab) {
  const source = pointsOf(tab), place = byId(`${tab.key}-map`), region = byId(`${tab.key}-region`);
  source.inspect.connect(() => {
    const [i] = source.inspected.indices;
    tip.hidden = i === undefined;
    if (tip.hidden) return;
    const position = tab.positions[i];
    tip.replaceChildren(picture(position, 3), make("div", {}, nameOf(position)),
      make("div", {}, `${sides[sounds[position].side]}, contribution ${number(tab.contribution[i], 3)}`));
  });
  place.addEventListener("pointerleave", () => { tip.hidden = true; });
  source.selected.properties.indices.change.connect(() => {
    if (!quietly.has(tab.key)) boxOf(tab).visible = false;  // by pointer: the keyboard's box is no longer meant
    const positions = source.selected.indices.map((i) => tab.positions[i]);
    const first = positions.filter((position) => sounds[position].side === 0).length;
    byId(`${tab.key}-told`).textContent = `${positions.length} selected: ${first} of the reference, ${positions.length - first} of the candidate`;
    region.replaceChildren();
    if (positions.length === 1 && playable.has(positions[0]) && !quietly.has(tab.key)) play(positions[0], { tab });
    if (positions.length) {
      const list = listOf(positions, tab, `${positions.length} selected`);
      list.open = true;
      region.append(list);
    }
  });
  place.addEventListener("keydown", (event) => moveBox(event, tab));
}

// The box by keyboard: arrows move it, + and - size it, Enter goes to the list, Escape takes it away.
const STEP = 0.25, GROWTH = 1.25;  // of the box
function moveBox(event, tab) {
  const { x_range: x, y_range: y } = drawn.get(tab.key).map, box = boxOf(tab);
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const grows = { "+": GROWTH, "=": GROWTH, "-": 1 / GROWTH };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target !== byId(`${tab.key}-map`)) return;  // a tool's own key
  if (event.key === "Escape") {
    box.visible = false;
    select(tab, []);
  } else if (event.key === "Enter") byId(`${tab.key}-region`).querySelector("summary")?.focus();
  else if (event.key in moves || event.key in grows) {
    event.preventDefault();
    let { left, right, top, bottom } = box;
    if (!box.visible) {  // at first in the middle, a third of what is seen
      const middle = (range) => [(2 * range.start + range.end) / 3, (range.start + 2 * range.end) / 3];
      [left, right] = middle(x);
      [bottom, top] = middle(y);
    } else {
      const [dx, dy] = moves[event.key] ?? [0, 0], more = ((grows[event.key] ?? 1) - 1) / 2;
      const width = right - left, height = top - bottom;
      left += (STEP * dx - more) * width;
      right += (STEP * dx + more) * width;
      bottom += (STEP * dy - more) * height;
      top += (STEP * dy + more) * height;
    }
    box.setv({ left, right, top, bottom, visible: true });
    const source = pointsOf(tab), [xs, ys] = ["x", "y"].map((name) => Array.from(source.get_column(name)));
    select(tab, xs.flatMap((at, i) => at >= left && at <= right && ys[i] >= bottom && ys[i] <= top ? [i] : []));
  }
}

// The files that lie nearest to one on the map, itself the first: selected and listed.
const AROUND = 12;
function listAround(tab, position) {
  const source = pointsOf(tab), [xs, ys] = ["x", "y"].map((name) => Array.from(source.get_column(name)));
  const own = tab.positions.indexOf(position);
  const far = xs.map((x, i) => Math.hypot(x - xs[own], ys[i] - ys[own]));
  far[own] = -1;
  boxOf(tab).visible = false;
  select(tab, [...far.keys()].sort((a, b) => far[a] - far[b]).slice(0, AROUND));
  byId(`${tab.key}-region`).querySelector("summary").focus();
}
