// The table of all runs: one row a run, renewed in place; sorted, filtered, and moved in by keyboard.
const COLUMNS = [ // [key, heading, what it is sorted by]
  ["name", "run", (run) => run.name],
  ["state", "state", (run) => Object.keys(given.states).indexOf(run.state)],
  ["epoch", "progress", (run) => (run.steps ? run.step / run.steps : run.step)],
  ["left", "time left", (run) => run.left],
  ["loss", "loss", (run) => run.loss],
  ["knn", "kNN", (run) => run.knn],
  ["spark", "", null],
  ["rate", "images/s", (run) => run.rate],
  ["recipe", "recipe", (run) => run.recipe],
  ["created", "begun", (run) => run.created],
  ["source", "source", (run) => run.source],
];
const rows = new Map(); // id -> {row, cells, box, stroke, ...}
const table = at("table"), body = make("tbody", { role: "rowgroup" });
let shownIds = [], active = null, highlighted = null;

function buildTable() {
  const head = make("tr", { role: "row" });
  for (const [name, title, by] of COLUMNS) {
    const heading = make("th", { role: "columnheader", scope: "col", "data-column": name });
    if (by) {
      const button = make("button", { type: "button" }, title);
      button.addEventListener("click", () => sortBy(name));
      heading.append(button);
    } else heading.append(make("span"));
    head.append(heading);
  }
  table.append(make("thead", { role: "rowgroup" }, head), body);
  const sorts = COLUMNS.filter(([, , by]) => by).map(([name, title]) => [name, title]);
  options(at("sort"), sorts, view.sort[0]);
  at("sort").addEventListener("change", () => sortBy(at("sort").value));
  body.addEventListener("click", clicked);
  body.addEventListener("keydown", keyed);
  body.addEventListener("focusin", (event) => move(event.target.closest("tr"), false));
  body.addEventListener("pointerover", (event) => highlight(event.target.closest("tr")?.dataset.id ?? null));
  body.addEventListener("pointerleave", () => highlight(null));
}

function sortBy(name) {
  view.sort = [name, view.sort[0] === name ? !view.sort[1] : ["loss", "name", "recipe", "source", "state", "left"].indexOf(name) < 0];
  arrange();
}

// The rows are grids of their own, whose layout the browser leaves out while they are out of sight; so roles are said.
const cell = (name) => make(name === "name" ? "th" : "td", { role: name === "name" ? "rowheader" : "gridcell", "data-column": name });

function newRow(run) {
  const row = make("tr", { role: "row", "data-id": run.id, tabindex: -1 });
  const cells = Object.fromEntries(COLUMNS.map(([name]) => [name, cell(name)]));
  const parts = {
    row, cells,
    box: make("input", { type: "checkbox", tabindex: -1 }),
    stroke: make("span", { class: "stroke", "aria-hidden": "true" }),
    name: make("bdi", { class: "name" }),
    note: make("bdi", { class: "note" }),
    dot: make("span", { class: "dot", "aria-hidden": "true" }),
    state: make("span"),
    epoch: make("span"),
    bar: make("i"),
    spark: make("canvas", { "aria-hidden": "true" }),
  };
  const names = make("span", { class: "names" }, parts.name, parts.note);
  cells.name.append(make("div", { class: "first" }, make("label", {}, parts.box, parts.stroke), names));
  cells.state.append(make("span", { class: "state" }, parts.dot, parts.state));
  cells.epoch.append(parts.epoch, make("span", { class: "track", "aria-hidden": "true" }, parts.bar));
  cells.spark.append(parts.spark);
  for (const name of ["left", "loss", "knn", "rate", "created"]) cells[name].append((parts[`${name}Text`] = make("span")));
  for (const name of ["recipe", "source"]) cells[name].append((parts[`${name}Text`] = make("bdi")));
  row.append(...COLUMNS.map(([name]) => cells[name]));
  rows.set(run.id, parts);
  sees.observe(row);
  return parts;
}

