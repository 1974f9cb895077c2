// Asking the server about once a second, putting its answers on the page, and saving what is seen.
const PERIOD = 1000, PATIENCE = 8000; // milliseconds between questions; for an answer
let failed = 0, lastAnswer = null, timer = null, asking = false;

async function ask() {
  clearTimeout(timer);
  if (asking) { asking = "again"; return; }
  asking = true;
  const asked = question();
  try {
    const limit = AbortSignal.timeout(PATIENCE + (lastAnswer === null ? 60000 : 0));
    const answer = await fetch(`poll${location.search}`, { method: "POST", body: JSON.stringify(asked), signal: limit });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    put(at("about"), "");
    apply(merge(await answer.json(), asked));
    failed = 0;
    lastAnswer = new Date();
  } catch (error) {
    failed += 1;
    if (!(error instanceof TypeError || error.name === "TimeoutError")) put(at("about"), error.message);
  }
  const again = asking === "again";
  asking = false;
  tellLive();
  timer = setTimeout(ask, again ? 0 : document.hidden ? 10 * PERIOD : Math.min(5, 1 + failed) * PERIOD);
}

const clock = (when) => when.toLocaleTimeString([], { hour12: false });

function tellLive() {
  const running = [...runs.values()].filter((run) => run.state === "running").length;
  const live = at("live"), said = live.querySelector(".said");
  set(live, "data-live", given.saved ? "saved" : failed ? "gone" : "yes");
  if (given.saved) put(said, `Saved ${moment(given.saved)}`);
  else if (failed) put(said, lastAnswer ? `The server is gone since ${clock(lastAnswer)}; this is what it told last. Trying again \u2026` : "The server does not answer. Trying again \u2026");
  else put(said, running ? `Live \u00b7 ${running} running` : "Live");
}

// What an answer has changed, on the page.
function apply(changed) {
  for (const id of changed.lines) fillRow(id);
  const before = JSON.stringify([view.chosen, view.focus]);
  if (changed.set || changed.lines.size) settle();
  if (changed.set || changed.lines.size) arrange();
  markChosen();
  for (const id of changed.sparks) drawSpark(id);
  if (changed.lines.size || changed.set) arrangeAll();
  const chosen = new Set(wanted().map((one) => key(...one)));
  if ([...changed.curves].some((name) => chosen.has(name)) || changed.set) soon(drawCharts);
  if (changed.heat || [...changed.curves].some((name) => name.startsWith(`${view.focus} `))) soon(drawHeat);
  if (before !== JSON.stringify([view.chosen, view.focus])) lack();
  root.dataset.ready = String(lacking() === 0);
  root.dataset.version = String(version);
}

const lacking = () => wanted().filter((one) => !curves.has(key(...one))).length;
function lack() { // ask at once for what is to be shown and not there
  if (!given.saved) ask();
}

function arrangeAll() {
  arrangeCharts();
  arrangeHeat();
  drawDifferences();
}

// The reader has changed what is shown.
function changedView() {
  settle();
  markChosen();
  arrangeAll();
  soon(drawCharts);
  soon(drawHeat);
  put(at("smoothed"), view.smooth ? `${(view.smooth / 10).toFixed(1)} %` : "off");
  remember();
  if (lacking() || !isShown()) lack();
}

function chooseByHand(ids, on) {
  view.free = false;
  for (const id of ids) choose(id, on);
  if (on && ids.length === 1 && ids[0]) view.focus = ids[0];
  changedView();
  arrange();
}

function focusOn(id) {
  if (!runs.has(id)) return;
  view.focus = id;
  if (!view.chosen.includes(id)) chooseByHand([id], true);
  else changedView();
}

function filterBy(text) {
  view.filter = text;
  arrange();
  remember();
}

const REMEMBERED = `pairlens-watch ${given.folder}`;
function remember() { // for a reload in this tab
  try { sessionStorage.setItem(REMEMBERED, JSON.stringify(view)); } catch { /* then not */ }
}

