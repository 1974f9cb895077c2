// The map: what its points look like, what is told of them, and whom the reader chooses.
(() => {
  const root = document.documentElement;
  const holder = document.getElementById("map-data");
  const data = JSON.parse(holder.textContent);
  holder.remove();
  const count = data.names.length, { side, columns: across } = data.sheet;
  const get = (id) => document.getElementById(id);
  const make = (name, given = {}, ...children) => {
    const element = Object.assign(document.createElement(name), given);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const unpack = (text, Kind) => new Kind(bytes(text).buffer);
  const number = (value) => Number.isFinite(value) ? String(Number(value.toPrecision(3))).replace("-", "\u2212") : "\u2013";
  const thousands = (value) => value.toLocaleString("en").replaceAll(",", "\u202f");

  for (const column of [data, ...data.tracks].flatMap((part) => part.columns)) {
    if (column.kinds) column.codes = unpack(column.codes, Int16Array);
    else column.values = unpack(column.values, Float32Array);
  }
  for (const track of data.tracks) {
    for (const frame of track.frames) {
      for (const way of ["axes", "tsne"]) if (frame[way]) frame[way] = Float32Array.from(unpack(frame[way], Int16Array));
      frame.near = unpack(frame.near, Uint16Array);
      frame.cosine = unpack(frame.cosine, Uint16Array);
    }
  }
  // How far a map's points lie from its middle, across and along, but for a few odd ones, which may lie beyond.
  const far = (values) => 1.08 * values.map(Math.abs).sort().at(-1 - Math.floor(count / 150)) || 1;
  const reachOf = (places) => [0, 1].map((axis) => far(places.filter((_, i) => i % 2 === axis)));

  // Thumbnails --------------------------------------------------------------------------------------------------
  let sheet = null; // decoded once: a browser may decode an image element anew for every thumbnail
  const cell = (i) => [(i % across) * side, Math.floor(i / across) * side, side, side];
  function thumb(i) {
    const canvas = make("canvas", { width: side, height: side, className: side <= 64 ? "thumb small" : "thumb" });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", data.names[i]);
    canvas.dataset.thumb = String(i);
    if (sheet) canvas.getContext("2d").drawImage(sheet, ...cell(i), 0, 0, side, side);
    return canvas;
  }

  // What a reader has set ---------------------------------------------------------------------------------------
  let track = data.tracks[0], moment = track.frames.length - 1, way = track.frames[moment].tsne ? "tsne" : "axes";
  let marks = "points", column = null, only = -1, chosen = -1;
  const columnsNow = () => [...data.columns, ...track.columns];
  const frame = () => track.frames[moment];

  // Colours and shapes ------------------------------------------------------------------------------------------
  const PALETTE = ["run-0", "run-1", "run-2", "run-3", "run-4", "run-5", "run-6", "run-7", "positive", "negative"];
  const BINS = 64;
  let palette = [], ramp = [], ink = "#000", muted = "#777", paper = "#fff", wardrobe = new Map(), looks = [];
  function dress() {
    const style = getComputedStyle(root), read = (name) => style.getPropertyValue(`--${name}`).trim();
    palette = PALETTE.map(read);
    [ink, muted, paper] = ["ink", "muted", "card"].map(read);
    const stops = column?.cyclic ? data.cycle : data.scale;
    ramp = Array.from({ length: BINS }, (_, bin) => {
      const at = (bin / (BINS - 1)) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
      const mixed = stops[low].map((v, c) => Math.round(v + (stops[low + 1][c] - v) * (at - low)));
      return `rgb(${mixed.join(",")})`;
    });
    wardrobe = new Map();
    looks = Array.from({ length: count }, (_, i) => look(i));
  }
  let low = 0, high = 1;
  function measure() { // the scale ends at the 2nd and 98th hundredth, so that one odd value does not take it all
    const known = [...(column?.values ?? [])].filter(Number.isFinite).sort((a, b) => a - b);
    [low, high] = column?.cyclic && column.unit ? [0, 360] : column?.cyclic ? [0, 1]
      : [known[Math.floor(0.02 * known.length)] ?? 0, known[Math.ceil(0.98 * known.length) - 1] ?? 1];
    if (!(high > low)) high = low + 1;
  }
  const binOf = (value) => Math.round(Math.min(1, Math.max(0, (value - low) / (high - low))) * (BINS - 1));
  function look(i) { // of a point
    if (!column) return dressed(palette[0], 0);
    if (column.kinds) return kindLook(column.codes[i]);
    return Number.isFinite(column.values[i]) ? dressed(ramp[binOf(column.values[i])], 0) : dressed(muted, 7);
  }
  function kindLook(code) {
    if (code < 0) return dressed(muted, 7);
    const turn = Math.floor(code / PALETTE.length);
    return dressed(palette[code % PALETTE.length], (code + 3 * turn) % scatter.shapes.length);
  }
  function dressed(colour, shape) { // a look, with its stamps by their radius; points that look alike share it
    const key = `${colour} ${shape}`;
    if (!wardrobe.has(key)) wardrobe.set(key, { colour, shape, made: new Map() });
    return wardrobe.get(key);
  }
  function stampOf(worn, radius) {
    let made = worn.made.get(radius);
    if (!made) {
      const density = devicePixelRatio || 1, size = Math.ceil(3.4 * radius + 4);
      made = make("canvas", { width: size * density, height: size * density });
      made.extent = size;
      const context = made.getContext("2d");
      context.scale(density, density);
      context.translate(size / 2, size / 2);
      context.beginPath();
      scatter.shapes[worn.shape](context, radius);
      context.fillStyle = worn.colour;
      context.strokeStyle = paper;
      context.lineWidth = 0.7;
      context.fill();
      context.stroke();
      if (!column?.kinds) { context.strokeStyle = muted; context.lineWidth = 0.4; context.stroke(); }
      worn.made.set(radius, made);
    }
    return made;
  }
  const full = count > 3000 ? 3.2 : count > 1000 ? 3.9 : count > 200 ? 4.8 : 6.5;
  let usual = full; // radius of a point, pixels
  function stamp(context, i, x, y, enlarged, how) {
    const worn = looks[i], loud = how === "near" || how === "chosen" || how === "pointed";
    const grown = Math.min(2, Math.sqrt(Math.max(1, enlarged)) * 0.5 + 0.5);
    context.globalAlpha = how === "faded" ? 0.16 : 1;
    if (marks === "images" && sheet) {
      const half = (usual * 2.6 * Math.min(3, grown * Math.sqrt(grown)) + (loud ? 4 : 0)) | 0;
      context.drawImage(sheet, ...cell(i), x - half, y - half, 2 * half, 2 * half);
      if (column?.kinds || loud) {
        context.strokeStyle = how === "chosen" || how === "pointed" ? ink : worn.colour;
        context.lineWidth = loud ? 2.5 : 1.2;
        context.strokeRect(x - half, y - half, 2 * half, 2 * half);
      }
    } else {
      const made = stampOf(worn, Math.round(usual * grown * (loud ? 1.5 : 1) * 4) / 4), half = made.extent / 2;
      context.drawImage(made, Math.round(x - half), Math.round(y - half), made.extent, made.extent);
      if (how === "chosen" || how === "pointed") {
        context.strokeStyle = ink;
        context.lineWidth = how === "chosen" ? 2.4 : 1.6;
        context.beginPath();
        context.arc(x, y, usual * grown * 1.5 + 5, 0, 2 * Math.PI);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  // The field ---------------------------------------------------------------------------------------------------
  const valueOf = (i, one = column) => {
    if (one.kinds) return one.kinds[one.codes[i]] ?? "none";
    return `${number(one.values[i])}${Number.isFinite(one.values[i]) && one.unit ? `\u202f${one.unit}` : ""}`;
  };
  const tip = get("tip"), canvas = get("field");
  const field = scatter.make(canvas, count, {
    stamp,
    ink: () => ink,
    faded: (i) => only >= 0 && column?.kinds && column.codes[i] !== only,
    chose: (i) => choose(i),
    spoken: (i) => { get("told").textContent = `${data.names[i]}${column ? `, ${column.name} ${valueOf(i)}` : ""}`; },
    told(i, x, y) {
      tip.hidden = i < 0;
      if (i < 0) return;
      if (tip.dataset.image !== String(i) || tip.dataset.by !== column?.name) {
        tip.dataset.image = String(i);
        tip.dataset.by = column?.name ?? "";
        tip.replaceChildren(thumb(i), make("div", {}, make("bdi", { textContent: data.names[i] })));
        const told = make("bdi");
        if (column) { told.textContent = valueOf(i); tip.append(make("div", {}, `${column.name}: `, told)); }
      }
      const width = tip.offsetWidth, height = tip.offsetHeight;
      const left = x + 16 + width > canvas.clientWidth ? x - width - 14 : x + 16;
      const top = Math.min(Math.max(4, y - height / 2), Math.max(4, canvas.clientHeight - height - 4));
      tip.style.transform = `translate(${Math.round(Math.max(2, left))}px,${Math.round(top)}px)`;
      tip.dataset.x = x;
      tip.dataset.y = y;
    },
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => ({ nearer: () => field.zoom(1.5), farther: () => field.zoom(1 / 1.5), all: field.all })[button.dataset.zoom]());
  }

  // Moments -----------------------------------------------------------------------------------------------------
  const slider = get("moment"), play = get("play");
  let playing = null;
  function show(glide) {
    const now = frame(), shown = now[way] ? way : "axes";
    field.show(now[shown], reachOf(now[shown]), glide);
    slider.value = String(moment);
    slider.setAttribute("aria-valuetext", now.title);
    get("when").textContent = now.title;
    const along = now.explained.map((share) => `${(100 * share).toFixed(0)} %`).join(" and ");
    get("caption").textContent = now.flat ? "At this moment all images have the same features: there is nothing to map."
      : shown === "axes" ? `Along the two axes of greatest variance, which hold ${along} of it.`
      : "t-SNE: neighbourhoods mean something, distances between groups and their sizes do not.";
    for (const dot of document.querySelectorAll(".curves circle")) {
      dot.classList.toggle("now", Number(dot.dataset.moment) === moment && dot.getClientRects().length > 0);
    }
    canvas.dataset.moment = String(moment);
    if (chosen >= 0) choose(chosen, false);
  }
  function go(to) {
    moment = Math.min(track.frames.length - 1, Math.max(0, to));
    show(true);
  }
  function stop() {
    clearInterval(playing);
    playing = null;
    play.textContent = "Play";
  }
  slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
  play.addEventListener("click", () => {
    if (playing !== null) { stop(); return; }
    go(moment >= track.frames.length - 1 ? 0 : moment + 1);
    playing = setInterval(() => (moment >= track.frames.length - 1 ? stop() : go(moment + 1)), 1100);
    play.textContent = "Stop";
  });

  // Colour and legend -------------------------------------------------------------------------------------------
  const select = get("colour"), legend = get("legend");
  function paint() {
    column = columnsNow()[select.selectedIndex] ?? null;
    only = -1;
    measure();
    dress();
    legend.replaceChildren(...(column ? [make("p", { textContent: column.words })] : []));
    if (column?.kinds) legend.append(kindList());
    else if (column) legend.append(...scaleOf());
    field.again();
  }
  function kindList() {
    const counts = new Map();
    for (const code of column.codes) counts.set(code, (counts.get(code) ?? 0) + 1);
    const list = make("ul");
    for (const code of [...column.kinds.keys(), ...(counts.has(-1) ? [-1] : [])]) {
      if (!counts.has(code)) continue;
      const made = stampOf(kindLook(code), 5), glyph = make("canvas", { width: made.width, height: made.height });
      glyph.getContext("2d").drawImage(made, 0, 0);
      const name = make("bdi", { textContent: column.kinds[code] ?? "none" });
      const button = make("button", { type: "button" }, glyph, name, make("small", { textContent: thousands(counts.get(code)) }));
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        for (const other of list.querySelectorAll("button")) other.setAttribute("aria-pressed", String(on && other === button));
        only = on ? code : -1;
        if (code < 0) only = -1;
        field.again();
      });
      list.append(make("li", {}, button));
    }
    return list;
  }
  function scaleOf() {
    const bar = make("canvas", { width: BINS, height: 1, className: "ramp-scale" }), context = bar.getContext("2d");
    ramp.forEach((colour, bin) => { context.fillStyle = colour; context.fillRect(bin, 0, 1, 1); });
    const end = (value) => make("span", { textContent: `${number(value)}${column.unit ? `\u202f${column.unit}` : ""}` });
    const parts = [bar, make("div", { className: "ramp-ends" }, end(low), end(high))];
    const missing = [...column.values].filter((value) => !Number.isFinite(value)).length;
    if (missing) parts.push(make("p", { textContent: `${thousands(missing)} have none: gray crosses` }));
    return parts;
  }
  function fill() { // the columns of this encoder
    const before = column?.name;
    select.replaceChildren(...columnsNow().map((one) => make("option", { textContent: one.name })));
    const same = columnsNow().findIndex((one) => one.name === before);
    const kinds = columnsNow().findIndex((one) => one.kinds);
    select.selectedIndex = same >= 0 ? same : Math.max(0, kinds);
    paint();
  }
  select.addEventListener("change", paint);

  // Choosing an image -------------------------------------------------------------------------------------------
  const panel = get("chosen");
  function choose(i, scroll = false) {
    chosen = i;
    panel.hidden = i < 0;
    if (i < 0) { field.choose(-1, []); panel.replaceChildren(); return; }
    const now = frame(), near = [...now.near.subarray(i * track.k, (i + 1) * track.k)];
    field.choose(i, now.flat ? [] : near);
    field.reveal(i);
    const facts = make("dl");
    for (const one of columnsNow()) {
      const value = make("dd", {}, make("bdi", { textContent: valueOf(i, one) }));
      facts.append(make("div", {}, make("dt", { textContent: one.name }), value));
    }
    const row = make("ol", { className: "near-row" });
    near.forEach((j, place) => {
      const cosine = (now.cosine[i * track.k + place] / 65535) * 2 - 1;
      const known = data.labels && data.labels[i] >= 0 && data.labels[j] >= 0, same = known && data.labels[i] === data.labels[j];
      const words = make("p", {}, make("b", { textContent: cosine.toFixed(3).replace("-", "\u2212") }), known ? (same ? " \u2713 " : " \u2717 ") : " ",
        make("bdi", { textContent: data.names[j] }));
      const button = make("button", { type: "button" }, thumb(j), words);
      button.dataset.near = String(j);
      if (known) button.title = same ? "the same label" : "another label";
      button.addEventListener("click", () => choose(j));
      row.append(make("li", { className: known ? (same ? "same" : "other") : "" }, button));
    });
    const close = make("button", { type: "button", textContent: "Close" });
    close.addEventListener("click", () => choose(-1));
    const what = now.flat ? "All images have the same features, so all are equally near." : "Its nearest neighbours by cosine at this moment, the most similar first";
    const caption = make("figcaption", {}, make("bdi", { textContent: data.names[i] }), make("span", { textContent: `number ${thousands(data.index[i])}` }));
    panel.replaceChildren(make("header", {}, make("h3", { textContent: what }), close), make("figure", {}, thumb(i), caption), row, facts);
    if (scroll) get("map").scrollIntoView({ block: "start" });
  }
  document.addEventListener("click", (event) => {
    const shot = event.target.closest("[data-image]:not(#tip)");
    if (shot) choose(Number(shot.dataset.image), true);
    const dot = event.target.closest("circle[data-moment]");
    if (dot) { stop(); go(Number(dot.dataset.moment)); }
    if (!event.target.closest(".search")) hits.hidden = true;
    const button = event.target.closest(".switch button");
    if (!button) return;
    const { group } = button.parentElement.dataset, { value } = button.dataset;
    if (group === "projection") { way = value; show(true); }
    if (group === "marks") { marks = value; field.again(); }
    if (group === "track") { stop(); enter(data.tracks[Number(value)]); }
  });

  // Search ------------------------------------------------------------------------------------------------------
  const search = get("search"), hits = get("hits");
  function matches(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const found = [];
    if (/^\d+$/.test(wanted)) { const at = data.index.indexOf(Number(wanted)); if (at >= 0) found.push(at); }
    for (let i = 0; i < count && found.length < 8; i += 1) {
      if (data.names[i].toLowerCase().includes(wanted) && !found.includes(i)) found.push(i);
    }
    return found;
  }
  function take(i) { hits.hidden = true; choose(i); canvas.focus({ preventScroll: true }); }
  search.addEventListener("input", () => {
    const found = matches(search.value);
    hits.hidden = !search.value.trim();
    hits.replaceChildren(...found.map((i) => {
      const button = make("button", { type: "button" }, thumb(i), make("bdi", { textContent: data.names[i] }));
      button.addEventListener("click", () => take(i));
      return button;
    }));
    if (!found.length) hits.append(make("p", { className: "minor", textContent: "No image on the map has this name." }));
  });
  search.addEventListener("keydown", (event) => {
    const [first] = matches(search.value);
    if (event.key === "Enter" && first !== undefined) take(first);
    if (event.key === "Escape") hits.hidden = true;
  });

  function enter(next) {
    track = next;
    moment = track.frames.length - 1;
    slider.max = String(track.frames.length - 1);
    get("time").hidden = track.frames.length < 2;
    fill();
    show(false);
  }
  new ResizeObserver(() => { usual = full * Math.min(1, Math.max(0.7, Math.sqrt(canvas.clientWidth / 600))); }).observe(canvas);
  new MutationObserver(() => { dress(); paintKeeping(); }).observe(root, { attributeFilter: ["data-theme"] });
  function paintKeeping() { // in the colours of another theme
    const kept = only;
    paint();
    only = kept;
    legend.querySelectorAll("button").forEach((button, place) => button.setAttribute("aria-pressed", String(place === kept)));
    field.again();
  }

  createImageBitmap(new Blob([bytes(data.sheet.webp)], { type: "image/webp" })).then((decoded) => {
    sheet = decoded;
    for (const waiting of document.querySelectorAll("canvas[data-thumb]")) {
      waiting.getContext("2d").drawImage(sheet, ...cell(Number(waiting.dataset.thumb)), 0, 0, side, side);
    }
    canvas.dataset.pictures = "true";
    field.again();
  });
  enter(track);
})();
