// One plot of curves on two canvases: the curves below, what follows the pointer above, so that pointing redraws little.
const PADDING = { left: 52, right: 10, top: 8, bottom: 22 };

function niceTicks(low, high, about) {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw || 1));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9 && found.length < 20; i += 1) found.push(i * step);
  return { ticks: found, step };
}

// From values to pixels. A logarithmic scale needs values above zero; its ticks are powers of ten, or 1, 2 and 5 times them.
function scale(low, high, from, to, log) {
  const by = log ? Math.log10 : (v) => v;
  const a = by(low), b = by(high) === a ? a + 1 : by(high);
  const pixel = (value) => from + ((by(value) - a) / (b - a)) * (to - from);
  const value = (px) => { const v = a + ((px - from) / (to - from)) * (b - a); return log ? 10 ** v : v; };
  let ticks, step = null;
  if (log) {
    const factors = b - a > 3 ? [1] : [1, 2, 5];
    ticks = [];
    for (let e = Math.floor(a); e <= Math.ceil(b); e += 1) for (const f of factors) ticks.push(f * 10 ** e);
    ticks = ticks.filter((t) => t >= low && t <= high);
  } else ({ ticks, step } = niceTicks(low, high, Math.max(2, Math.abs(to - from) / (from < to ? 80 : 34))));
  return { pixel, value, ticks, step };
}

