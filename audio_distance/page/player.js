// What all other scripts of the page use: its data, nodes, pictures, and the player at the foot of it.
// All text goes through text nodes. The scripts are one, in the order of SCRIPTS in document.py.
const byId = (key) => document.getElementById(key);
const content = JSON.parse(byId("content").textContent);
const { sounds, tabs } = content;
const sides = ["reference", "candidate"];

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node && !key.includes("-")) node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
const nameOf = (position) => make("bdi", {}, sounds[position].name);
const number = (value, digits) => value === null ? "–" : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");

// ------------------------------------------------------------------------------------------------------ clips
const audio = make("audio", { controls: true });
const kinds = [  // in order of preference
  { key: "clip", type: 'audio/ogg; codecs="opus"', positions: content.clips },
  { key: "mp3", type: "audio/mpeg", positions: content.spare },
];
const kind = kinds.find(({ type }) => audio.canPlayType(type)) ?? { positions: [] };
const playable = new Set(kind.positions);
if (kind !== kinds[0] && content.clips.length) {
  byId("mute").hidden = false;
  byId("mute").textContent = kind.positions.length
    ? `This browser does not play Ogg Opus: ${kind.positions.length} files of ${sounds.length} can be heard here, as MP3.`
    : "This browser plays nothing that this page holds: no sound can be heard here.";
}
function bytesOf(key) {
  return Uint8Array.from(atob(byId(key).textContent), (letter) => letter.charCodeAt(0));
}
const addresses = new Map();
function addressOf(position) {  // decoded at the first click, and kept
  if (!addresses.has(position)) {
    const clip = new Blob([bytesOf(`${kind.key}-${position}`)], { type: kind.type });
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
const dock = byId("dock");
const playing = make("p", { className: "playing", "aria-live": "polite" });
const wave = make("canvas", { width: 600, height: 48, "aria-hidden": "true" });
const pictured = make("span");
const solo = make("button", { type: "button", "aria-pressed": "false", hidden: true });
const other = make("button", { type: "button", hidden: true });
const around = make("button", { type: "button", hidden: true }, "Files near it on the map");
const close = make("button", { type: "button" }, "Close");
dock.append(playing, make("div", { className: "seen" }, pictured, wave), audio,
            make("div", { className: "buttons" }, other, around, solo, close));
let queue = [];
let current = null;  // position, and the tab it was played from
let asked = null;  // the button that asked for it
let context = null, direct = null, filtered = null, band = null;

function play(position, { tab = tabs[shownTab], then = [], hidden = "", volume = 1 } = {}) {
  queue = then;
  current = { position, tab };
  if (!dock.contains(document.activeElement)) asked = document.activeElement;
  dock.hidden = false;
  audio.volume = volume;
  audio.src = addressOf(position);
  playing.replaceChildren(...(hidden ? [hidden] : [nameOf(position), ` (${sides[sounds[position].side]})`]));
  pictured.replaceChildren(...(hidden ? [] : [picture(position, 1.5)]));
  const i = tab.positions.indexOf(position);
  other.textContent = partners(tab).has(i) ? "Play its pair" : "Play the nearest of the other set";
  other.hidden = Boolean(hidden) || !playable.has(tab.nearest[i]);
  around.hidden = Boolean(hidden);
  solo.hidden = Boolean(hidden) || !tab.band;
  if (tab.band) solo.textContent = `Only ${Math.round(tab.band[0])} to ${Math.round(tab.band[1])} Hz`;
  pressSolo(!solo.hidden && solo.getAttribute("aria-pressed") === "true");  // the band of this tab, or none
  if (hidden) wave.getContext("2d").clearRect(0, 0, wave.width, wave.height); else drawWave(position);
  return audio.play().catch((error) => {  // another was asked for before this one began: no fault
    if (error.name !== "AbortError") playing.textContent = `This browser does not play it (${error.name}).`;
  });
}
audio.addEventListener("ended", () => {
  if (queue.length) play(queue[0], { tab: current.tab, then: queue.slice(1) });
});
other.addEventListener("click", () => {
  play(current.tab.nearest[current.tab.positions.indexOf(current.position)], { tab: current.tab });
});
around.addEventListener("click", async () => {
  await show(tabs.indexOf(current.tab));
  listAround(current.tab, current.position);
});
close.addEventListener("click", () => {
  audio.pause();
  queue = [];
  dock.hidden = true;
  if (asked?.isConnected) asked.focus();
});

async function drawWave(position) {
  const offline = new OfflineAudioContext(1, 1, 24000);
  const decoded = await offline.decodeAudioData(bytesOf(`${kind.key}-${position}`).buffer).catch(() => null);
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
  button.setAttribute("aria-label", `Play ${sounds[position].name} (${sides[sounds[position].side]})`);
  button.append(make("span", { "aria-hidden": "true" }, "▶"));
  button.addEventListener("click", () => play(position, { tab }));
  return button;
}
