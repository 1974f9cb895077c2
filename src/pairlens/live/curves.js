// The panel of curves: which statistics of which runs, on which axis, how smooth, and which part of it.
const charts = new Map(); // statistic -> Chart
const tip = make("div", { class: "tip", hidden: "" });
let pointed = null; // place on the axis

const AXES = {
  step: { title: "Steps", text: (value) => tickText(value, 1), said: (value) => `step ${thousands(value)}` },
  epoch: { title: "Epochs", text: (value, step) => tickText(value, step), said: (value) => `epoch ${value.toFixed(2)}` },
  time: { title: "Time", text: (value, step) => clockText(value, step), said: (value) => `after ${duration(value)}` },
};

function clockText(seconds, step) {
  if (step >= 3600) return `${Number((seconds / 3600).toFixed(1))} h`;
  return step >= 60 ? `${Math.round(seconds / 60)} min` : `${Number(seconds.toFixed(1))} s`;
}

// A run's steps as places on the axis; null where it does not tell what they are.
function along(run, step) {
  if (view.axis === "step") return step;
  if (view.axis === "epoch") return run.an_epoch ? step.map((value) => value / run.an_epoch) : null;
  const clock = curves.get(key(run.id, "statistics/seconds"));
  return clock && clock.step.length ? step.map((value) => interpolated(clock.step, clock.mean, value)) : null;
}

function interpolated(x, y, wanted) {
  const i = nearest(x, wanted), j = Math.min(x.length - 1, Math.max(0, x[i] < wanted ? i + 1 : i - 1));
  return x[i] === x[j] ? y[i] : y[i] + ((wanted - x[i]) / (x[j] - x[i])) * (y[j] - y[i]);
}

// What a chart draws. Colours tell runs apart; where a run has several spaces dashes tell these apart, as in the report.
function seriesOf(statistic) {
  const found = [];
  const several = view.chosen.some((id) => runs.has(id) && columnsFor(runs.get(id), statistic).length > 1);
  for (const id of view.chosen) {
    const run = runs.get(id);
    for (const [column, space] of run ? columnsFor(run, statistic) : []) {
      const curve = curves.get(key(id, column));
      const x = curve?.step.length ? along(run, curve.step) : null;
      if (!x) continue;
      const style = styleOf(view.places[id]);
      const dash = several ? given.dashes[Math.max(0, run.spaces.indexOf(space)) % 4] : style.dash;
      const name = several && space ? `${run.name} \u00b7 ${space}` : run.name;
      found.push({ id, name, color: style.color, dash, x, raw: curve.mean, y: curve.mean, low: curve.low, high: curve.high, broken: curve.broken });
    }
  }
  return found;
}

function wholeExtent(all) {
  const ends = all.flat().map((one) => one.x.at(-1));
  return [0, Math.max(...ends, 1e-9)];
}

function drawCharts() {
  const shown = [...charts.values()];
  const all = shown.map((chart) => seriesOf(chart.statistic.key));
  const [from, to] = view.zoom ?? wholeExtent(all);
  const width = (view.smooth / 1000) * (to - from);
  shown.forEach((chart, i) => {
    const series = all[i].map((one) => ({ ...one, y: smoothed(one.x, one.raw, width) }));
    const bands = !width && series.length <= 4;
    const guides = chart.statistic.key === "loss" ? guesses() : [];
    chart.todo = () => chart.draw({ series, from, to, axis: AXES[view.axis], log: view.log, bands, guides });
    if (!chart.seen) return;
    soon((chart.run ??= () => { chart.todo(); chart.point(pointed); }));
  });
  put(at("curves-about"), about(all));
}

// The loss of guessing among a positive and K negatives, for each K of the chosen runs.
function guesses() {
  const all = view.chosen.flatMap((id) => runs.get(id)?.negatives ?? []).filter((k) => k > 0);
  const values = [...new Set(all)].sort((a, b) => a - b).map((k) => Math.log(k + 1));
  return values.length > 4 ? [] : values.map((value) => ({ value, text: `log(K+1) = ${value.toFixed(2)}` }));
}

