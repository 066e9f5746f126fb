  // ---------------------------------------------------------------- the page of a pipeline
  for (const group of json("figures")) {
    const place = byId(group.into);
    for (const chart of group.charts) addChart(place, chart, group.small);
  }

  const detail = byId("detail");
  const checkpoints = json("checkpoints");
  const hidden = new Set(); // places of checkpoints that are not shown
  let problems = [], shown = undefined;
  let current = new Map(); // place of a checkpoint -> the sample that is shown

  const rows = scrollingList(row, (problem, changed) => {
    if (changed) current = new Map();
    shown = problem;
    drawDetail();
  });

  /** Completions by problem, then by the place of their checkpoint. */
  function load(table) {
    const found = new Map();
    for (const c of decode(table)) {
      if (!found.has(c.problem)) found.set(c.problem, { ...c, at: new Map() });
      const at = found.get(c.problem).at;
      at.set(c.step, [...(at.get(c.step) || []), c]);
    }
    problems = [...found.values()];
    const outcomes = [...new Set(problems.flatMap((p) => [...p.at.values()].flat().map((c) => c.outcome)))].sort();
    const filters = [
      ["family", distinct(problems, "family")], ["language", distinct(problems, "language")],
      ["outcome", outcomes.map((name) => [name, name])],
    ];
    for (const [key, options] of filters) fill(`filter-${key}`, "all", options, refilter);
    fill("filter-checkpoint", "any", checkpoints.map((title, place) => [String(place), title]), refilter);
    refilter();
  }

  function refilter() {
    const needle = searched();
    const family = byId("filter-family").value, language = byId("filter-language").value;
    const outcome = byId("filter-outcome").value, place = byId("filter-checkpoint").value;
    const looked = (problem) => (place === "" ? [...problem.at.values()].flat() : problem.at.get(Number(place)) || []);
    rows.set(problems.filter((problem) => {
      if ((family && problem.family !== family) || (language && problem.language !== language)) return false;
      const samples = looked(problem);
      return samples.length > 0 && (!outcome || samples.some((c) => c.outcome === outcome))
        && (!needle || samples.some((c) => contains(c, needle)));
    }));
  }

  const shareRight = (samples) => samples.filter((c) => c.outcome === "correct").length / samples.length;
  const isJudged = (samples) => samples.some((c) => c.outcome !== "not judged");

  /** A small square a checkpoint: green as far as its samples are right. */
  function strip(problem) {
    const node = element("span", { class: "strip" });
    checkpoints.forEach((title, place) => {
      const samples = problem.at.get(place);
      const square = element("i", {});
      if (samples && isJudged(samples)) {
        const right = shareRight(samples);
        square.title = `${title}: ${Math.round(100 * right)}% right`;
        square.style.background = `color-mix(in srgb, var(--good) ${Math.round(100 * right)}%, var(--bad))`;
      }
      node.append(square);
    });
    return node;
  }

  function row(problem) {
    return [
      element("span", { class: "prompt whole" }, problem.prompt.replace(/\s+/g, " ").slice(0, 160)),
      element("span", { class: "meta whole" }, strip(problem), ` ${problem.family}, ${problem.language}`),
    ];
  }

  function toggles(problem) {
    const node = element("div", { class: "toggles", role: "group", "aria-label": "Checkpoints shown" });
    checkpoints.forEach((title, place) => {
      if (!problem.at.has(place)) return;
      const button = element("button", { type: "button", "aria-pressed": !hidden.has(place) }, title);
      button.onclick = () => {
        if (hidden.has(place)) hidden.delete(place); else hidden.add(place);
        drawDetail();
      };
      node.append(button);
    });
    return node;
  }

  function column(samples, place) {
    const index = (current.get(place) ?? firstFit(samples)) % samples.length;
    const arrows = sampleArrows(samples, index, (next) => { current.set(place, next); drawDetail(); });
    const node = side(samples[index], element("span", { class: "checkpoint" }, checkpoints[place]), arrows);
    const share = isJudged(samples) ? `${Math.round(100 * shareRight(samples))}% of ${samples.length} samples right` : `${samples.length} samples`;
    node.querySelector("h3").after(element("p", { class: "note" }, share));
    node.dataset.place = place;
    return node;
  }

  /** The first sample that the filters ask for, else the first. */
  function firstFit(samples) {
    const needle = searched(), outcome = byId("filter-outcome").value;
    return Math.max(0, samples.findIndex((c) => (!outcome || c.outcome === outcome) && (!needle || contains(c, needle))));
  }

  function drawDetail() {
    const problem = shown;
    if (!problem) { detail.replaceChildren(element("p", { class: "note" }, "No problem chosen.")); return; }
    const about = element("div", { class: "about" }, element("span", {}, `${problem.family}, ${problem.language}`),
      element("span", {}, problem.id),
      problem.reference === null ? null : element("span", { class: "reference" }, `reference: ${problem.reference}`));
    const across = detail.querySelector(".across")?.scrollLeft || 0;
    const sides = element("div", { class: "across" });
    for (const [place, samples] of [...problem.at].sort((a, b) => a[0] - b[0])) {
      if (!hidden.has(place)) sides.append(column(samples, place));
    }
    detail.replaceChildren(element("p", { class: "question" }, ...highlighted(problem.prompt)), about, toggles(problem), sides);
    sides.scrollLeft = across;
  }

  listenToSearch(refilter);
  start(load);
