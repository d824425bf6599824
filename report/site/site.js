// A box that scrolls sideways can be reached with the tab key, and only such a box.
const boxes = document.querySelectorAll("pre, .scroll");
const mark = () => {
  for (const box of boxes) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
mark();
addEventListener("load", mark);
addEventListener("resize", mark);
// A list that lies over the page closes when a line of it is chosen.
for (const list of document.querySelectorAll("nav[popover]")) {
  list.addEventListener("click", (event) => {
    if (event.target.closest("a") && list.matches(":popover-open")) list.hidePopover();
  });
}