function tickText(value, step, share) {
  if (share) return `${Number((100 * value).toFixed(step === null ? 3 : Math.max(0, -Math.floor(Math.log10(step)) - 2)))} %`;
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toFixed(2))}M`.replace("-", "\u2212");
  if (size >= 1e4) return `${Number((value / 1e3).toFixed(1))}k`.replace("-", "\u2212");
  if (step === null) return size < 1e-3 ? value.toExponential(0).replace("-", "\u2212") : String(Number(value.toPrecision(3)));
  if (size > 0 && step < 1e-4) return value.toExponential(1).replaceAll("-", "\u2212");
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace("-", "\u2212");
}

// Index of the point that is nearest to x in a rising array.
function nearest(x, wanted) {
  let low = 0, high = x.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] < wanted) low = middle; else high = middle;
  }
  return Math.abs(x[low] - wanted) <= Math.abs(x[high] - wanted) ? low : high;
}

// Means of a curve over its neighbourhood: weights fall exponentially with the distance on the axis, both ways.
function smoothed(x, y, width) {
  if (!(width > 0)) return y;
  const sum = new Float64Array(y.length), weight = new Float64Array(y.length);
  for (const forward of [true, false]) {
    let total = 0, mass = 0, before = null;
    for (let k = 0; k < y.length; k += 1) {
      const i = forward ? k : y.length - 1 - k;
      const keep = before === null ? 0 : Math.exp(-Math.abs(x[i] - before) / width);
      total *= keep;
      mass *= keep;
      if (!forward) { sum[i] += total; weight[i] += mass; } // the point itself counts once
      if (Number.isFinite(y[i])) { total += y[i]; mass += 1; }
      if (forward) { sum[i] += total; weight[i] += mass; }
      before = x[i];
    }
  }
  return y.map((value, i) => (Number.isFinite(value) && weight[i] > 0 ? sum[i] / weight[i] : NaN));
}

class Chart {
  constructor(statistic) {
    this.statistic = statistic;
    this.base = make("canvas", { role: "img", tabindex: 0 });
    this.over = make("canvas", { class: "over", "aria-hidden": "true" });
    this.plot = make("div", { class: "plot" }, this.base, this.over);
    this.value = make("span", { class: "minor" });
    const head = make("figcaption", {}, make("h3", {}, statistic.title, " ", this.value), make("p", { class: "aside" }, statistic.sentence));
    this.element = make("figure", { "data-statistic": statistic.key }, head, this.plot);
    this.series = [];
    this.seen = false;
    pointing(this);
  }

  // Draw all: `series` of {id, name, color, dash, x, y, raw, low, high, broken}, the shown part of the axis and its text,
  // and `guides`: values of {value, text} to compare with.
  draw({ series, from, to, axis, log, bands, guides }) {
    this.series = series;
    const { pen, width, height } = surface(this.base);
    if (width < 40) return;
    const inside = { left: PADDING.left, right: width - PADDING.right, top: PADDING.top, bottom: height - PADDING.bottom };
    const [low, high] = this.extent(from, to, bands, log, guides);
    this.log = log && low > 0;
    this.x = scale(from, to, inside.left, inside.right, false);
    this.y = scale(low, high, inside.bottom, inside.top, this.log);
    this.inside = inside;
    this.drawAxes(pen, axis);
    pen.save();
    pen.beginPath();
    pen.rect(inside.left, inside.top - 3, inside.right - inside.left, inside.bottom - inside.top + 6);
    pen.clip();
    pen.lineJoin = "round";
    const lit = (one) => highlighted === null || one.id === highlighted || !series.some((s) => s.id === highlighted);
    for (const one of [...series.filter((s) => !lit(s)), ...series.filter(lit)]) this.drawCurve(pen, one, lit(one), bands);
    pen.restore();
    for (const guide of guides) this.drawGuide(pen, guide);
    set(this.element, "data-range", `${number(from)} to ${number(to)}`);
    this.describe();
  }

  extent(from, to, bands, log, guides) {
    let low = Infinity, high = -Infinity;
    for (const one of this.series) {
      for (let i = 0; i < one.x.length; i += 1) {
        if (one.x[i] < from || one.x[i] > to) continue;
        const [a, b] = bands ? [one.low[i], one.high[i]] : [one.y[i], one.y[i]];
        if (a < low && !(log && a <= 0 && one.y[i] > 0)) low = a;
        if (b > high) high = b;
      }
    }
    if (!(low <= high)) return [0, 1];
    for (const { value } of view.zoom ? [] : guides) [low, high] = [Math.min(low, value), Math.max(high, value)];
    const pad = log && low > 0 ? 0 : (high - low || Math.abs(high) || 1) * 0.05;
    return [low - pad, high + pad];
  }

  drawAxes(pen, axis) {
    const { left, right, top, bottom } = this.inside;
    pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
    pen.lineWidth = 1;
    pen.strokeStyle = color("line");
    pen.fillStyle = color("muted");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.beginPath();
    for (const tick of this.y.ticks) {
      const y = Math.round(this.y.pixel(tick)) + 0.5;
      pen.moveTo(left, y);
      pen.lineTo(right, y);
      pen.fillText(tickText(tick, this.y.step, this.statistic.share), left - 7, y);
    }
    pen.stroke();
    pen.textBaseline = "alphabetic";
    for (const tick of this.x.ticks) {
      const x = this.x.pixel(tick);
      pen.textAlign = x > right - 18 ? "right" : x < left + 18 ? "left" : "center";
      pen.fillText(axis.text(tick, this.x.step), x, bottom + 16);
    }
  }

  drawGuide(pen, { value, text }) {
    const { left, right, top, bottom } = this.inside, y = this.y.pixel(value);
    if (!(y >= top && y <= bottom)) return;
    pen.strokeStyle = pen.fillStyle = color("muted");
    pen.lineWidth = 1;
    pen.setLineDash([5, 4]);
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(right, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.textAlign = "right";
    pen.textBaseline = "bottom";
    pen.strokeStyle = color("card"); // a halo, as curves may run behind it
    pen.lineWidth = 4;
    pen.strokeText(text, right, y - 2);
    pen.fillText(text, right, y - 2);
  }

  drawCurve(pen, one, lit, bands) {
    const fade = lit ? 1 : 0.22;
    if (bands && lit) {
      pen.globalAlpha = 0.14;
      pen.fillStyle = color(one.color);
      pen.beginPath();
      for (let i = 0; i < one.x.length; i += 1) if (Number.isFinite(one.high[i])) pen.lineTo(this.x.pixel(one.x[i]), this.y.pixel(one.high[i]));
      for (let i = one.x.length - 1; i >= 0; i -= 1) if (Number.isFinite(one.low[i])) pen.lineTo(this.x.pixel(one.x[i]), this.y.pixel(one.low[i]));
      pen.fill();
    }
    pen.strokeStyle = pen.fillStyle = color(one.color);
    if (one.raw !== one.y && lit) this.line(pen, one.x, one.raw, 0.22, 1, []);
    this.line(pen, one.x, one.y, fade, lit && one.id === highlighted ? 2.8 : 1.9, DASHES[one.dash]);
    if (one.x.length === 1) { // a single point makes no line
      pen.beginPath();
      pen.arc(this.x.pixel(one.x[0]), this.y.pixel(one.y[0]), 3, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = fade;
    pen.lineWidth = 1.5;
    for (let i = 0; i < one.x.length; i += 1) if (one.broken[i]) cross(pen, this.x.pixel(one.x[i]), this.inside.top + 6);
    pen.globalAlpha = 1;
  }

  line(pen, x, y, alpha, width, dash) {
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.beginPath();
    for (let i = 0, drawing = false; i < x.length; i += 1) {
      const ok = Number.isFinite(y[i]) && !(this.log && y[i] <= 0);
      if (ok && drawing) pen.lineTo(this.x.pixel(x[i]), this.y.pixel(y[i]));
      else if (ok) pen.moveTo(this.x.pixel(x[i]), this.y.pixel(y[i]));
      drawing = ok;
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  // In words, for who does not see it, and as plain attributes.
  describe() {
    const format = (value) => (this.statistic.share ? percent(value) : number(value));
    const last = this.series.map((one) => [one.name, one.y.findLast(Number.isFinite)]);
    put(this.value, last.length === 1 ? format(last[0][1]) : "");
    const said = last.slice(0, 12).map(([name, value]) => `${name} ${format(value)}`).join(", ");
    set(this.base, "aria-label", `${this.statistic.title} over training; at the end: ${said || "nothing yet"}`);
    set(this.element, "data-points", this.series.reduce((sum, one) => sum + one.x.length, 0));
    set(this.element, "data-last", Math.max(-1, ...this.series.map((one) => one.x.at(-1) ?? -1)));
    set(this.element, "data-log", String(this.log));
  }

  // The upright line at a place of the axis, and a dot on every curve.
  point(x) {
    const { pen } = surface(this.over);
    if (x === null || !this.x || !this.series.length) return;
    const px = this.x.pixel(x), { left, right, top, bottom } = this.inside;
    if (px < left - 1 || px > right + 1) return;
    pen.strokeStyle = color("muted");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(px, top);
    pen.lineTo(px, bottom);
    pen.stroke();
    for (const one of this.series) {
      if (!one.x.length) continue;
      const i = nearest(one.x, x), y = this.y.pixel(one.y[i]), at = this.x.pixel(one.x[i]);
      if (!Number.isFinite(y) || at < left - 1 || at > right + 1) continue;
      pen.fillStyle = color(one.color);
      pen.strokeStyle = color("card");
      pen.beginPath();
      pen.arc(at, y, 4, 0, 7);
      pen.fill();
      pen.stroke();
    }
  }

  // What a pulled-out part of the axis looks like.
  select(from, to) {
    const { pen } = surface(this.over);
    const a = this.x.pixel(from), b = this.x.pixel(to);
    pen.globalAlpha = 0.16;
    pen.fillStyle = color("accent");
    pen.fillRect(Math.min(a, b), this.inside.top, Math.abs(b - a), this.inside.bottom - this.inside.top);
    pen.globalAlpha = 1;
  }
}

function cross(pen, x, y) {
  pen.beginPath();
  for (const sign of [-1, 1]) {
    pen.moveTo(x - 3.5, y - 3.5 * sign);
    pen.lineTo(x + 3.5, y + 3.5 * sign);
  }
  pen.stroke();
}
