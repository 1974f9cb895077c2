// What is known of the runs, and what of it is shown. The server is asked for what is lacking (`question`), and its
// answer is put in (`merge`).
const runs = new Map(); // id -> line of the table
const curves = new Map(); // "id TABLE/COLUMN" -> {cursor, step, mean, low, high, broken}
const sparks = new Map(); // id -> {step, mean}
let pairs = []; // [argument, value] by number
let layouts = []; // columns of a run's tables, by number
let heat = null; // of the focused run
let boot = null, version = 0, sparkVersion = 0;

const view = {
  chosen: [], // ids
  places: {}, // id -> place of its colour and dash, kept for as long as it is chosen
  free: true, // whether nobody has chosen yet: new runs then choose themselves
  focus: null,
  sort: ["created", true], // by what, and whether downwards
  filter: "",
  states: [], // that are shown; none are all
  spark: "loss",
  statistics: given.first,
  space: "", // all
  axis: "step",
  smooth: 0, // thousandths of the shown length
  log: false,
  zoom: null, // [from, to] on the axis
  heatSpace: "",
  stage: "",
};

const key = (id, column) => `${id} ${column}`;
const columnsOf = (run) => layouts[run.layout] ?? [];

// The columns of a run that hold a statistic: [column, space] for each of its spaces, or one for the whole run.
// What quality.npy holds ("quality/NAME") is of the encoder's features, unless a space is chosen.
function columnsFor(run, statistic) {
  const there = columnsOf(run);
  if (statistic.startsWith("quality/")) {
    const name = statistic.slice("quality/".length), groups = [view.space, "h", ...run.spaces].filter(Boolean);
    const own = [...groups.map((group) => `quality/${group}.${name}`), statistic].find((column) => there.includes(column));
    return own ? [[own, ""]] : [];
  }
  const spaces = run.spaces.filter((space) => there.includes(`statistics/${space}.${statistic}`));
  if (spaces.length) {
    const wanted = spaces.includes(view.space) ? [view.space] : spaces;
    return wanted.map((space) => [`statistics/${space}.${statistic}`, space]);
  }
  const own = [`statistics/${statistic}`, `probes/${statistic}`].find((column) => there.includes(column));
  return own ? [[own, ""]] : [];
}

// All statistics that some run has: the known ones, then what quality.npy holds beside them.
function statisticsThere() {
  const names = new Set();
  for (const column of new Set(layouts.flat())) {
    const [table, rest] = [column.slice(0, column.indexOf("/")), column.slice(column.indexOf("/") + 1)];
    const name = rest.slice(rest.lastIndexOf(".") + 1);
    names.add(table === "quality" ? `quality/${name}` : name);
  }
  const found = given.statistics.filter((statistic) => names.has(statistic.key));
  for (const name of names) {
    if (!name.startsWith("quality/") || found.some((statistic) => statistic.key === name)) continue;
    found.push({ key: name, title: name.slice("quality/".length), sentence: "Measured on held-out views.", share: false });
  }
  return found;
}

// Every curve that the page shows now.
function wanted() {
  const found = [];
  for (const id of view.chosen) {
    const run = runs.get(id);
    if (!run) continue;
    if (view.axis === "time") found.push([id, "statistics/seconds"]);
    for (const statistic of view.statistics) for (const [column] of columnsFor(run, statistic)) found.push([id, column]);
  }
  const focused = runs.get(view.focus);
  if (focused) for (const column of heatColumns()) if (columnsOf(focused).includes(column)) found.push([view.focus, column]);
  return [...new Map(found.map((one) => [key(...one), one])).values()];
}

function heatColumns() {
  const names = ["positive_mean", "positive_variance", "negative_mean", "negative_variance"];
  return names.map((name) => `statistics/${view.heatSpace}.${view.stage}${name}`);
}

function question() {
  const focused = runs.get(view.focus);
  const same = heat && heat.run === view.focus && heat.space === view.heatSpace && heat.stage === view.stage;
  return {
    boot,
    since: version,
    pairs: pairs.length,
    layouts: layouts.length,
    spark: view.spark,
    spark_since: sparkVersion,
    curves: wanted().map(([id, column]) => [id, column, curves.get(key(id, column))?.cursor ?? null]),
    heat: focused?.histograms
      ? { run: view.focus, space: view.heatSpace, stage: view.stage, cursor: same ? heat.cursor : null }
      : null,
  };
}

