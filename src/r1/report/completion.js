  // ---------------------------------------------------------------- completions, one and many
  const ROW_HEIGHT = 54;
  const MARKS = { correct: ["✓", "correct"], wrong: ["✗", "wrong"] };
  // An outcome is a text of somebody's file: "constructor" is no mark, though every object has one.
  const mark = (outcome) => (Object.hasOwn(MARKS, outcome) ? MARKS[outcome] : ["?", "unsure"]);
  const ENDINGS = {
    stop: "ended by itself", length: "cut at the token limit", failed: "the engine or the endpoint gave no response",
  };
  let partNames = [];

  /** Rows as sample.py packs them. */
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

  const searched = () => byId("search").value.trim().toLowerCase();

  function fill(id, all, options, onChange) {
    const select = byId(id);
    select.replaceChildren(element("option", { value: "" }, all));
    for (const [value, label] of options) select.append(element("option", { value }, label));
    select.onchange = onChange;
  }

  const distinct = (items, key) => [...new Set(items.map((c) => c[key]))].sort().map((v) => [v, v]);

  function highlighted(text) {
    const needle = searched();
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

  /** Thinking, answer and judgement of one completion under a heading. */
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
    const ending = Object.hasOwn(ENDINGS, c.finish) ? `, ${ENDINGS[c.finish]}` : "";
    const unjudged = c.evaluation ? " · in no figure: no verdict" : " · left out of the update: no verdict";
    node.append(partsTable(c) || "", element("div", { class: "facts" },
      `${c.tokens} tokens${ending} · reward ${show(c.reward, "number")}${advantage}${c.valid ? "" : unjudged}`));
    return node;
  }

  /** Which sample is shown, with arrows that call move(next index). */
  function sampleArrows(samples, current, move) {
    const to = (by) => () => move((current + by + samples.length) % samples.length);
    const back = element("button", { type: "button", title: "previous sample" }, "‹");
    const on = element("button", { type: "button", title: "next sample" }, "›");
    back.onclick = to(-1);
    on.onclick = to(1);
    return element("span", { class: "arrows" }, element("span", { class: "label" }, `sample ${current + 1} of ${samples.length}`), back, on);
  }

  /**
   * The list on the left. Only the rows in sight exist: thirty thousand scroll like thirty.
   * makeRow(item) gives a row's children; onChoose(item or undefined, is it another than before).
   */
  function scrollingList(makeRow, onChoose) {
    const list = byId("list"), space = byId("list-space");
    let items = [], chosen = -1;

    function drawRows() {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 4);
      const last = Math.min(items.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + 4);
      const rows = [];
      for (let index = first; index < last; index++) rows.push(row(index));
      if (!items.length) rows.push(element("div", { class: "empty" }, "Nothing fits these filters."));
      space.replaceChildren(...rows);
      if (chosen >= 0) list.setAttribute("aria-activedescendant", `row-${chosen}`);
      else list.removeAttribute("aria-activedescendant");
    }

    function row(index) {
      const node = element("div", { class: "row", role: "option", id: `row-${index}`, "aria-selected": index === chosen },
        ...makeRow(items[index]));
      node.style.top = `${index * ROW_HEIGHT}px`;
      node.onclick = () => choose(index);
      return node;
    }

    function choose(index, before = items[chosen]) {
      const changed = items[index] !== before;
      chosen = index;
      if (index >= 0) {
        const top = index * ROW_HEIGHT;
        if (top < list.scrollTop) list.scrollTop = top;
        else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
      }
      drawRows();
      onChoose(items[index], changed);
    }

    function onKey(event) {
      const moves = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 8, PageUp: -8 };
      const ends = { Home: 0, End: items.length - 1 };
      if (!items.length || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in moves) choose(Math.min(items.length - 1, Math.max(0, chosen + moves[event.key])));
      else if (event.key in ends) choose(ends[event.key]);
      else return;
      event.preventDefault();
    }

    /** Other items; the chosen one stays chosen where it is among them. */
    function set(found) {
      const before = items[chosen];
      items = found;
      byId("count").textContent = `${items.length.toLocaleString("en")} found`;
      space.style.height = `${items.length * ROW_HEIGHT}px`;
      const kept = items.indexOf(before);
      choose(kept >= 0 ? kept : items.length ? 0 : -1, before);
    }

    list.addEventListener("keydown", onKey);
    list.addEventListener("scroll", () => requestAnimationFrame(drawRows));
    new ResizeObserver(drawRows).observe(list);
    return { set };
  }

  function listenToSearch(refilter) {
    let waiting = 0;
    byId("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refilter, 120); });
    byId("search").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") { byId("list").focus(); event.preventDefault(); }
    });
  }

  async function unpack() {
    const bytes = Uint8Array.from(atob(byId("packed").textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  /** Everything stands in the page: load it, and say so when it is there. */
  async function start(load) {
    if (typeof DecompressionStream === "undefined") {
      byId("unpack-note").textContent = "This browser cannot unpack them; a few are shown instead.";
      load(json("few"));
    } else {
      load(await unpack());
    }
    document.body.dataset.ready = "yes";
  }
