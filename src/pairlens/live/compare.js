// What is different about the chosen runs: of their arguments those in which not all agree, and how each run does.
function drawDifferences() {
  const shown = view.chosen.map((id) => runs.get(id)).filter(Boolean);
  const maps = shown.map((run) => new Map(run.settings));
  const names = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const differing = names.filter((name) => new Set(maps.map((map) => map.get(name) ?? null)).size > 1);
  const text = JSON.stringify([view.places, shown.map((run) => run.name), differing, maps.map((map) => differing.map((name) => map.get(name)))]);
  const box = at("differences");
  if (box.dataset.shown === text) return;
  box.dataset.shown = text;
  if (shown.length < 2) {
    box.replaceChildren(make("p", { class: "notice" }, "Choose two or more runs to see what is different about them."));
    return;
  }
  if (!differing.length) {
    box.replaceChildren(make("p", { class: "notice" }, "The chosen runs were called with the same arguments."));
    return;
  }
  const head = make("tr", {}, make("th", { scope: "col" }, "run"), ...differing.map((name) => make("th", { scope: "col" }, bdi(name))));
  const lines = shown.map((run, i) => {
    const style = styleOf(view.places[run.id]);
    const stroke = make("span", { class: `stroke ${style.dash}`, style: `--c:var(--${style.color})`, "aria-hidden": "true" });
    const cells = differing.map((name) => make("td", {}, bdi(maps[i].get(name) ?? DASH)));
    return make("tr", {}, make("th", { scope: "row" }, make("span", { class: "names" }, stroke, bdi(run.name))), ...cells);
  });
  box.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines)));
}
