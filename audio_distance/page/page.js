// The page of audio_distance: draws what Bokeh made, lists files, plays clips. All text goes through text nodes.
"use strict";
(() => {
const content = JSON.parse(document.getElementById("content").textContent);
const { sounds, tabs } = content;
const playable = new Set(content.clips);
const sides = ["reference", "candidate"];
const byId = (key) => document.getElementById(key);

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node && !key.includes("-")) node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
const nameOf = (position) => make("bdi", {}, sounds[position].name);
const number = (value, digits) => value === null ? "–" : value.toFixed(digits);

// ------------------------------------------------------------------------------------------------------ clips
const addresses = new Map();
function bytesOf(key) {
  return Uint8Array.from(atob(byId(key).textContent), (letter) => letter.charCodeAt(0));
}
function addressOf(position) {  // decoded at the first click, and kept
  if (!addresses.has(position)) {
    const clip = new Blob([bytesOf(`clip-${position}`)], { type: "audio/ogg" });
    addresses.set(position, URL.createObjectURL(clip));
  }
  return addresses.get(position);
}
const sheet = URL.createObjectURL(new Blob([bytesOf("sprite")], { type: "image/webp" }));
function picture(position, scale = 1) {
  const { columns, width, height } = content.sprite;
  const node = make("span", { className: "picture", "aria-hidden": "true" });
  const rows = Math.ceil(sounds.length / columns);
  Object.assign(node.style, {
    width: `${width * scale}px`, height: `${height * scale}px`, backgroundImage: `url("${sheet}")`,
    backgroundSize: `${columns * width * scale}px ${rows * height * scale}px`,
    backgroundPosition: `${-(position % columns) * width * scale}px ${-Math.floor(position / columns) * height * scale}px`,
  });
  return node;
}

// ----------------------------------------------------------------------------------------------------- player
const audio = make("audio", { controls: true });
const dock = byId("dock");
const playing = make("p", { className: "playing", "aria-live": "polite" });
const wave = make("canvas", { width: 600, height: 48, "aria-hidden": "true" });
const pictured = make("span");
const solo = make("button", { type: "button", "aria-pressed": "false", hidden: true });
const other = make("button", { type: "button", hidden: true }, "Play the nearest of the other set");
const close = make("button", { type: "button" }, "Close");
dock.append(playing, make("div", { className: "seen" }, pictured, wave), audio,
            make("div", { className: "buttons" }, other, solo, close));
let queue = [];
let current = null;  // position, and the tab it was played from
let context = null, direct = null, filtered = null, band = null;

function play(position, { tab = tabs[shownTab], then = [], hidden = "", volume = 1 } = {}) {
  queue = then;
  current = { position, tab };
  dock.hidden = false;
  audio.volume = volume;
  audio.src = addressOf(position);
  playing.replaceChildren(...(hidden ? [hidden] : [nameOf(position), ` (${sides[sounds[position].side]})`]));
  pictured.replaceChildren(...(hidden ? [] : [picture(position, 1.5)]));
  const nearest = tab.nearest[tab.positions.indexOf(position)];
  other.hidden = Boolean(hidden) || !playable.has(nearest);
  solo.hidden = Boolean(hidden) || !tab.band;
  if (tab.band) solo.textContent = `Only ${Math.round(tab.band[0])} to ${Math.round(tab.band[1])} Hz`;
  pressSolo(!solo.hidden && solo.getAttribute("aria-pressed") === "true");  // the band of this tab, or none
  if (hidden) wave.getContext("2d").clearRect(0, 0, wave.width, wave.height); else drawWave(position);
  return audio.play().catch((error) => { playing.textContent = `This browser does not play it (${error.name}).`; });
}
audio.addEventListener("ended", () => {
  if (queue.length) play(queue[0], { tab: current.tab, then: queue.slice(1) });
});
other.addEventListener("click", () => {
  play(current.tab.nearest[current.tab.positions.indexOf(current.position)], { tab: current.tab });
});
close.addEventListener("click", () => { audio.pause(); queue = []; dock.hidden = true; });

async function drawWave(position) {
  const offline = new OfflineAudioContext(1, 1, 24000);
  const decoded = await offline.decodeAudioData(bytesOf(`clip-${position}`).buffer).catch(() => null);
  if (!decoded || current.position !== position) return;
  const samples = decoded.getChannelData(0), pen = wave.getContext("2d"), middle = wave.height / 2;
  pen.clearRect(0, 0, wave.width, wave.height);
  pen.fillStyle = getComputedStyle(dock).color;
  for (let x = 0; x < wave.width; x++) {
    let peak = 0;
    const end = (x + 1) * samples.length / wave.width;
    for (let i = Math.floor(x * samples.length / wave.width); i < end; i++) peak = Math.max(peak, Math.abs(samples[i]));
    pen.fillRect(x, middle - peak * middle, 1, Math.max(1, 2 * peak * middle));
  }
}

// The band in which the sets differ most: high and low passes of 24 dB an octave, behind the media element.
function pressSolo(pressed) {
  solo.setAttribute("aria-pressed", String(pressed));
  if (!pressed && !context) return;
  if (!context) {
    context = new AudioContext();
    const source = context.createMediaElementSource(audio);
    direct = context.createGain();
    filtered = context.createGain();
    source.connect(direct).connect(context.destination);
    band = ["highpass", "highpass", "lowpass", "lowpass"].map((type) => new BiquadFilterNode(context, { type }));
    [source, ...band, filtered].reduce((from, to) => from.connect(to));
    filtered.connect(context.destination);
  }
  context.resume();
  if (pressed) band.forEach((filter, i) => { filter.frequency.value = current.tab.band[i < 2 ? 0 : 1]; });
  direct.gain.value = pressed ? 0 : 1;
  filtered.gain.value = pressed ? 1 : 0;
}
solo.addEventListener("click", () => pressSolo(solo.getAttribute("aria-pressed") !== "true"));

function playButton(position, tab) {
  const button = make("button", { type: "button", className: "play", disabled: !playable.has(position) });
  button.setAttribute("aria-label", `Play ${sounds[position].name}`);
  button.append(make("span", { "aria-hidden": "true" }, "▶"));
  button.addEventListener("click", () => play(position, { tab }));
  return button;
}

// ------------------------------------------------------------------------------------------------------ files
function listOf(positions, tab, words) {
  const most = 60;
  const list = make("ul", { className: "files" });
  for (const position of positions.slice(0, most)) {
    list.append(make("li", {}, playButton(position, tab), " ", picture(position), " ", nameOf(position)));
  }
  const heard = positions.filter((position) => playable.has(position));
  const all = make("button", { type: "button", disabled: !heard.length }, "Play them in turn");
  all.addEventListener("click", () => play(heard[0], { tab, then: heard.slice(1) }));
  const more = positions.length > most ? [make("p", {}, `and ${positions.length - most} more`)] : [];
  return make("details", { open: false }, make("summary", {}, words), all, list, ...more);
}

function fileTable(tab) {
  const rows = tab.positions.map((position, i) => ({
    position, name: sounds[position].name, side: sides[sounds[position].side], contribution: tab.contribution[i],
    seconds: sounds[position].seconds, level: sounds[position].level, bandwidth: tab.bandwidth[i],
    nearest: tab.nearest[i], gap: tab.gap[i],
  }));
  const columns = [
    ["name", "file", null], ["contribution", "contribution", 3], ["side", "set", null], ["seconds", "s", 2],
    ["level", "level, dB", 1], ["bandwidth", "bandwidth, Hz", 0], ["gap", tab.paired ? "its pair" : "nearest of the other set", 2],
  ];
  let sorted = { key: "contribution", falling: true }, limit = 10;
  const head = make("tr", {}, make("th", { scope: "col" }, "play"));
  const body = make("tbody");
  const caption = make("caption");
  const more = make("button", { type: "button" });
  const value = (row) => row[sorted.key];
  function fill() {
    const order = [...rows].sort((a, b) => {
      if (value(a) === null || value(b) === null) return (value(a) === null) - (value(b) === null);
      const rise = typeof value(a) === "string" ? value(a).localeCompare(value(b)) : value(a) - value(b);
      return sorted.falling ? -rise : rise;
    });
    body.replaceChildren(...order.slice(0, limit).map((row) => make("tr", {},
      make("td", { className: "sound" }, playButton(row.position, tab), picture(row.position)),
      make("th", { scope: "row" }, nameOf(row.position)),
      make("td", { className: "number" }, number(row.contribution, 3)),
      make("td", { className: row.side }, row.side),
      ...columns.slice(3, -1).map(([key, , digits]) => make("td", { className: "number" }, number(row[key], digits))),
      make("td", { className: "near" }, playButton(row.nearest, tab), " ", nameOf(row.nearest), ...(tab.paired ? [] : [` (${number(row.gap, 2)})`])))));
    for (const cell of head.querySelectorAll("[data-key]")) {
      const own = cell.dataset.key === sorted.key;
      cell.setAttribute("aria-sort", own ? (sorted.falling ? "descending" : "ascending") : "none");
    }
    const seen = Math.min(limit, rows.length);
    caption.textContent = `${seen} of ${rows.length} files, sorted by ${columns.find((c) => c[0] === sorted.key)[1]}`;
    more.hidden = rows.length <= 10;
    more.textContent = limit < rows.length ? `Show all ${rows.length}` : "Show ten";
  }
  for (const [key, words] of columns) {
    const button = make("button", { type: "button", className: "sort" }, words);
    button.addEventListener("click", () => {
      sorted = { key, falling: sorted.key === key ? !sorted.falling : !["name", "side"].includes(key) };
      fill();
    });
    const cell = make("th", { scope: "col" }, button);
    cell.dataset.key = key;
    head.append(cell);
  }
  more.addEventListener("click", () => { limit = limit < rows.length ? rows.length : 10; fill(); });
  fill();
  const table = make("table", {}, caption, make("thead", {}, head), body);
  byId(`${tab.key}-files`).append(
    make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Files" }, table), more);
}

// ------------------------------------------------------------------------------------------------- blind test
// Of a pair, a candidate's file and its nearest of the reference, which is the candidate's? By chance half.
function chance(hits, count) {  // P(X >= hits), X binomial with 1/2
  let term = 0.5 ** count, sum = 0;
  for (let k = 0; k <= count; k++) {
    if (k >= hits) sum += term;
    term *= (count - k) / (k + 1);
  }
  return Math.min(1, sum);
}
function blindTest(tab) {
  const place = byId(`${tab.key}-blind`);
  const pairs = tab.positions.map((position, i) => [position, tab.nearest[i]])
    .filter(([own, near]) => sounds[own].side === 1 && playable.has(own) && playable.has(near));
  if (!pairs.length) {
    place.append(make("p", {}, "No pair of files can be played."));
    return;
  }
  let pair = null, hits = 0, count = 0;
  const begin = make("button", { type: "button" }, "Begin");
  const told = make("p", { role: "status" });
  const buttons = [0, 1].map((i) => make("button", { type: "button", disabled: true }, `Play ${i + 1}`));
  const guesses = [0, 1].map((i) => make("button", { type: "button", disabled: true }, `${i + 1} is the candidate's`));
  function hear(i) {
    const levels = pair.map((position) => sounds[position].level);
    // The louder is brought down to the softer: what is compared has no level.
    play(pair[i], { tab, hidden: `Sound ${i + 1}`, volume: 10 ** ((Math.min(...levels) - levels[i]) / 20) });
  }
  function next() {
    const drawn = pairs[Math.floor(Math.random() * pairs.length)];
    pair = Math.random() < 0.5 ? drawn : [...drawn].reverse();
  }
  function guess(i) {
    count += 1;
    const right = sounds[pair[i]].side === 1;
    hits += right;
    told.replaceChildren(`${right ? "Right" : "Wrong"}: the candidate's was `,
      nameOf(pair[right ? i : 1 - i]), `. ${hits} of ${count}; by chance as many with p = ${chance(hits, count).toPrecision(2)}.`);
    audio.pause();
    next();
  }
  begin.addEventListener("click", () => {
    const starting = pair === null;
    for (const button of [...buttons, ...guesses]) button.disabled = !starting;
    begin.textContent = starting ? "End" : "Begin";
    if (starting) {
      hits = count = 0;
      told.textContent = "Two sounds of one level: one of either set. The keys 1 and 2 play them.";
      next();
    } else pair = null;
  });
  buttons.forEach((button, i) => button.addEventListener("click", () => hear(i)));
  guesses.forEach((button, i) => button.addEventListener("click", () => guess(i)));
  document.addEventListener("keydown", (event) => {  // only while the test runs, and in its own tab
    if (pair && !byId(tab.key).hidden && ["1", "2"].includes(event.key) && !event.ctrlKey && !event.metaKey) hear(event.key - 1);
  });
  place.append(make("p", {}, "Can you hear what the number says?"), make("div", { className: "buttons" }, begin, ...buttons, ...guesses), told);
}

// --------------------------------------------------------------------------------------------------- drawings
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();
function colour(tab) {
  const ink = getComputedStyle(document.body).color;
  for (const figure of drawn.get(tab.key) ?? []) {
    for (const axis of [...figure.below, ...figure.left]) {
      if (axis.setv && "axis_line_color" in axis) {
        axis.setv({ axis_line_color: ink, major_tick_line_color: ink, minor_tick_line_color: null,
                    major_label_text_color: ink, axis_label_text_color: ink, axis_label_text_font_style: "normal" });
      }
    }
  }
}
dark.addEventListener("change", () => tabs.forEach(colour));

const tip = byId("tip");
document.addEventListener("pointermove", (event) => {
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 230)}px`;
  tip.style.top = `${event.clientY + 14}px`;
});
function followMap(figure, tab) {
  const points = figure.renderers.find((renderer) => renderer.name === "points");
  const source = points.data_source;
  const region = byId(`${tab.key}-region`);
  source.inspect.connect(() => {
    const [i] = source.inspected.indices;
    tip.hidden = i === undefined;
    if (tip.hidden) return;
    const position = tab.positions[i];
    tip.replaceChildren(picture(position, 3), make("div", {}, nameOf(position)),
      make("div", {}, `${sides[sounds[position].side]}, contribution ${number(tab.contribution[i], 3)}`));
  });
  byId(`${tab.key}-map`).addEventListener("pointerleave", () => { tip.hidden = true; });
  source.selected.properties.indices.change.connect(() => {
    const positions = source.selected.indices.map((i) => tab.positions[i]);
    region.replaceChildren();
    if (positions.length === 1 && playable.has(positions[0])) play(positions[0], { tab });
    if (positions.length) {
      const list = listOf(positions, tab, `${positions.length} selected`);
      list.open = true;
      region.append(list);
    }
  });
}
async function draw(tab) {
  if (drawn.has(tab.key)) return;
  drawn.set(tab.key, []);
  const roots = Object.fromEntries(Object.entries(tab.roots).map(([name, id]) => [id, `${tab.key}-${name}`]));
  await Bokeh.embed.embed_items({ [tab.key]: tab.document }, [{ docid: tab.key, roots, root_ids: Object.keys(roots) }]);
  const made = Bokeh.documents[Bokeh.documents.length - 1];
  const figures = Object.values(tab.roots).map((id) => made.get_model_by_id(id));
  drawn.set(tab.key, figures);
  colour(tab);
  followMap(figures.find((figure) => figure.name === "map"), tab);
  byId(tab.key).dataset.drawn = "yes";
}

// ------------------------------------------------------------------------------------------------------- tabs
let shownTab = 0;
const tabList = byId("tabs");
function show(index) {
  shownTab = index;
  tabs.forEach((tab, i) => {
    byId(tab.key).hidden = i !== index;
    const button = byId(`${tab.key}-tab`);
    if (!button) return;
    button.setAttribute("aria-selected", String(i === index));
    button.tabIndex = i === index ? 0 : -1;
  });
  draw(tabs[index]);
}
tabs.forEach((tab, i) => {
  if (tabList) {
    const button = make("button", { type: "button", role: "tab", id: `${tab.key}-tab`, "aria-controls": tab.key }, make("bdi", {}, tab.name));
    button.addEventListener("click", () => show(i));
    tabList.append(button);
    byId(tab.key).setAttribute("role", "tabpanel");
    byId(tab.key).setAttribute("aria-labelledby", button.id);
  }
  const alone = [0, 1].map((side) => tab.alone.map((k) => tab.positions[k]).filter((position) => sounds[position].side === side));
  const words = ["of the reference near which the candidate has none", "of the candidate where the reference has none"];
  alone.forEach((positions, side) => {
    if (positions.length) byId(`${tab.key}-alone`).append(listOf(positions, tab, `${positions.length} files ${words[side]}`));
  });
  fileTable(tab);
  blindTest(tab);
});
if (tabList) {
  tabList.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    show((shownTab + step + tabs.length) % tabs.length);
    byId(`${tabs[shownTab].key}-tab`).focus();
  });
}
Bokeh.set_log_level("error");
show(0);
})();
