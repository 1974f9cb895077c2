"use strict";
(() => {
  const root = document.documentElement;
  const dark = JSON.parse(document.getElementById("dark-colors").textContent);
  const touch = matchMedia("(pointer: coarse)").matches;

  // Figures -----------------------------------------------------------------------------------------------------
  const sources = new Map(); // chart element -> its figure in light colours
  for (const element of document.querySelectorAll(".chart")) {
    const script = element.querySelector("script");
    sources.set(element, JSON.parse(script.textContent));
    script.remove();
  }

  // The figure in the colours of the theme; words are left alone, for a name may look like a colour.
  const words = new Set(["text", "name", "ticktext", "customdata", "hovertemplate"]);
  function themed(value) {
    if (root.dataset.theme !== "dark") return value;
    if (typeof value === "string") return dark[value] ?? value;
    if (Array.isArray(value)) return value.map(themed);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, words.has(k) ? v : themed(v)]));
  }

  // Overlaid curves are made in steps; where every trace tells how many make an epoch they can stand over epochs.
  let axis = "step";
  const countsEpochs = (element) => sources.get(element).data.every((trace) => trace.meta?.epoch);
  const numbers = (spec) => (Array.isArray(spec) ? spec : new Float32Array(bytesOf(spec)));
  const bytesOf = (spec) => Uint8Array.from(atob(spec.bdata), (c) => c.charCodeAt(0)).buffer;
  function overEpochs(figure) {
    for (const trace of figure.data) {
      trace.x = numbers(trace.x).map((step) => step / trace.meta.epoch);
      trace.hovertemplate = trace.hovertemplate?.replace(/^step %\{x:[^}]*\}/, "epoch %{x:.2f}");
    }
    figure.layout.xaxis.title.text = "epoch";
  }

  // What a figure shows beside its lines: buttons that save it, and one that shows all of it again.
  const isDeep = (figure) => figure.data.some((trace) => ["scatter3d", "surface"].includes(trace.type));
  const config = (element) => {
    const deep = isDeep(sources.get(element));
    const formats = deep ? ["png"] : ["svg", "png"]; // what WebGL draws is a bitmap in any format
    const buttons = formats.map((format) => ({
      name: format,
      title: `Save as ${format.toUpperCase()}`,
      icon: { svg: `<svg viewBox="0 0 26 14"><text x="13" y="11" text-anchor="middle">${format.toUpperCase()}</text></svg>` },
      click: () => save(element, format),
    }));
    const reset = deep ? "resetCameraDefault3d" : "resetScale2d";
    return { displaylogo: false, responsive: true, scrollZoom: false, modeBarButtons: [[...buttons, reset]] };
  };

  // A saved figure stands alone: what the page says around it goes into it.
  function save(element, format) {
    const { data, layout } = worn(element);
    const heading = element.parentElement.querySelector("h3")?.textContent ?? "";
    const deep = isDeep({ data }); // there an axis names the lines
    for (const trace of data) trace.showlegend = !deep && trace.showlegend !== false && Boolean(trace.name);
    const entries = data.filter((trace) => trace.showlegend).length;
    layout.showlegend ||= entries > 1;
    const beside = entries > 4; // one below the other, and the figure tall enough for all of them
    if (beside) Object.assign(layout.legend, { orientation: "v", x: 1.02, y: 1, yanchor: "top" });
    const height = Math.max(element.clientHeight, beside ? 20 * entries + 70 : 0);
    layout.paper_bgcolor = getComputedStyle(root).getPropertyValue("--card").trim();
    if (layout.yaxis?.title && !layout.yaxis.title.text) layout.yaxis.title.text = heading;
    const words = [element.closest("section").id, element.dataset.name ?? heading];
    const filename = ["pairlens", ...words].join(" ").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/-$/, "");
    const size = { width: element.clientWidth, height, scale: format === "png" ? 3 : 1 };
    return Plotly.downloadImage({ data, layout }, { format, filename, ...size });
  }

  // Three dimensions need WebGL, of which a browser gives a page a few contexts: figures that are hidden give theirs back.
  let webgl; // asked once, and only where it is needed
  const hasWebgl = () => (webgl ??= ["webgl2", "webgl"].some((kind) => document.createElement("canvas").getContext(kind)));
  function excuse(element) {
    const words = document.createElement("p");
    words.className = "notice";
    words.textContent = "This browser has no WebGL, so nothing is drawn in three dimensions; in two the figure shows the same.";
    element.replaceChildren(words);
    element.style.height = "auto";
    sources.delete(element);
  }
  function releaseHidden() {
    for (const element of sources.keys()) {
      if (!isDeep(sources.get(element)) || !element.dataset.drawn || shown(element)) continue;
      Plotly.purge(element);
      delete element.dataset.drawn;
      delete element.dataset.look;
    }
  }

  const look = (element) => root.dataset.theme + (countsEpochs(element) ? axis : "");
  function worn(element) { // the figure as it is to be drawn now
    const figure = structuredClone(themed(sources.get(element)));
    if (axis === "epoch" && countsEpochs(element)) overEpochs(figure);
    return figure;
  }
  function draw(element) {
    if (isDeep(sources.get(element)) && !hasWebgl()) return excuse(element);
    const figure = worn(element);
    if (touch) figure.layout.dragmode = false; // a finger on a figure scrolls the page
    element.dataset.look = look(element);
    return Plotly.react(element, figure.data, figure.layout, config(element)).then(() => {
      element.dataset.drawn = "true";
      wire(element);
    });
  }

  const shown = (element) => element.offsetParent !== null;
  const stale = (element) => element.dataset.look !== look(element);

  // Draws what is visible and not yet drawn as it should look, a figure at a time so that the page stays responsive.
  let drawing = false;
  async function drawAll() {
    if (drawing) return;
    drawing = true;
    delete root.dataset.ready;
    for (let next; (next = [...sources.keys()].find((e) => shown(e) && stale(e))); ) {
      await draw(next);
      await new Promise((done) => setTimeout(done));
    }
    drawing = false;
    root.dataset.ready = "true";
  }

  // The distribution at a step ----------------------------------------------------------------------------------
  function matrix(spec) { // plotly's typed arrays as rows
    if (Array.isArray(spec)) return spec;
    const values = numbers(spec);
    const columns = Number(spec.shape.split(",")[1]);
    return Array.from({ length: values.length / columns }, (_, i) => values.subarray(i * columns, (i + 1) * columns));
  }

  const thousands = (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  const signed = (value) => value.toFixed(2).replace("-", "\u2212");

  function moments(shares, bins) {
    const mean = shares.reduce((sum, share, i) => sum + share * bins[i], 0);
    const variance = shares.reduce((sum, share, i) => sum + share * (bins[i] - mean) ** 2, 0);
    return { mean, variance, said: `${signed(mean)} ± ${Math.sqrt(variance).toFixed(2)}` };
  }

  function change(before, after) { // what the transform does to both kinds at a step
    const shift = after.positive.mean - before.positive.mean;
    const factor = after.negative.variance / before.negative.variance;
    const spread = Number.isFinite(factor) ? `, and the negatives\u2019 variance is ${factor.toFixed(2)} times what it was` : "";
    return ` The transform moves the positives\u2019 mean by ${shift < 0 ? "" : "+"}${signed(shift)}${spread}.`;
  }

  for (const panel of document.querySelectorAll(".distribution")) {
    const axis = JSON.parse(panel.querySelector("script.axis").textContent);
    const slider = panel.querySelector("input");
    const profile = panel.querySelector("[data-role=profile]");
    const maps = {};
    for (const stage of ["before", "after"]) {
      const map = panel.querySelector(`[data-role=heat-${stage}]`);
      if (map) maps[stage] = sources.get(map).data.slice(0, 2).map((trace) => matrix(trace.z));
    }
    const at = (stage, kind, place) => maps[stage][kind === "negative" ? 0 : 1].map((row) => row[place]);
    panel.show = (place) => {
      slider.value = place;
      const step = thousands(axis.step[place]);
      panel.querySelector("output").textContent = step;
      slider.setAttribute("aria-valuetext", `step ${step}`);
      const traces = sources.get(profile).data;
      for (const trace of traces) trace.y = at(...trace.meta, place);
      const positive = at("after", "positive", place), negative = at("after", "negative", place);
      const seen = Object.fromEntries(Object.keys(maps).map((stage) => [stage, {
        positive: moments(at(stage, "positive", place), axis.bins),
        negative: moments(at(stage, "negative", place), axis.bins),
      }]));
      const shared = positive.reduce((sum, share, i) => sum + Math.min(share, negative[i]), 0);
      panel.querySelector(".words").textContent =
        `Positives ${seen.after.positive.said}, negatives ${seen.after.negative.said}; ` +
        `${(100 * shared).toFixed(shared < 0.1 ? 1 : 0)} % of the two distributions overlap.` +
        (seen.before ? change(seen.before, seen.after) : "");
      if (profile.dataset.drawn) draw(profile);
      for (const map of panel.querySelectorAll("[data-role^=heat]")) { // the line that marks the step
        const [line] = sources.get(map).layout.shapes;
        line.x0 = line.x1 = axis.step[place];
        if (map.dataset.drawn) Plotly.relayout(map, { "shapes[0].x0": line.x0, "shapes[0].x1": line.x1 });
      }
    };
    slider.addEventListener("input", () => panel.show(Number(slider.value)));
    panel.nearest = (step) => axis.step.reduce((best, s, i) => (Math.abs(s - step) < Math.abs(axis.step[best] - step) ? i : best), 0);
    panel.show(Number(slider.value));
  }

  function wire(element) { // pointing at a heat map chooses the step
    const panel = element.closest(".distribution");
    if (!panel || element.dataset.wired || element.dataset.role === "profile") return;
    element.dataset.wired = "true";
    let wanted = null;
    element.on("plotly_hover", (event) => {
      if (wanted === null) requestAnimationFrame(() => { panel.show(wanted); wanted = null; });
      wanted = panel.nearest(event.points[0].x);
    });
  }

  // Switches, theme, print --------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".switch button");
    if (!button) return;
    const { group } = button.parentElement.dataset;
    const { value } = button.dataset;
    if (group === "axis") axis = value;
    const before = button.getBoundingClientRect().top;
    for (const set of document.querySelectorAll(".switch")) {
      if (set.dataset.group !== group) continue;
      for (const other of set.children) other.setAttribute("aria-pressed", String(other.dataset.value === value));
    }
    for (const part of document.querySelectorAll(".choice")) {
      if (part.dataset.group === group) part.hidden = part.dataset.value !== value;
    }
    releaseHidden();
    scrollBy(0, button.getBoundingClientRect().top - before); // what changes above must not move what is looked at
    drawAll();
  });

  const toggle = document.getElementById("theme");
  function wear(theme) {
    root.dataset.theme = theme;
    toggle.textContent = theme === "dark" ? "Light" : "Dark";
    return drawAll();
  }
  toggle.addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("pairlens-theme", theme); } catch { /* the choice then lasts as long as the page */ }
    wear(theme);
  });
  let before = null;
  matchMedia("print").addEventListener("change", (event) => {
    if (event.matches) before = root.dataset.theme;
    root.dataset.theme = event.matches ? "light" : before;
    for (const element of sources.keys()) if (shown(element)) draw(element); // at once: printing does not wait
  });

  const links = new Map([...document.querySelectorAll("nav a[href^='#']")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of document.querySelectorAll("section.panel")) seen.observe(section);

  wear(root.dataset.theme);
})();