// What has changed by an answer: ids of lines and of sparklines, whether runs came or went, keys of curves, the heat map.
function merge(answer, asked) {
  const changed = { lines: new Set(), sparks: new Set(), set: false, curves: new Set(), heat: false };
  if (boot !== null && boot !== answer.boot) { // another server: its numbers mean something else
    runs.clear();
    sparks.clear();
    pairs = [];
    layouts = [];
    changed.set = true;
  }
  boot = answer.boot;
  version = answer.version;
  pairs.push(...answer.pairs);
  layouts.push(...answer.layouts);
  for (const line of answer.runs) {
    changed.set ||= !runs.has(line.id);
    runs.set(line.id, line);
    line.settings = line.arguments.map((n) => pairs[n]);
    changed.lines.add(line.id);
  }
  if (answer.alive) {
    const alive = new Set(answer.alive);
    for (const id of [...runs.keys()]) if (!alive.has(id)) changed.set = runs.delete(id);
  }
  if (asked.spark === view.spark) { // else it was asked before another was chosen
    sparkVersion = answer.version;
    for (const [id, spark] of Object.entries(answer.sparks)) {
      sparks.set(id, spark && { step: decoded(spark.step), mean: decoded(spark.mean) });
      changed.sparks.add(id);
    }
  }
  for (const part of answer.curves) {
    const name = key(part.run, part.column);
    curves.set(name, grown(curves.get(name), part, ["step", "mean", "low", "high", "broken"], 1));
    changed.curves.add(name);
  }
  if (answer.heat) {
    const { run, space, stage } = answer.heat;
    const same = heat && heat.run === run && heat.space === space && heat.stage === stage;
    const whole = grown(same ? heat : undefined, answer.heat, ["step"], 1);
    heat = { ...answer.heat, ...grown(same ? heat : undefined, answer.heat, ["positive", "negative"], answer.heat.bins), ...whole };
    changed.heat = true;
  } else if (asked.heat === null) {
    changed.heat = heat !== null;
    heat = null;
  }
  return changed;
}

// The parts that are held up to a block, and the new ones behind them.
function grown(held, part, names, width) {
  const made = { cursor: part.cursor };
  for (const name of names) {
    const fresh = decoded(part[name]), kept = held ? held[name].subarray(0, part.from * width) : new Float32Array(0);
    made[name] = new Float32Array(kept.length + fresh.length);
    made[name].set(kept);
    made[name].set(fresh, kept.length);
  }
  return made;
}

// Choosing ----------------------------------------------------------------------------------------------------------
function choose(id, on) {
  if (on === view.chosen.includes(id)) return;
  if (on) {
    const taken = new Set(Object.values(view.places));
    let place = 0;
    while (taken.has(place)) place += 1;
    view.places[id] = place;
    view.chosen.push(id);
  } else {
    view.chosen = view.chosen.filter((other) => other !== id);
    delete view.places[id];
  }
}

// As long as nobody has chosen: the running ones, or the four newest.
function chooseByDefault() {
  const newest = [...runs.values()].sort((a, b) => (a.created < b.created ? 1 : -1));
  const running = newest.filter((run) => run.state === "running").slice(0, 8);
  const wantedNow = new Set((running.length ? running : newest.slice(0, 4)).map((run) => run.id));
  for (const id of view.chosen) if (!wantedNow.has(id)) choose(id, false);
  for (const run of newest.reverse()) if (wantedNow.has(run.id)) choose(run.id, true);
}

// What must be so after runs came or went, or others were chosen.
function settle() {
  for (const id of view.chosen) if (!runs.has(id)) choose(id, false);
  if (view.free) chooseByDefault();
  if (!runs.has(view.focus) || (view.free && !view.chosen.includes(view.focus))) view.focus = view.chosen.at(-1) ?? null;
  const focused = runs.get(view.focus);
  if (focused && !focused.spaces.includes(view.heatSpace)) view.heatSpace = focused.spaces[0] ?? "";
  if (focused && !focused.transformed) view.stage = "";
}
