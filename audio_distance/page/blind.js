// The blind test: of a candidate's file and its pair, or its nearest of the reference, which is the candidate's?
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
    const volume = 10 ** ((Math.min(...levels) - levels[i]) / 20);
    play(pair[i], { tab, hidden: `Sound ${i + 1}`, volume });
    if (Math.abs(audio.volume - volume) > 0.01) told.textContent = "This browser lets no page set a volume: the two keep their levels.";
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
    if (pair && !byId(tab.key).hidden && ["1", "2"].includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) hear(event.key - 1);
  });
  place.append(make("p", {}, "Can you hear what the number says?"), make("div", { className: "buttons" }, begin, ...buttons, ...guesses), told);
}
