// Lists and tables of files: the equal path to the map, and matched pairs side by side.
const partnersOf = new Map();
function partners(tab) {  // the file of a pair -> the other, as indices of the tab's positions; empty without pairs
  if (!partnersOf.has(tab.key)) partnersOf.set(tab.key, new Map(tab.pairs.flatMap(([one, two]) => [[one, two], [two, one]])));
  return partnersOf.get(tab.key);
}

const heard = (position, tab) => [playButton(position, tab), picture(position)];
const sideOf = (position, tag = "span") => make(tag, { className: sides[sounds[position].side] }, sides[sounds[position].side]);

function listOf(positions, tab, words) {
  const most = 60;
  const details = make("details", { open: false }, make("summary", {}, words));
  details.addEventListener("toggle", () => {  // made when it is opened for the first time
    const list = make("ul", { className: "files" });
    const before = new Set();  // pairs of which both are here stand in one line
    for (const position of positions.slice(0, most)) {
      if (before.has(position)) continue;
      const item = make("li", {}, ...heard(position, tab), nameOf(position), sideOf(position));
      const pair = partners(tab).get(tab.positions.indexOf(position));
      if (pair !== undefined) {
        before.add(tab.positions[pair]);
        item.append("and its pair", ...heard(tab.positions[pair], tab), sideOf(tab.positions[pair]));
      }
      list.append(item);
    }
    const turns = positions.filter((position) => playable.has(position));
    const all = make("button", { type: "button", disabled: !turns.length }, "Play them in turn");
    all.addEventListener("click", () => play(turns[0], { tab, then: turns.slice(1) }));
    details.append(all, list, ...(positions.length > most ? [make("p", {}, `and ${positions.length - most} more`)] : []));
  }, { once: true });
  return details;
}

// A table that its heads sort, the largest first; ten rows, then ten times as many at each press. A column is
// { words, key: what of a row it shows and sorts by (or none), digits: of a number, show: row -> its cell }.
function sortedTable(label, columns, rows, key) {
  let falling = true, limit = 10;
  const head = make("tr"), body = make("tbody"), caption = make("caption");
  const more = make("button", { type: "button", hidden: rows.length <= limit });
  const compared = (a, b) => {
    const [one, two] = [a[key], b[key]];
    if (one === null || two === null) return (one === null) - (two === null);  // what has none comes last
    const rise = typeof one === "string" ? one.localeCompare(two) : one - two;
    return falling ? -rise : rise;
  };
  const cellOf = (row, column) => column.show ? column.show(row)
    : make("td", { className: "number" }, number(row[column.key], column.digits));
  function fill() {
    const order = [...rows].sort(compared).slice(0, limit);
    body.replaceChildren(...order.map((row) => make("tr", {}, ...columns.map((column) => cellOf(row, column)))));
    for (const cell of head.querySelectorAll("[data-key]")) {
      cell.setAttribute("aria-sort", cell.dataset.key !== key ? "none" : falling ? "descending" : "ascending");
    }
    caption.replaceChildren(make("span", {},
      `${order.length} of ${rows.length} ${label.toLowerCase()}, sorted by ${columns.find((c) => c.key === key).words}`));
    more.textContent = limit < rows.length ? `Show ${Math.min(10 * limit, rows.length)}` : "Show ten";
  }
  for (const column of columns) {
    const cell = make("th", { scope: "col" });
    if (column.key) {
      const button = make("button", { type: "button", className: "sort" }, column.words);
      button.addEventListener("click", () => {
        falling = column.key === key ? !falling : typeof rows[0][column.key] !== "string";
        key = column.key;
        fill();
      });
      cell.dataset.key = column.key;
      cell.append(button);
    } else cell.append(column.words);
    head.append(cell);
  }
  more.addEventListener("click", () => { limit = limit < rows.length ? 10 * limit : 10; fill(); });
  fill();
  const table = make("table", {}, caption, make("thead", {}, head), body);
  return [make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": label }, table), more];
}

const heardCell = (position, tab) => make("td", { className: "sound" }, ...heard(position, tab));

function fileTable(tab) {
  const paired = partners(tab);
  const rows = tab.positions.map((position, i) => ({
    ...sounds[position], position, side: sides[sounds[position].side], contribution: tab.contribution[i],
    bandwidth: tab.bandwidth[i], nearest: tab.nearest[i], gap: tab.gap[i], single: paired.size > 0 && !paired.has(i),
  }));
  return sortedTable("Files", [
    { words: "play", show: (row) => heardCell(row.position, tab) },
    { words: "file", key: "name", show: (row) => make("th", { scope: "row" }, nameOf(row.position)) },
    { words: "contribution", key: "contribution", digits: 3 },
    { words: "set", key: "side", show: (row) => sideOf(row.position, "td") },
    { words: "s", key: "seconds", digits: 2 },
    { words: "level, dB", key: "level", digits: 1 },
    { words: "bandwidth, Hz", key: "bandwidth", digits: 0 },
    { words: paired.size ? "its pair (distance)" : "nearest of the other set (distance)", key: "gap", show: (row) =>
      make("td", { className: "near" }, ...(row.single ? ["no pair; nearest: "] : []), playButton(row.nearest, tab), " ",
           nameOf(row.nearest), ` (${number(row.gap, 2)})`) },
  ], rows, "contribution");
}

function pairTable(tab) {
  const rows = tab.pairs.map(([i, j]) => ({
    one: tab.positions[i], two: tab.positions[j], name: sounds[tab.positions[i]].name,
    first: tab.contribution[i], second: tab.contribution[j], gap: tab.gap[i],
  }));
  const names = ({ one, two }) => sounds[one].name === sounds[two].name ? [nameOf(one)] : [nameOf(one), make("br"), nameOf(two)];
  const both = (row) => {
    const button = make("button", { type: "button", disabled: !(playable.has(row.one) && playable.has(row.two)) }, "Both");
    button.setAttribute("aria-label", `Both of ${row.name} in turn`);
    button.addEventListener("click", () => play(row.one, { tab, then: [row.two] }));
    return make("td", {}, button);
  };
  return sortedTable("Pairs", [
    { words: "reference", show: (row) => heardCell(row.one, tab) },
    { words: "candidate", show: (row) => heardCell(row.two, tab) },
    { words: "pair", key: "name", show: (row) => make("th", { scope: "row" }, ...names(row)) },
    { words: "reference's contribution", key: "first", digits: 3 },
    { words: "candidate's contribution", key: "second", digits: 3 },
    { words: "distance", key: "gap", digits: 3 },
    { words: "in turn", show: both },
  ], rows, "second");
}

function listFiles(tab) {
  const place = byId(`${tab.key}-files`);
  if (tab.pairs.length) {
    place.append(make("h3", {}, "Pairs, side by side"), make("div", { className: "pairs" }, ...pairTable(tab)), make("h3", {}, "All files"));
  }
  place.append(make("div", { className: "all" }, ...fileTable(tab)));
  const words = ["of the reference near which the candidate has none", "of the candidate where the reference has none"];
  words.forEach((lacking, side) => {
    const alone = tab.alone.map((i) => tab.positions[i]).filter((position) => sounds[position].side === side);
    if (alone.length) byId(`${tab.key}-alone`).append(listOf(alone, tab, `${alone.length} ${alone.length > 1 ? "files" : "file"} ${lacking}`));
  });
}