function about(all) {
  if (!view.chosen.length) return "No run is chosen: tick some in the table above.";
  const lacking = view.chosen.filter((id) => !all.some((series) => series.some((one) => one.id === id)));
  const why = { step: "has recorded nothing yet", epoch: "does not say how long its epochs are, or has recorded nothing yet", time: "does not say when its steps were, or has recorded nothing yet" };
  const names = lacking.slice(0, 3).map((id) => runs.get(id)?.name).join(", ");
  const absent = !lacking.length ? "" : given.saved ? ` Of ${names} no curves were saved.` : ` ${names}${lacking.length > 3 ? " and others" : ""}: ${why[view.axis]}.`;
  const bands = all.some((series) => series.length > 4) || view.smooth ? "" : " Pale bands hold every single step.";
  return `Lines are means of blocks of steps.${bands} Drag over a plot to zoom in, double-click to see all; arrow keys read a plot that has the focus, + and \u2212 zoom.${absent}`;
}

// The charts that there are, in the order of the statistics; those that are seen are drawn.
const inSight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const chart = charts.get(target.dataset.statistic);
    if (!chart) continue;
    const before = chart.seen;
    chart.seen = isIntersecting;
    if (isIntersecting && !before && chart.todo) chart.todo();
  }
}, { rootMargin: "150px" });

function arrangeCharts() {
  const there = statisticsThere();
  const shown = there.filter((statistic) => view.statistics.includes(statistic.key));
  switches(at("statistics"), there.map((one) => [one.key, one.title]), (one) => view.statistics.includes(one), (one) => {
    view.statistics = view.statistics.includes(one) ? view.statistics.filter((other) => other !== one) : [...view.statistics, one];
    changedView();
  });
  const spaces = [...new Set(view.chosen.flatMap((id) => runs.get(id)?.spaces ?? []))];
  switches(at("spaces"), spaces.length > 1 ? [["", "All spaces"], ...spaces.map((space) => [space, space])] : [],
    (space) => space === (spaces.includes(view.space) ? view.space : ""), (space) => { view.space = space; changedView(); });
  switches(at("axis"), Object.entries(AXES).map(([name, { title }]) => [name, title]), (name) => name === view.axis, (name) => {
    view.axis = name;
    view.zoom = null;
    changedView();
  });
  options(at("spark"), there.map((one) => [one.key, one.title]), view.spark);
  for (const statistic of shown) if (!charts.has(statistic.key)) charts.set(statistic.key, new Chart(statistic));
  for (const [name, chart] of charts) {
    if (shown.some((one) => one.key === name)) continue;
    inSight.unobserve(chart.element);
    chart.element.remove();
    charts.delete(name);
  }
  const elements = shown.map((one) => charts.get(one.key).element);
  if (elements.some((element, i) => at("charts").children[i] !== element)) at("charts").replaceChildren(...elements);
  for (const element of elements) inSight.observe(element);
  arrangeLegend(spaces);
}

function arrangeLegend(spaces) {
  const items = view.chosen.filter((id) => runs.has(id)).map((id) => {
    const style = styleOf(view.places[id]);
    const stroke = make("span", { class: `stroke ${style.dash}`, style: `--c:var(--${style.color})`, "aria-hidden": "true" });
    const button = make("button", { type: "button", title: "show its pairs" }, stroke, bdi(runs.get(id).name));
    button.addEventListener("click", () => focusOn(id));
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => highlight(id));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => highlight(null));
    return make("li", { "data-id": id }, button);
  });
  const dashes = spaces.length < 2 || spaces.includes(view.space) ? [] : spaces.map((space, i) =>
    make("li", {}, make("span", { class: `stroke ${given.dashes[i % 4]}`, "aria-hidden": "true" }), bdi(space)));
  const text = JSON.stringify([view.chosen, view.places, dashes.length, items.map((item) => item.textContent)]);
  if (at("legend").dataset.shown === text) return;
  at("legend").dataset.shown = text;
  at("legend").replaceChildren(...items, ...dashes);
}

