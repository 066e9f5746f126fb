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
    if (unit === "share") return (value !== 0 && Math.abs(value) < 0.01 ? Number((100 * value).toPrecision(2)) : (100 * value).toFixed(1)) + "%";
    if (unit === "seconds") return value.toFixed(2) + " s";
    if (unit === "tokens") return value.toFixed(1);
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
  }

  /** Digits behind the point with which multiples of step are written exactly: 3 for 0.025. */
  function decimals(step) {
    const isWhole = (scaled) => Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled;
    let digits = 0;
    while (digits < 15 && !isWhole(step * 10 ** digits)) digits++;
    return digits;
  }

  /** Labels that tell marks apart and stand where they say. */
  function tickLabels(marks, unit) {
    const step = marks.length > 1 ? marks[1] - marks[0] : Math.abs(marks[0]) || 1;
    if (unit === "share") return marks.map((mark) => (100 * mark).toFixed(decimals(100 * step)) + "%");
    return marks.map((mark) => {
      const size = Math.abs(mark);
      if (size === 0) return "0";
      if (size < 1e5 && size >= 1e-3) return Number(mark.toFixed(decimals(step))).toLocaleString("en", { maximumFractionDigits: 15 });
      const digits = Math.max(0, Math.floor(Math.log10(size)) + decimals(step));
      return mark.toExponential(Math.min(15, digits)).replace(/\.?0+e/, "e");
    });
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
    // As arguments of Math.max the values of a long run would overflow the stack.
    const values = layers.flatMap((s) => (chart.stacked ? s.high : [s.y, s.high, s.low].flat().filter((y) => y !== null)));
    const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
    const least = values.reduce((most, value) => Math.min(most, value), Infinity);
    let low = Math.min(0, least);
    // A small figure of a value that stays far from zero shows its movement.
    if (chart.id.startsWith("health") && least > 0.5 * high) low = least;
    // Rounding alone: a range so narrow has no marks between which a number could be written.
    if (high - least <= 1e-9 * Math.max(Math.abs(high), Math.abs(least))) return high === 0 ? [0, 1] : [Math.min(0, 1.4 * high), Math.max(0, 1.4 * high)];
    const marks = ticks(low, high, 5);
    const step = marks.length > 1 ? marks[1] - marks[0] : high - low;
    if (chart.stacked) return [0, high * 1.04];
    if (chart.unit === "share" && high > 0.9 && high <= 1) return [low, 1];
    return [low === 0 ? 0 : Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
  }

  const LONE_WIDTH = 16;

  /** A point without a y leaves a gap. */
  function path(points) {
    let command = "M";
    return points.map(([x, y]) => {
      if (y === null) { command = "M"; return ""; }
      const part = `${command}${x.toFixed(1)} ${y.toFixed(1)}`;
      command = "L";
      return part;
    }).join("");
  }

  function area(series, toX, toY) {
    if (series.x.length === 1) { // a lone step is a bar
      const left = toX(series.x[0]), low = toY(series.low[0]), high = toY(series.high[0]);
      return path([[left, high], [left + LONE_WIDTH, high], [left + LONE_WIDTH, low], [left, low]]) + "Z";
    }
    const upper = series.x.map((x, index) => [toX(x), toY(series.high[index])]);
    const lower = series.x.map((x, index) => [toX(x), toY(series.low[index])]).reverse();
    return path([...upper, ...lower]) + "Z";
  }

  function drawAxes(svg, chart, box, range, xs, toX, toY, small) {
    const marks = ticks(range[0], range[1], small ? 2 : 5);
    const names = tickLabels(marks, chart.unit);
    marks.forEach((value, index) => {
      const y = toY(value);
      svg.append(shape("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }));
      const label = shape("text", { x: box.left - 7, y: y + 3.5, "text-anchor": "end" });
      label.textContent = names[index];
      svg.append(label);
    });
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
      label.textContent = chart.axis;
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
    if (series.low.length > 1) svg.append(shape("path", { class: `band ${tone}`, d: area(series, toX, toY) }));
    if (series.low.length === 1) { // a lone point has no band
      svg.append(shape("line", { class: `curve ${tone}`, x1: toX(series.x[0]), x2: toX(series.x[0]), y1: toY(series.low[0]), y2: toY(series.high[0]) }));
    }
    const points = series.x.map((x, index) => [toX(x), series.y[index] === null ? null : toY(series.y[index])]);
    const missing = (index) => (points[index]?.[1] ?? null) === null;
    svg.append(shape("path", {
      class: `curve ${series.style} ${tone}`, d: path(points),
      "data-series": series.name, "data-points": points.length,
    }));
    points.forEach(([cx, cy], index) => {
      const alone = missing(index - 1) && missing(index + 1);
      if (cy !== null && (series.style === "marked" || alone)) svg.append(shape("circle", { class: `point ${tone}`, cx, cy, r: 3 }));
    });
  }

  function draw(figure, chart, small) {
    figure.querySelector("svg")?.remove();
    const width = Math.max(160, figure.clientWidth - (small ? 24 : 32));
    const height = small ? 104 : 246;
    const layers = chart.stacked ? stack(chart) : chart.series;
    const range = yRange(chart, layers);
    const labels = tickLabels(ticks(range[0], range[1], small ? 2 : 5), chart.unit).map((label) => label.length);
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
    const lines = [element("b", {}, `${chart.axis} ${x}`)];
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