const sees = new IntersectionObserver((entries) => { // sparklines are drawn when they come into sight
  for (const { target, isIntersecting } of entries) {
    const parts = rows.get(target.dataset.id);
    if (!parts) continue;
    parts.seen = isIntersecting;
    if (isIntersecting && parts.stale) drawSpark(target.dataset.id);
  }
}, { rootMargin: "200px" });

function fillRow(id) {
  const run = runs.get(id);
  const p = rows.get(id) ?? newRow(run);
  put(p.name, run.name);
  set(p.name, "title", run.name);
  const said = run.note ?? run.health ?? run.warning ?? "";
  put(p.note, said);
  set(p.note, "title", said || null);
  const bad = run.note ? run.state !== "interrupted" : run.health?.includes(": ill: ");
  set(p.note, "data-tone", bad ? "bad" : null);
  set(p.box, "aria-label", `choose ${run.name}`);
  set(p.row, "data-state", run.state);
  set(p.dot, "data-state", run.state);
  put(p.state, given.states[run.state]);
  const epochs = known(run.epochs) ? ` of ${Number.isInteger(run.epochs) ? thousands(run.epochs) : number(run.epochs)}` : "";
  put(p.epoch, known(run.epoch) ? `epoch ${run.epoch.toFixed(1)}${epochs}` : `step ${thousands(run.step)}`);
  set(p.epoch, "title", `step ${thousands(run.step)} of ${thousands(run.steps)}`);
  p.bar.style.width = `${Math.min(100, (100 * run.step) / (run.steps || Infinity)).toFixed(2)}%`;
  p.bar.parentElement.hidden = !run.steps;
  put(p.leftText, known(run.left) ? duration(run.left) : "");
  put(p.lossText, number(run.loss));
  put(p.knnText, percent(run.knn));
  put(p.rateText, known(run.rate) ? number(run.rate) : DASH);
  put(p.recipeText, run.recipe);
  put(p.sourceText, run.source.split("/").at(-1));
  set(p.sourceText, "title", run.source);
  put(p.createdText, moment(run.created).slice(5));
  set(p.createdText, "title", moment(run.created));
  p.words = [run.name, run.recipe, run.source, given.states[run.state], ...run.settings.map(([k, v]) => `${k}: ${v}`)].join("\n").toLowerCase();
}

function drawSpark(id) {
  const p = rows.get(id), spark = sparks.get(id);
  if (!p) return;
  p.stale = !p.seen;
  if (!p.seen) return;
  const { pen, width, height } = surface(p.spark);
  if (!spark || spark.step.length < 2) return;
  const finite = spark.mean.filter(Number.isFinite);
  const low = Math.min(...finite), high = Math.max(...finite), first = spark.step[0], last = spark.step.at(-1);
  const place = view.places[id];
  pen.strokeStyle = place === undefined ? color("muted") : color(styleOf(place).color);
  pen.lineWidth = 1.4;
  pen.lineJoin = "round";
  pen.beginPath();
  for (let i = 0, drawing = false; i < spark.step.length; i += 1) {
    const y = spark.mean[i];
    if (!Number.isFinite(y)) { drawing = false; continue; }
    const px = 2 + ((spark.step[i] - first) / (last - first || 1)) * (width - 4);
    const py = height - 3 - ((y - low) / (high - low || 1)) * (height - 6);
    if (drawing) pen.lineTo(px, py); else pen.moveTo(px, py);
    drawing = true;
  }
  pen.stroke();
}

function markChosen() {
  for (const [id, p] of rows) {
    const place = view.places[id], on = place !== undefined;
    p.box.checked = on;
    set(p.row, "aria-selected", String(on));
    set(p.row, "data-focus", id === view.focus ? "true" : null);
    const style = on ? styleOf(place) : null;
    p.stroke.className = `stroke ${on ? style.dash : "none"}`;
    p.stroke.style.setProperty("--c", on ? `var(--${style.color})` : "var(--line)");
    if (p.place !== place) { p.place = place; drawSpark(id); }
  }
}

