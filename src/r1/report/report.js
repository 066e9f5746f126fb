"use strict";
(() => {
  // ---------------------------------------------------------------- small things
  const byId = (id) => document.getElementById(id);
  const json = (id) => JSON.parse(byId(id).textContent);

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    // Strings become text nodes: nothing a model wrote is ever parsed as markup.
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  function shape(tag, attributes) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  }

  function show(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "share") return (100 * value).toFixed(1) + "%";
    if (unit === "seconds") return value.toFixed(2) + " s";
    if (unit === "tokens") return value.toFixed(1);
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
  }

  function showTick(value, unit) {
    if (unit === "share") return Number((100 * value).toFixed(2)) + "%";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e5 || size < 1e-3)) return String(value.toExponential(1)).replace(".0e", "e");
    return Number(value.toPrecision(4)).toLocaleString("en");
  }

  // ---------------------------------------------------------------- charts
  function ticks(low, high, wanted) {
    const rough = (high - low) / Math.max(1, wanted);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9); value * step <= high + step * 1e-9; value++) {
      found.push(Number((value * step).toPrecision(12)));
    }
    return found;
  }

  /** Stacked series become layers: low is the sum of the series below, high adds their own. */
  function stack(chart) {
    const sums = new Map();
    return chart.series.map((series) => {
      const low = series.x.map((x) => sums.get(x) || 0);
      const high = series.y.map((y, index) => low[index] + y);
      series.x.forEach((x, index) => sums.set(x, high[index]));
      return { ...series, low, high };
    });
  }

  function yRange(chart, layers) {
    if (chart.limits) return chart.limits;
    const values = layers.flatMap((s) => (chart.stacked ? s.high : [...s.y, ...s.high, ...s.low]));
    let high = Math.max(...values);
    let low = Math.min(0, ...values);
    // A small figure of a value that stays far from zero shows its movement.
    if (chart.id.startsWith("health") && Math.min(...values) > 0.5 * high) low = Math.min(...values);
    if (high === Math.min(...values)) return high === 0 ? [0, 1] : [Math.min(0, 1.4 * high), Math.max(0, 1.4 * high)];
    const marks = ticks(low, high, 5);
    const step = marks.length > 1 ? marks[1] - marks[0] : high - low;
    if (chart.stacked) return [0, high * 1.04];
    if (chart.unit === "share" && high > 0.9 && high <= 1) return [low, 1];
    return [low === 0 ? 0 : Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
  }

  function path(points) {
    return points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  function area(series, toX, toY) {
    const upper = series.x.map((x, index) => [toX(x), toY(series.high[index])]);
    const lower = series.x.map((x, index) => [toX(x), toY(series.low[index])]).reverse();
    return path([...upper, ...lower]) + "Z";
  }

  function drawAxes(svg, chart, box, range, xs, toX, toY, small) {
    for (const value of ticks(range[0], range[1], small ? 2 : 5)) {
      const y = toY(value);
      svg.append(shape("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }));
      const label = shape("text", { x: box.left - 7, y: y + 3.5, "text-anchor": "end" });
      label.textContent = showTick(value, chart.unit);
      svg.append(label);
    }
    const last = xs[xs.length - 1];
    const wanted = small ? 3 : Math.max(3, Math.floor((box.right - box.left) / 70));
    for (const value of ticks(xs[0], Math.max(last, xs[0] + 1), wanted)) {
      if (!Number.isInteger(value) || value > last) continue; // a step is whole
      const label = shape("text", { x: toX(value), y: box.bottom + 16, "text-anchor": "middle" });
      label.textContent = value.toLocaleString("en");
      svg.append(label);
    }
    if (!small) {
      const label = shape("text", { x: box.right, y: box.bottom + 31, "text-anchor": "end" });
      label.textContent = "step";
      svg.append(label);
    }
    svg.append(shape("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  }

  function drawSeries(svg, chart, series, toX, toY) {
    const tone = `tone-${series.tone % 6}`;
    if (chart.stacked) {
      svg.append(shape("path", { class: `layer ${tone}`, d: area(series, toX, toY), "data-points": series.x.length }));
      return;
    }
    if (series.low.length) svg.append(shape("path", { class: `band ${tone}`, d: area(series, toX, toY) }));
    const points = series.x.map((x, index) => [toX(x), toY(series.y[index])]);
    svg.append(shape("path", {
      class: `curve ${series.style} ${tone}`, d: path(points),
      "data-series": series.name, "data-points": points.length,
    }));
    if (series.style === "marked" || points.length === 1) {
      for (const [cx, cy] of points) svg.append(shape("circle", { class: `point ${tone}`, cx, cy, r: 3 }));
    }
  }

  function draw(figure, chart, small) {
    figure.querySelector("svg")?.remove();
    const width = Math.max(160, figure.clientWidth - (small ? 24 : 32));
    const height = small ? 104 : 246;
    const layers = chart.stacked ? stack(chart) : chart.series;
    const range = yRange(chart, layers);
    const labels = ticks(range[0], range[1], small ? 2 : 5).map((v) => showTick(v, chart.unit).length);
    const box = {
      left: 12 + 6.4 * Math.max(2, ...labels), right: width - 8,
      top: small ? 8 : 10, bottom: height - (small ? 20 : 36),
    };
    const xs = [...new Set(chart.series.flatMap((s) => s.x))].sort((a, b) => a - b);
    const span = xs[xs.length - 1] - xs[0] || 1;
    const toX = (x) => box.left + ((x - xs[0]) / span) * (box.right - box.left);
    const toY = (y) => {
      const share = (y - range[0]) / (range[1] - range[0]);
      return box.bottom - Math.min(1, Math.max(0, share)) * (box.bottom - box.top);
    };
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": describe(chart) });
    drawAxes(svg, chart, box, range, xs, toX, toY, small);
    for (const series of layers) drawSeries(svg, chart, series, toX, toY);
    listen(svg, chart, xs, toX, box, width);
    figure.append(svg);
  }

  function describe(chart) {
    const parts = chart.series.map((s) => `${s.name} from ${show(s.y[0], chart.unit)} to ${show(s.y[s.y.length - 1], chart.unit)}`);
    return `${chart.title}: ${parts.join("; ")}`;
  }

  function listen(svg, chart, xs, toX, box, width) {
    const cursor = shape("line", { class: "cursor", y1: box.top, y2: box.bottom, visibility: "hidden" });
    const surface = shape("rect", { x: box.left - 6, y: 0, width: box.right - box.left + 12, height: box.bottom, fill: "transparent" });
    svg.append(cursor, surface);
    const tooltip = byId("tooltip");
    surface.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const at = ((event.clientX - frame.left) / frame.width) * width;
      const x = xs.reduce((best, candidate) => (Math.abs(toX(candidate) - at) < Math.abs(toX(best) - at) ? candidate : best));
      cursor.setAttribute("x1", toX(x));
      cursor.setAttribute("x2", toX(x));
      cursor.setAttribute("visibility", "visible");
      tooltip.replaceChildren(...hoverLines(chart, x));
      tooltip.hidden = false;
      const left = event.clientX + 16 + tooltip.offsetWidth > innerWidth ? event.clientX - 14 - tooltip.offsetWidth : event.clientX + 16;
      tooltip.style.left = `${Math.max(4, left)}px`;
      tooltip.style.top = `${Math.max(4, event.clientY - tooltip.offsetHeight / 2)}px`;
    });
    surface.addEventListener("pointerleave", () => {
      cursor.setAttribute("visibility", "hidden");
      tooltip.hidden = true;
    });
  }

  function hoverLines(chart, x) {
    const lines = [element("b", {}, `step ${x}`)];
    for (const series of [...chart.series].reverse()) {
      const index = series.x.indexOf(x);
      if (index < 0) continue;
      const bounds = series.low.length ? ` (${show(series.low[index], chart.unit)} – ${show(series.high[index], chart.unit)})` : "";
      lines.push(element("div", { class: `tone-${series.tone % 6}` }, element("i"), series.name,
        element("em", {}, show(series.y[index], chart.unit) + bounds)));
    }
    return lines;
  }

  function addChart(parent, chart, small) {
    const legend = element("div", { class: "legend" });
    if (!small || chart.series.length > 1) {
      const order = chart.stacked ? chart.series : [...chart.series].reverse();
      for (const series of order) {
        const kind = chart.stacked ? "stacked" : series.style;
        legend.append(element("span", { class: `tone-${series.tone % 6}` }, element("i", { class: kind }), series.name));
      }
    }
    const figure = element("figure", { id: `chart-${chart.id}` }, element("figcaption", {},
      element("b", {}, chart.title), element("p", { class: "note" }, chart.note), legend));
    parent.append(figure);
    let drawn = 0;
    new ResizeObserver(() => {
      if (figure.clientWidth === drawn) return;
      drawn = figure.clientWidth;
      draw(figure, chart, small);
    }).observe(figure);
  }

  const figures = json("figures");
  for (const chart of figures.main) addChart(byId("main-charts"), chart, false);
  for (const chart of figures.health) addChart(byId("health-charts"), chart, true);
  byId("health-title").hidden = figures.health.length === 0;

  // ---------------------------------------------------------------- completions
  const ROW_HEIGHT = 54;
  const MARKS = { correct: ["✓", "correct"], wrong: ["✗", "wrong"] };
  const list = byId("list"), space = byId("list-space"), detail = byId("detail");
  let completions = [], partNames = [], filtered = [], chosen = -1;
  let versionsOf = new Map(); // problem index -> step -> completions of its evaluations
  let compare = true;
  let otherSample = 0;

  function decode(table) {
    partNames = table.parts;
    const judge = Math.max(0, partNames.indexOf("accuracy"));
    return table.completions.map((c) => {
      const [id, prompt, reference, family, language] = table.problems[c[0]];
      const parts = c[12];
      const text = c[4];
      return {
        problem: c[0], id, prompt, reference, family, language,
        evaluation: c[1] === 1, step: c[2], sample: c[3], text,
        thinking: c[5] && text.slice(...c[5]), answer: c[6] && text.slice(...c[6]),
        finish: c[7], tokens: c[8], reward: c[9], valid: c[10] === 1, advantage: c[11], parts,
        outcome: parts[judge] ? parts[judge][1] : "not judged",
        haystack: null,
      };
    });
  }

  /** Lower-cased once, at the first search: opening the page need not wait for it. */
  function contains(c, needle) {
    c.haystack ??= `${c.id}\n${c.prompt}\n${c.text}`.toLowerCase();
    return c.haystack.includes(needle);
  }

  const where = (c) => (c.evaluation ? `evaluation, step ${c.step}` : `training, step ${c.step}`);
  const whereKey = (c) => `${c.evaluation ? "e" : "t"}${c.step}`;
  const mark = (outcome) => MARKS[outcome] || ["?", "unsure"];

  function fill(id, all, options) {
    const select = byId(id);
    select.replaceChildren(element("option", { value: "" }, all));
    for (const [value, label] of options) select.append(element("option", { value }, label));
    select.onchange = refilter;
  }

  const distinct = (key) => [...new Set(completions.map((c) => c[key]))].sort().map((v) => [v, v]);

  function load(table) {
    completions = decode(table);
    versionsOf = new Map();
    for (const c of completions) {
      if (!c.evaluation) continue;
      const steps = versionsOf.get(c.problem) || new Map();
      steps.set(c.step, [...(steps.get(c.step) || []), c]);
      versionsOf.set(c.problem, steps);
    }
    const steps = new Map();
    for (const c of completions) steps.set(whereKey(c), [c.evaluation, c.step]);
    const options = [...steps].sort((a, b) => b[1][0] - a[1][0] || b[1][1] - a[1][1])
      .map(([key, [evaluation, step]]) => [key, `${evaluation ? "evaluation" : "training"}, step ${step}`]);
    fill("filter-step", "all", options);
    fill("filter-family", "all", distinct("family"));
    fill("filter-language", "all", distinct("language"));
    fill("filter-outcome", "all", distinct("outcome"));
    if (options.length && options[0][0].startsWith("e")) byId("filter-step").value = options[0][0];
    refilter();
  }

  function refilter() {
    const needle = byId("search").value.trim().toLowerCase();
    const step = byId("filter-step").value, family = byId("filter-family").value;
    const language = byId("filter-language").value, outcome = byId("filter-outcome").value;
    const before = filtered[chosen];
    filtered = completions.filter((c) => (!step || whereKey(c) === step) && (!family || c.family === family)
      && (!language || c.language === language) && (!outcome || c.outcome === outcome)
      && (!needle || contains(c, needle)));
    byId("count").textContent = `${filtered.length.toLocaleString("en")} found`;
    space.style.height = `${filtered.length * ROW_HEIGHT}px`;
    const kept = filtered.indexOf(before);
    choose(kept >= 0 ? kept : filtered.length ? 0 : -1);
  }

  function choose(index) {
    if (filtered[index] !== filtered[chosen]) otherSample = 0;
    chosen = index;
    if (index >= 0) {
      const top = index * ROW_HEIGHT;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
    }
    drawList();
    drawDetail();
  }

  /** Only the rows in sight exist: thirty thousand completions scroll like thirty. */
  function drawList() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 4);
    const last = Math.min(filtered.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + 4);
    const rows = [];
    for (let index = first; index < last; index++) rows.push(row(filtered[index], index));
    if (!filtered.length) rows.push(element("div", { class: "empty" }, "Nothing fits these filters."));
    space.replaceChildren(...rows);
    if (chosen >= 0) list.setAttribute("aria-activedescendant", `row-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function row(c, index) {
    const [sign, tone] = mark(c.outcome);
    const node = element("div", { class: "row", role: "option", id: `row-${index}`, "aria-selected": index === chosen },
      element("span", { class: `mark ${tone}`, title: c.outcome }, sign),
      element("span", { class: "prompt" }, c.prompt.replace(/\s+/g, " ").slice(0, 160)),
      element("span", { class: "tokens", title: "tokens" }, String(c.tokens)),
      element("span", { class: "meta" }, `${where(c)} · sample ${c.sample + 1} · ${c.family}, ${c.language}`));
    node.style.top = `${index * ROW_HEIGHT}px`;
    node.onclick = () => choose(index);
    return node;
  }

  // ---------------------------------------------------------------- one completion
  function highlighted(text) {
    const needle = byId("search").value.trim().toLowerCase();
    const lower = text.toLowerCase();
    // Lower-casing may change a string's length in some scripts; then places would not agree.
    if (!needle || lower.length !== text.length) return [text];
    const pieces = [];
    let from = 0;
    for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, from)) {
      pieces.push(text.slice(from, at), element("mark", {}, text.slice(at, at + needle.length)));
      from = at + needle.length;
    }
    pieces.push(text.slice(from));
    return pieces;
  }

  function partsTable(c) {
    const rows = partNames.map((name, index) => [name, c.parts[index]]).filter(([, part]) => part);
    if (!rows.length) return null;
    const head = ["reward part", "value", "outcome", "detail"].map((title) => element("th", {}, title));
    return element("table", { class: "parts" }, element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows.map(([name, [value, outcome, note]]) => element("tr", {},
        element("td", {}, name), element("td", {}, show(value, "number")),
        element("td", { class: mark(outcome)[1] }, outcome), element("td", {}, note || "")))));
  }

  function side(c, title, arrows) {
    const [sign, tone] = mark(c.outcome);
    const heading = element("h3", {}, element("span", { class: `mark ${tone}`, title: c.outcome }, sign), title, arrows);
    const node = element("div", { class: "side" }, heading);
    if (c.thinking !== null) {
      node.append(element("div", { class: "label" }, "Thinking"),
        element("div", { class: "text thinking" }, ...highlighted(c.thinking)));
    }
    if (c.answer !== null) {
      node.append(element("div", { class: "label" }, "Answer"),
        element("div", { class: `text answer ${tone}` }, ...highlighted(c.answer)));
    }
    if (c.thinking === null && c.answer === null) {
      node.append(element("div", { class: "label" }, "Response (thinking and answer could not be told apart)"),
        element("div", { class: "text thinking" }, ...highlighted(c.text)));
    } else {
      node.append(element("details", { class: "raw" }, element("summary", {}, "as written"), element("pre", {}, c.text)));
    }
    const advantage = c.advantage === null ? "" : ` · advantage ${show(c.advantage, "number")}`;
    const ending = c.finish === "length" ? "cut at the token limit" : "ended by itself";
    node.append(partsTable(c) || "", element("div", { class: "facts" },
      `${c.tokens} tokens, ${ending} · reward ${show(c.reward, "number")}${advantage}${c.valid ? "" : " · left out of the update: no verdict"}`));
    return node;
  }

  /** The same problem at the other end of the run: [completions there, is it the earlier end]. */
  function counterpart(c) {
    const steps = c.evaluation ? versionsOf.get(c.problem) : null;
    if (!steps || steps.size < 2) return null;
    const ends = [Math.min(...steps.keys()), Math.max(...steps.keys())];
    return c.step === ends[0] ? [steps.get(ends[1]), false] : [steps.get(ends[0]), true];
  }

  function sampleArrows(samples) {
    const move = (by) => () => { otherSample = (otherSample + by + samples.length) % samples.length; drawDetail(); };
    const back = element("button", { type: "button", title: "previous sample" }, "‹");
    const on = element("button", { type: "button", title: "next sample" }, "›");
    back.onclick = move(-1);
    on.onclick = move(1);
    return element("span", { class: "arrows" }, element("span", { class: "label" }, `sample ${otherSample + 1} of ${samples.length}`), back, on);
  }

  function drawDetail() {
    const c = filtered[chosen];
    if (!c) { detail.replaceChildren(element("p", { class: "note" }, "No completion chosen.")); return; }
    const other = counterpart(c);
    const about = element("div", { class: "about" }, element("span", {}, `${c.family}, ${c.language}`),
      element("span", {}, c.id), element("span", {}, where(c)), element("span", {}, `sample ${c.sample + 1}`),
      c.reference === null ? null : element("span", { class: "reference" }, `reference: ${c.reference}`));
    if (other) {
      const button = element("button", { type: "button", class: "grow", id: "compare", "aria-pressed": compare },
        compare ? "show this one alone" : "show before and after");
      button.onclick = () => { compare = !compare; drawDetail(); };
      about.append(button);
    }
    const sides = element("div", { class: "sides" });
    if (other && compare) {
      const [samples, earlier] = other;
      const partner = samples[otherSample % samples.length];
      const mine = side(c, `${earlier ? "After" : "Before"}: step ${c.step}, sample ${c.sample + 1}`);
      const theirs = side(partner, `${earlier ? "Before" : "After"}: step ${partner.step}`, sampleArrows(samples));
      sides.classList.add("two");
      sides.append(...(earlier ? [theirs, mine] : [mine, theirs]));
    } else {
      sides.append(side(c, where(c)));
    }
    detail.replaceChildren(element("p", { class: "question" }, ...highlighted(c.prompt)), about, sides);
    detail.scrollTop = 0;
  }

  // ---------------------------------------------------------------- keys and loading
  function onKey(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 8, PageUp: -8 };
    const ends = { Home: 0, End: filtered.length - 1 };
    if (!filtered.length || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) choose(Math.min(filtered.length - 1, Math.max(0, chosen + moves[event.key])));
    else if (event.key in ends) choose(ends[event.key]);
    else return;
    event.preventDefault();
  }

  list.addEventListener("keydown", onKey);
  list.addEventListener("scroll", () => requestAnimationFrame(drawList));
  new ResizeObserver(drawList).observe(list);
  let waiting = 0;
  byId("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refilter, 120); });
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { list.focus(); event.preventDefault(); }
  });

  async function unpack() {
    const bytes = Uint8Array.from(atob(byId("packed").textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  async function start() {
    if (typeof DecompressionStream === "undefined") {
      byId("unpack-note").textContent = "This browser cannot unpack them; a few are shown instead.";
      load(json("few"));
    } else {
      load(await unpack());
    }
    document.body.dataset.ready = "yes";
  }
  start();
})();
