// The heat map of one run's scores: positives and negatives by their cosine over the steps, growing as it trains.
const map = make("canvas", { role: "img", tabindex: 0 }), mapPlot = make("div", { class: "plot tall" }, map);
const mapAbout = { from: 0, to: 1, low: -1, high: 1 };

function arrangeHeat() {
  const there = [...runs.values()].filter((run) => view.chosen.includes(run.id) || run.id === view.focus);
  options(at("focus"), there.map((run) => [run.id, run.name]), view.focus ?? "");
  const run = runs.get(view.focus);
  switches(at("heat-space"), (run?.spaces ?? []).map((space) => [space, space]), (space) => space === view.heatSpace, (space) => { view.heatSpace = space; changedView(); });
  const stages = run?.transformed ? [["raw_", "Before the transform"], ["", "After the transform"]] : [];
  switches(at("heat-stage"), stages, (stage) => stage === view.stage, (stage) => { view.stage = stage; changedView(); });
}

const isShown = () => heat && heat.run === view.focus && heat.space === view.heatSpace && heat.stage === view.stage;

function heatWords() {
  const run = runs.get(view.focus);
  if (!run) return "No run is chosen: tick one in the table above.";
  const notes = [run.note, run.health].filter(Boolean).join(" ");
  const words = !run.histograms ? "It has recorded no histograms of its scores." : isShown() ? heatAt(heat.step.length - 1) : given.saved ? "Its histograms were not saved." : "";
  return [words, notes].filter(Boolean).join(" ");
}

function heatAt(column) {
  const said = ["positive", "negative"].map((kind) => {
    const [mean, deviation] = moments(kind, column);
    return Number.isFinite(mean) ? `${kind}s ${number(mean, 2)} \u00b1 ${number(deviation, 2)}` : `no ${kind}s`;
  });
  return `Around step ${thousands(heat.step[column])}: ${said.join(", ")}.`;
}

function moments(kind, column) {
  const { bins, low, high } = heat, width = (high - low) / bins;
  let mass = 0, sum = 0, square = 0;
  for (let i = 0; i < bins; i += 1) {
    const share = heat[kind][column * bins + i], cosine = low + width * (i + 0.5);
    mass += share;
    sum += share * cosine;
    square += share * cosine * cosine;
  }
  return [sum / mass, Math.sqrt(Math.max(0, square / mass - (sum / mass) ** 2))];
}

// The range of cosines outside which next to nothing lies, and the share of a bin that gets the full colour.
function heatRange() {
  const { bins, low, high } = heat, columns = heat.step.length, totals = new Float64Array(bins), peaks = [];
  for (const kind of ["positive", "negative"]) {
    for (let c = 0; c < columns; c += 1) {
      let peak = 0;
      for (let i = 0; i < bins; i += 1) {
        const share = heat[kind][c * bins + i];
        totals[i] = Math.max(totals[i], share / 2);
        if (share > peak) peak = share;
      }
      if (peak) peaks.push(peak);
    }
  }
  const inside = (share) => share > 0.004, width = (high - low) / bins;
  const first = Math.max(0, totals.findIndex(inside)), last = Math.max(first, totals.findLastIndex(inside));
  peaks.sort((a, b) => a - b);
  return { bottom: low + width * first, top: low + width * (last + 1), full: peaks[Math.floor(peaks.length * 0.9)] || 1 };
}

function heatImage(kind, full) {
  const { bins } = heat, columns = heat.step.length;
  const made = make("canvas");
  made.width = columns;
  made.height = bins;
  const pen = made.getContext("2d"), image = pen.createImageData(columns, bins);
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(color(kind).slice(i, i + 2), 16));
  for (let c = 0; c < columns; c += 1) {
    for (let i = 0; i < bins; i += 1) {
      const at = 4 * ((bins - 1 - i) * columns + c), share = Math.min(1, heat[kind][c * bins + i] / full);
      image.data[at] = red;
      image.data[at + 1] = green;
      image.data[at + 2] = blue;
      image.data[at + 3] = share > 0 ? 242 * share ** 0.55 : 0; // as the report's: small shares can be seen
    }
  }
  pen.putImageData(image, 0, 0);
  return made;
}