// Sorted and filtered; the rows are moved only where their order has changed.
function arrange() {
  const [name, down] = view.sort;
  const by = COLUMNS.find(([column]) => column === name)[2];
  const order = (a, b) => {
    const [one, other] = [by(runs.get(a)), by(runs.get(b))];
    const none = (one === null || one === undefined) - (other === null || other === undefined);
    if (none) return none; // what is not known comes last, either way
    const sign = typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
    return (down ? -sign : sign) || (a < b ? -1 : 1);
  };
  const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (id) => {
    const all = rows.get(id).words;
    return (!view.states.length || view.states.includes(runs.get(id).state)) && words.every((word) => all.includes(word));
  };
  const sorted = [...runs.keys()].sort(order);
  shownIds = sorted.filter(fits);
  const shown = new Set(shownIds);
  for (const id of sorted) rows.get(id).row.hidden = !shown.has(id);
  for (const [id, p] of rows) if (!runs.has(id)) { sees.unobserve(p.row); p.row.remove(); rows.delete(id); }
  if (sorted.some((id, i) => body.children[i]?.dataset.id !== id)) {
    const kept = document.activeElement;
    body.append(...sorted.map((id) => rows.get(id).row));
    if (body.contains(kept)) kept.focus({ preventScroll: true });
  }
  for (const cell of table.tHead.rows[0].cells) {
    set(cell, "aria-sort", cell.dataset.column === name ? (down ? "descending" : "ascending") : null);
  }
  at("sort").value = name;
  put(table.tHead.querySelector("[data-column=spark] span"), at("spark").selectedOptions[0]?.textContent ?? "");
  const every = `${thousands(runs.size)} run${runs.size === 1 ? "" : "s"}`;
  put(at("found"), runs.size === shownIds.length ? `${every}, ${view.chosen.length} chosen.` : `${thousands(shownIds.length)} of ${every}, ${view.chosen.length} chosen.`);
  if (!shown.has(active)) activate(shownIds[0] ?? null, false);
  const counts = {};
  for (const run of runs.values()) counts[run.state] = (counts[run.state] ?? 0) + 1;
  const there = Object.keys(given.states).filter((state) => counts[state] || view.states.includes(state));
  switches(at("states"), there.map((state) => [state, `${given.states[state]} ${counts[state] ?? 0}`]),
    (state) => view.states.includes(state),
    (state) => {
      view.states = view.states.includes(state) ? view.states.filter((other) => other !== state) : [...view.states, state];
      arrange();
      remember();
    });
}

// Mouse and keyboard --------------------------------------------------------------------------------------------------
function activate(id, focus = true) {
  if (rows.get(active)) rows.get(active).row.tabIndex = -1;
  active = id;
  const row = rows.get(id)?.row;
  if (!row) return;
  row.tabIndex = 0;
  if (focus) row.focus();
}

function move(row) {
  if (row && row.dataset.id !== active) activate(row.dataset.id, false);
}

function clicked(event) {
  const id = event.target.closest("tr")?.dataset.id;
  if (!id) return;
  if (event.target.closest("label")) {
    if (event.target.tagName === "INPUT") chooseByHand([id], event.target.checked);
  } else focusOn(id);
}

function keyed(event) {
  const place = shownIds.indexOf(active), page = 10;
  const to = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + page, PageUp: place - page, Home: 0, End: shownIds.length - 1 }[event.key];
  if (to !== undefined) activate(shownIds[Math.max(0, Math.min(shownIds.length - 1, to))]);
  else if (event.key === " ") chooseByHand([active], !view.chosen.includes(active));
  else if (event.key === "Enter") focusOn(active);
  else return;
  event.preventDefault();
}

function highlight(id) {
  if (id === highlighted) return;
  rows.get(highlighted)?.row.removeAttribute("data-lit");
  highlighted = id;
  rows.get(id)?.row.setAttribute("data-lit", "true");
  if (view.chosen.length > 1) soon(drawCharts);
  for (const item of at("legend").children) set(item, "data-lit", item.dataset.id === id ? "true" : null);
}
