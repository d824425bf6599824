// A tab each candidate, and the beginning: what is not shown is drawn and listed when it first is.
let shownTab = 0;
const listed = new Set();
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
  const tab = tabs[index];
  if (!listed.has(tab.key)) {
    listed.add(tab.key);
    listFiles(tab);
    blindTest(tab);
  }
  return draw(tab);
}
tabs.forEach((tab, i) => {
  if (!tabList) return;
  const button = make("button", { type: "button", role: "tab", id: `${tab.key}-tab`, "aria-controls": tab.key }, make("bdi", {}, tab.name));
  button.addEventListener("click", () => show(i));
  tabList.append(button);
  byId(tab.key).setAttribute("role", "tabpanel");
  byId(tab.key).setAttribute("aria-labelledby", button.id);
});
if (tabList) {
  tabList.addEventListener("keydown", (event) => {
    const last = tabs.length - 1;
    const next = { ArrowRight: shownTab < last ? shownTab + 1 : 0, ArrowLeft: shownTab > 0 ? shownTab - 1 : last, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    show(next);
    byId(`${tabs[shownTab].key}-tab`).focus();
  });
}
Bokeh.set_log_level("error");
show(0);