// One file with all that is seen: this very document, and the data instead of a server.
function savedPage() {
  const shown = new Set(wanted().map((one) => key(...one)));
  const packed = (one, names) => ({ ...one, ...Object.fromEntries(names.map((name) => [name, encoded(one[name])])) });
  const saved = {
    saved: new Date().toISOString(),
    theme: root.dataset.theme,
    view,
    runs: [...runs.values()].map(({ settings, ...line }) => line),
    pairs,
    layouts,
    sparks: [...sparks].map(([id, spark]) => [id, spark && packed(spark, ["step", "mean"])]),
    curves: [...curves].filter(([name]) => shown.has(name)).map(([name, curve]) => [name, packed(curve, ["step", "mean", "low", "high", "broken"])]),
    heat: heat && packed(heat, ["step", "positive", "negative"]),
  };
  const json = JSON.stringify({ ...given, ...saved }).replaceAll("<", "\\u003c");
  const head = document.head.innerHTML.replace("connect-src 'self'", "connect-src 'none'");
  const open = skeleton.indexOf(">", skeleton.indexOf('id="given"')) + 1;
  const body = skeleton.slice(0, open) + json + skeleton.slice(skeleton.indexOf("<", open));
  return `<!doctype html>\n<html lang="en"><head>${head}</head><body class="watch">${body}</body></html>\n`;
}

function save() {
  const link = make("a", { download: `pairlens-${given.folder.replace(/[^\w.-]+/g, "-")}-${new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-")}.html` });
  link.href = URL.createObjectURL(new Blob([savedPage()], { type: "text/html" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function restore() {
  const unpacked = (one, names) => one && { ...one, ...Object.fromEntries(names.map((name) => [name, decoded(one[name])])) };
  ({ pairs, layouts } = given);
  for (const line of given.runs) runs.set(line.id, { ...line, settings: line.arguments.map((n) => pairs[n]) });
  for (const [id, spark] of given.sparks) sparks.set(id, unpacked(spark, ["step", "mean"]));
  for (const [name, curve] of given.curves) curves.set(name, unpacked(curve, ["step", "mean", "low", "high", "broken"]));
  heat = unpacked(given.heat, ["step", "positive", "negative"]);
  Object.assign(view, given.view);
  view.free = false;
  put(at("about"), `Saved by pairlens on ${moment(given.saved)}; it shows what was seen then, is complete in itself and asks nothing of the network.`);
}

function wear(theme) {
  root.dataset.theme = theme;
  at("theme").textContent = theme === "dark" ? "Light" : "Dark";
  colors = {};
  for (const id of rows.keys()) drawSpark(id);
  soon(drawCharts);
  soon(drawHeat);
}

function listen() {
  at("theme").addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("pairlens-theme", theme); } catch { /* the choice then lasts as long as the page */ }
    wear(theme);
  });
  at("save").addEventListener("click", save);
  at("save").hidden = Boolean(given.saved);
  at("filter").addEventListener("input", () => filterBy(at("filter").value));
  at("filter").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { at("filter").value = ""; filterBy(""); }
    if (event.key === "ArrowDown" || event.key === "Enter") { activate(shownIds[0] ?? null); event.preventDefault(); }
  });
  at("spark").addEventListener("change", () => { view.spark = at("spark").value; sparkVersion = 0; remember(); lack(); });
  at("spark").parentElement.hidden = Boolean(given.saved);
  at("choose-shown").addEventListener("click", () => chooseByHand(shownIds.slice(0, 32), true));
  at("choose-none").addEventListener("click", () => chooseByHand([...view.chosen], false));
  at("smooth").addEventListener("input", () => { view.smooth = Number(at("smooth").value) ** 2 / 4; changedView(); });
  at("log").addEventListener("change", () => { view.log = at("log").checked; changedView(); });
  at("zoom-in").addEventListener("click", () => zoomBy(0.5));
  at("zoom-out").addEventListener("click", () => zoomBy(2));
  at("zoom-all").addEventListener("click", () => zoomTo(null));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    at("filter").focus();
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) lack(); });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's address bar comes and goes
    width = innerWidth;
    wear(root.dataset.theme);
  });
}

function start() {
  buildTable();
  buildHeat();
  listen();
  if (given.saved) restore();
  else try { Object.assign(view, JSON.parse(sessionStorage.getItem(REMEMBERED)) ?? {}); } catch { /* begin anew */ }
  at("filter").value = view.filter;
  at("log").checked = view.log;
  at("smooth").value = Math.sqrt(4 * view.smooth);
  wear(given.saved ? given.theme : root.dataset.theme);
  tellLive();
  if (!given.saved) { ask(); return; }
  const all = new Set(runs.keys());
  apply({ lines: all, sparks: all, set: true, curves: new Set(), heat: true });
  changedView();
}

start();