function drawHeat() {
  put(at("heat-words"), heatWords());
  const ok = isShown() && heat.step.length > 0;
  mapPlot.hidden = !ok;
  if (!ok || !map.clientWidth) return;
  const { pen, width, height } = surface(map);
  const inside = { left: PADDING.left, right: width - PADDING.right, top: PADDING.top, bottom: height - PADDING.bottom };
  const { bottom, top, full } = heatRange(), columns = heat.step.length;
  const each = columns > 1 ? heat.step[1] - heat.step[0] : Math.max(1, heat.last + 1);
  const from = heat.step[0] - (columns > 1 ? each / 2 : 0), to = Math.max(heat.last, from + 1e-6);
  const x = scale(Math.max(0, from), to, inside.left, inside.right, false), y = scale(bottom, top, inside.bottom, inside.top, false);
  Object.assign(mapAbout, { x, y, inside });
  Chart.prototype.drawAxes.call({ inside, x, y, statistic: { share: false } }, pen, AXES.step);
  pen.save();
  pen.beginPath();
  pen.rect(inside.left, inside.top, inside.right - inside.left, inside.bottom - inside.top);
  pen.clip();
  const upper = y.pixel(heat.high), lower = y.pixel(heat.low);
  for (const kind of ["negative", "positive"]) {
    pen.drawImage(heatImage(kind, full), x.pixel(from), upper, x.pixel(from + each * columns) - x.pixel(from), lower - upper);
  }
  for (const kind of ["negative", "positive"]) drawMoments(pen, kind, x, y);
  pen.restore();
  const run = runs.get(view.focus);
  set(map, "aria-label", `heat map of the scores of ${run.name} over training. ${heatAt(columns - 1)}`);
  set(at("heat"), "data-columns", columns);
  set(at("heat"), "data-last", heat.last);
}

function drawMoments(pen, kind, x, y) {
  const [mean, variance] = ["mean", "variance"].map((m) => curves.get(key(view.focus, `statistics/${view.heatSpace}.${view.stage}${kind}_${m}`)));
  if (!mean || !variance) return;
  const paths = [[0, [], 5, color("card"), 0.5], [-1, [2, 3], 1, color(`${kind}-line`), 1], [1, [2, 3], 1, color(`${kind}-line`), 1], [0, [], 2.2, color(`${kind}-line`), 1]];
  for (const [sign, dash, width, stroke, alpha] of paths) {
    pen.setLineDash(dash);
    pen.lineWidth = width;
    pen.strokeStyle = stroke;
    pen.globalAlpha = alpha;
    pen.beginPath();
    for (let i = 0; i < Math.min(mean.step.length, variance.step.length); i += 1) {
      const value = mean.mean[i] + sign * Math.sqrt(Math.max(0, variance.mean[i]));
      if (Number.isFinite(value)) pen.lineTo(x.pixel(mean.step[i]), y.pixel(value));
    }
    pen.stroke();
  }
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

function buildHeat() {
  at("heat").append(mapPlot);
  at("focus").addEventListener("change", () => focusOn(at("focus").value));
  let column = null;
  const tell = (wanted) => {
    column = Math.max(0, Math.min(heat.step.length - 1, wanted));
    put(at("heat-words"), heatAt(column));
  };
  map.addEventListener("pointermove", (event) => {
    if (isShown() && mapAbout.x) tell(nearest(heat.step, mapAbout.x.value(event.clientX - map.getBoundingClientRect().left)));
  });
  map.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !isShown()) return;
    tell((column ?? heat.step.length - 1) + move);
    event.preventDefault();
  });
  for (const event of ["pointerleave", "blur"]) map.addEventListener(event, () => { column = null; put(at("heat-words"), heatWords()); });
}