// Pointing, pulling out a part, reading by keyboard ------------------------------------------------------------------
function pointAll(x, chart = null, clientX = 0) {
  pointed = x;
  soon(pointing.run ??= () => { for (const one of charts.values()) if (one.seen) one.point(pointed); });
  if (!chart || x === null || !chart.series.length) { tip.hidden = true; return; }
  const format = (value) => (chart.statistic.share ? percent(value) : number(value, 4));
  const read = chart.series.filter((one) => one.x.length).map((one) => ({ one, value: one.y[nearest(one.x, x)] }));
  read.sort((a, b) => (b.value || -Infinity) - (a.value || -Infinity));
  const lit = read.find(({ one }) => one.id === highlighted);
  const list = read.length > 9 && lit ? [lit, ...read.filter((r) => r !== lit).slice(0, 8)] : read.slice(0, 9);
  tip.replaceChildren(make("b", {}, AXES[view.axis].said(x)), ...list.map(({ one, value }) => {
    const stroke = make("span", { class: `stroke ${one.dash}`, style: `--c:var(--${one.color})` });
    return make("span", { class: "entry", "data-lit": one.id === highlighted ? "true" : null }, stroke, bdi(one.name), make("span", {}, format(value)));
  }), ...(read.length > list.length ? [make("span", { class: "minor" }, `and ${read.length - list.length} more`)] : []));
  tip.hidden = false;
  if (tip.parentElement !== chart.plot) chart.plot.append(tip);
  const box = chart.plot.getBoundingClientRect(), right = clientX - box.left > box.width / 2;
  tip.style.left = right ? "auto" : `${clientX - box.left + 14}px`;
  tip.style.right = right ? `${box.right - clientX + 14}px` : "auto";
}

function pointing(chart) {
  const canvas = chart.base;
  let pulled = null;
  const value = (event) => {
    const { left } = canvas.getBoundingClientRect();
    const px = Math.min(chart.inside.right, Math.max(chart.inside.left, event.clientX - left));
    return chart.x.value(px);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0 || !chart.x) return;
    pulled = value(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!chart.x || !chart.inside) return;
    const x = value(event);
    if (pulled !== null) {
      tip.hidden = true;
      chart.select(pulled, x);
      return;
    }
    highlight(closest(chart, x, event));
    pointAll(x, chart, event.clientX);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (pulled === null) return;
    const to = value(event), from = pulled;
    pulled = null;
    if (Math.abs(chart.x.pixel(to) - chart.x.pixel(from)) > 6) zoomTo([Math.min(from, to), Math.max(from, to)]);
  });
  canvas.addEventListener("pointerleave", () => { highlight(null); pointAll(null); });
  canvas.addEventListener("blur", () => pointAll(null));
  canvas.addEventListener("dblclick", () => zoomTo(null));
  canvas.addEventListener("keydown", (event) => {
    if (!chart.x) return;
    const from = chart.x.value(chart.inside.left), to = chart.x.value(chart.inside.right), x = pointed ?? to;
    const next = { ArrowLeft: x - (to - from) / 50, ArrowRight: x + (to - from) / 50, Home: from, End: to }[event.key];
    if (next !== undefined) {
      const inside = Math.min(to, Math.max(from, next));
      pointAll(inside, chart, canvas.getBoundingClientRect().left + chart.x.pixel(inside));
    } else if (event.key === "+" || event.key === "=") zoomBy(0.5, x);
    else if (event.key === "-") zoomBy(2, x);
    else if (event.key === "0" || event.key === "Escape") zoomTo(null);
    else return;
    event.preventDefault();
  });
}

function closest(chart, x, event) {
  const top = event.clientY - chart.base.getBoundingClientRect().top;
  let best = null, least = 24;
  for (const one of chart.series) {
    if (!one.x.length) continue;
    const away = Math.abs(chart.y.pixel(one.y[nearest(one.x, x)]) - top);
    if (away < least) [best, least] = [one.id, away];
  }
  return best;
}

function zoomTo(range) {
  view.zoom = range;
  changedView();
}

function zoomBy(factor, around = null) {
  const whole = wholeExtent([...charts.values()].map((chart) => seriesOf(chart.statistic.key)));
  const [from, to] = view.zoom ?? whole, middle = around ?? (from + to) / 2;
  const low = Math.max(whole[0], middle - (middle - from) * factor), high = Math.min(whole[1], middle + (to - middle) * factor);
  if (high - low > (whole[1] - whole[0]) * 1e-4) zoomTo(low <= whole[0] && high >= whole[1] ? null : [low, high]);
}
