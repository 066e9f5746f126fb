  // ---------------------------------------------------------------- the page of one run
  const figures = json("figures");
  for (const chart of figures.main) addChart(byId("main-charts"), chart, false);
  for (const chart of figures.health) addChart(byId("health-charts"), chart, true);
  for (const chart of figures.time) addChart(byId("time-charts"), chart, false);
  byId("time-title").hidden = figures.time.length === 0;
  byId("health-title").hidden = figures.health.length === 0;

  const detail = byId("detail");
  let completions = [], shown = undefined;
  let versionsOf = new Map(); // problem index -> step -> completions of its evaluations
  let compare = true;
  let otherSample = 0;

  const where = (c) => (c.evaluation ? `evaluation, step ${c.step}` : `training, step ${c.step}`);
  const whereKey = (c) => `${c.evaluation ? "e" : "t"}${c.step}`;

  const rows = scrollingList(row, (c, changed) => {
    if (changed) otherSample = 0;
    shown = c;
    drawDetail();
  });

  function row(c) {
    const [sign, tone] = mark(c.outcome);
    return [
      element("span", { class: `mark ${tone}`, title: c.outcome }, sign),
      element("span", { class: "prompt" }, c.prompt.replace(/\s+/g, " ").slice(0, 160)),
      element("span", { class: "tokens", title: "tokens" }, String(c.tokens)),
      element("span", { class: "meta" }, `${where(c)} · sample ${c.sample + 1} · ${c.family}, ${c.language}`),
    ];
  }

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
    fill("filter-step", "all", options, refilter);
    for (const key of ["family", "language", "outcome"]) fill(`filter-${key}`, "all", distinct(completions, key), refilter);
    if (options.length && options[0][0].startsWith("e")) byId("filter-step").value = options[0][0];
    refilter();
  }

  function refilter() {
    const needle = searched();
    const step = byId("filter-step").value, family = byId("filter-family").value;
    const language = byId("filter-language").value, outcome = byId("filter-outcome").value;
    rows.set(completions.filter((c) => (!step || whereKey(c) === step) && (!family || c.family === family)
      && (!language || c.language === language) && (!outcome || c.outcome === outcome)
      && (!needle || contains(c, needle))));
  }

  /** The same problem at the other end of the run: [completions there, is it the earlier end]. */
  function counterpart(c) {
    const steps = c.evaluation ? versionsOf.get(c.problem) : null;
    if (!steps || steps.size < 2) return null;
    const ends = [Math.min(...steps.keys()), Math.max(...steps.keys())];
    return c.step === ends[0] ? [steps.get(ends[1]), false] : [steps.get(ends[0]), true];
  }

  function drawDetail() {
    const c = shown;
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
      const arrows = sampleArrows(samples, otherSample, (next) => { otherSample = next; drawDetail(); });
      const mine = side(c, `${earlier ? "After" : "Before"}: step ${c.step}, sample ${c.sample + 1}`);
      const theirs = side(partner, `${earlier ? "Before" : "After"}: step ${partner.step}`, arrows);
      sides.classList.add("two");
      sides.append(...(earlier ? [theirs, mine] : [mine, theirs]));
    } else {
      sides.append(side(c, where(c)));
    }
    detail.replaceChildren(element("p", { class: "question" }, ...highlighted(c.prompt)), about, sides);
    detail.scrollTop = 0;
  }

  listenToSearch(refilter);
  start(load);
