"use strict";
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
const cases = [...document.querySelectorAll("details.case")];
const search = document.getElementById("search");
const show = document.getElementById("show");
const shown = document.getElementById("shown");
const texts = new Map();
function textOf(item) {
  if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
  return texts.get(item);
}
function choose() {
  const wanted = search.value.trim().toLowerCase();
  let count = 0;
  for (const item of cases) {
    const kept = (!show.value || item.dataset.kinds.split(" ").includes(show.value)) && (!wanted || textOf(item).includes(wanted));
    item.hidden = !kept;
    count += kept;
  }
  shown.textContent = `${count} of ${cases.length} shown`;
}
if (search) {
  search.addEventListener("input", choose);
  show.addEventListener("change", choose);
  document.getElementById("unfold").addEventListener("click", (event) => {
    const open = event.target.getAttribute("aria-pressed") !== "true";
    event.target.setAttribute("aria-pressed", open);
    event.target.textContent = open ? "Fold all" : "Unfold all";
    for (const item of cases) if (!item.hidden) item.open = open;
  });
  choose();
}
