// Small things that every part uses. Text of others only ever becomes text: nothing here makes markup of strings.
const given = JSON.parse(document.getElementById("given").textContent);
const skeleton = document.body.innerHTML; // before anything is drawn: what a saved page begins with
const root = document.documentElement;
const at = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const bdi = (text) => make("bdi", {}, text); // names keep their writing direction to themselves

function put(element, text) { // as text, and only where it differs
  if (element.textContent !== text) element.textContent = text;
}

function set(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// Numbers as the report writes them ------------------------------------------------------------------------------
const DASH = "\u2013";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
const thousands = (value) => (known(value) ? Math.round(value).toLocaleString("en").replaceAll(",", "\u202f") : DASH);
const percent = (share, digits = 1) => (known(share) ? `${(100 * share).toFixed(digits)}\u00a0%` : DASH);

function number(value, digits = 3) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(digits - 1).replaceAll("-", "\u2212");
  const places = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  const [whole, rest] = size.toFixed(places).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return (value < 0 ? "\u2212" : "") + grouped + (rest ? `.${rest}` : "");
}

function duration(seconds) {
  if (!known(seconds)) return DASH;
  const minutes = Math.floor(Math.round(seconds) / 60), hours = Math.floor(minutes / 60);
  if (hours) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return minutes ? `${minutes} min ${String(Math.round(seconds) % 60).padStart(2, "0")} s` : `${Math.round(seconds)} s`;
}

function moment(text) { // a time of a file in the reader's own zone, to the minute
  const when = new Date(text);
  if (!text || Number.isNaN(when.getTime())) return text || DASH;
  const two = (value) => String(value).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${two(when.getHours())}:${two(when.getMinutes())}`;
}

// Arrays travel as base64 of little-endian float32; a saved page keeps them so --------------------------------------
const decoded = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
function encoded(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

// Colours of the theme, read once for each theme --------------------------------------------------------------------
let colors = {};
function color(name) {
  return (colors[name] ??= getComputedStyle(root).getPropertyValue(`--${name}`).trim());
}
const DASHES = { solid: [], dash: [7, 4], dot: [2, 3], dashdot: [8, 3, 2, 3] };
const styleOf = (place) => ({ color: `run-${place % 8}`, dash: given.dashes[place % given.dashes.length] });

// Buttons of which one or several are pressed -----------------------------------------------------------------------
function switches(element, options, pressed, press) {
  const wanted = JSON.stringify(options);
  if (element.dataset.options !== wanted) {
    element.dataset.options = wanted;
    element.replaceChildren(...options.map(([value, text]) => {
      const button = make("button", { type: "button", "data-value": value }, text);
      button.addEventListener("click", () => press(value));
      return button;
    }));
  }
  for (const button of element.children) set(button, "aria-pressed", String(pressed(button.dataset.value)));
  element.hidden = options.length < 2;
}

function options(select, wanted, chosen) {
  const text = JSON.stringify(wanted);
  if (select.dataset.options !== text) {
    select.dataset.options = text;
    select.replaceChildren(...wanted.map(([value, shown]) => make("option", { value }, shown)));
  }
  if (select.value !== chosen) select.value = chosen;
}

// A drawing surface in true pixels; its size is known to whoever draws --------------------------------------------------
function surface(canvas) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

// At most once a frame, however often it is asked for; one piece of work a frame, so that none is long ------------------
const waiting = new Set();
let framed = false;
function soon(work) {
  waiting.add(work);
  if (framed) return;
  framed = true;
  requestAnimationFrame(function frame() {
    const began = performance.now();
    for (const next of waiting) {
      waiting.delete(next);
      next();
      if (performance.now() - began > 12) break;
    }
    framed = waiting.size > 0;
    if (framed) requestAnimationFrame(frame);
  });
}
