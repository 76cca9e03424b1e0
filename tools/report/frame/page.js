"use strict";
(() => {
  const root = document.documentElement;
  const said = document.getElementById("said");

  // Theme: the choice stays where the browser lets a file keep it.
  const store = { get() { try { return localStorage.getItem("sllmr-theme"); } catch { return null; } },
                  set(value) { try { localStorage.setItem("sllmr-theme", value); } catch { /* a file without storage */ } } };
  const choices = document.querySelectorAll("[data-theme-choice]");
  function choose(theme) {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    for (const each of choices) each.setAttribute("aria-pressed", String(each.dataset.themeChoice === theme));
  }
  for (const each of choices) each.addEventListener("click", () => { choose(each.dataset.themeChoice); store.set(each.dataset.themeChoice); });
  const kept = store.get();
  if (kept === "light" || kept === "dark") choose(kept);

  // What a mark says, under the pointer.
  const tip = document.getElementById("tip");
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = mark === null;
    if (mark === null) return;
    tip.textContent = mark.dataset.tip;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 4)) + "px";
    tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  });

  // Tables as text: read from the page, so that they cannot say anything else.
  const plain = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
  const lines = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => {
    const note = cell.querySelector("small");
    const main = plain(cell).slice(0, note ? plain(cell).length - plain(note).length : undefined).trim();
    return { main, note: note ? ` (${plain(note)})` : "", isBold: cell.querySelector("b") !== null };
  }));
  const markdown = (table) => {
    const escape = (text) => text.replace(/([\\|<>*_`])/g, "\\$1");
    const escaped = lines(table).map((line) => line.map((cell) => (cell.isBold ? `**${escape(cell.main)}**` : escape(cell.main)) + escape(cell.note)));
    const wanted = [...table.tBodies[0].rows[0]?.cells ?? []].map((cell) => cell.hasAttribute("data-value") ? "---:" : "---");
    escaped.splice(1, 0, wanted);
    return escaped.map((line) => `| ${line.join(" | ")} |\n`).join("");
  };
  const special = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}",
                    ">": "\\textgreater{}", "|": "\\textbar{}", "±": "$\\pm$", "–": "--", "−": "$-$", "·": "$\\cdot$", "×": "$\\times$" };
  const tex = (cell) => cell.replace(/[&%$#_{}]/g, "\\$&").replace(/\\(?![&%$#_{}])|[~^<>|±–−·×]/g, (found) => special[found]);
  const latex = (table) => {
    const [head, ...body] = lines(table).map((line) => line.map((cell) => (cell.isBold ? `\\textbf{${tex(cell.main)}}` : tex(cell.main)) + tex(cell.note)).join(" & ") + " \\\\\n");
    const columns = [...table.tBodies[0].rows[0]?.cells ?? []].map((cell) => cell.hasAttribute("data-value") ? "r" : "l").join("");
    return `% needs \\usepackage{booktabs}\n\\begin{table}\n\\caption{${tex(plain(table.caption))}}\n\\begin{tabular}{${columns}}\n\\toprule\n` +
      `${head}\\midrule\n${body.join("")}\\bottomrule\n\\end{tabular}\n\\end{table}\n`;
  };
  const writers = { markdown, latex };
  const dialog = document.getElementById("copied");
  async function copy(button) {
    const table = button.closest(".tools").previousElementSibling.querySelector("table");
    const text = writers[button.dataset.copy](table);
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied.";
      const name = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = name; }, 1500);
    } catch { // a browser that lets no file write there
      const area = dialog.querySelector("textarea");
      area.value = text;
      dialog.showModal();
      area.select();
    }
  }

  // Vega lies packed in the page, and is read when a drawing is first explored.
  const inflate = async (packed) => {
    const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const text = (id) => inflate(document.getElementById(id).textContent);
  let loaded;
  const load = () => loaded ??= (async () => {
    const script = document.createElement("script");
    script.type = "module";
    script.textContent = await text("vega") + ';\ndispatchEvent(new Event("vega-loaded"));';
    const done = new Promise((resolve) => addEventListener("vega-loaded", resolve, { once: true }));
    document.head.append(script);
    await done;
    return JSON.parse(await text("vega-config"));
  })();
  const moves = (unit, outer = {}) => ["x", "y"].filter((axis) => {
    const channel = unit.encoding?.[axis] ?? outer[axis];
    return channel?.type === "quantitative" && channel.field && channel.axis !== null;
  });
  function zoomable(spec) {
    let unit = spec;
    while (unit.layer || unit.spec) unit = unit.spec ?? unit.layer.find((each) => moves(each).length) ?? unit.layer[0];
    const encodings = moves(unit, spec.encoding);
    if (encodings.length) unit.params = [{ name: "zoom", select: { type: "interval", encodings }, bind: "scales" }];
    return spec;
  }
  // Drawings that are folded. A printer does not wait, so they are inflated once the page is there, though not drawn.
  const inflated = new WeakMap();
  async function unpack(host) {
    if (!inflated.has(host)) inflated.set(host, await inflate(host.dataset.folded));
    return inflated.get(host);
  }
  const draw = (host) => { if (host.isConnected) host.outerHTML = inflated.get(host); };
  (async () => { for (const host of document.querySelectorAll("[data-folded]")) await unpack(host); })();
  document.addEventListener("toggle", async (event) => {
    if (!event.target.open) return;
    for (const host of event.target.querySelectorAll("[data-folded]")) {
      await unpack(host);
      draw(host);
    }
  }, true);
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open])")];
    for (const each of unfolded) each.open = true;
    for (const host of document.querySelectorAll("[data-folded]")) if (inflated.has(host)) draw(host);
  });
  addEventListener("afterprint", () => {
    for (const each of unfolded) each.open = false;
    unfolded = [];
  });
  const stills = new WeakMap();
  async function explore(button) {
    const drawing = button.closest(".panel").querySelector(".drawing");
    if (stills.has(drawing)) {
      drawing.replaceChildren(stills.get(drawing));
      stills.delete(drawing);
      button.textContent = "Explore";
      return;
    }
    button.disabled = true;
    try {
      const config = await load();
      const spec = zoomable(JSON.parse(await inflate(button.dataset.explore)));
      const still = drawing.firstElementChild;
      const host = document.createElement("div");
      drawing.replaceChildren(host);
      stills.set(drawing, still);
      await vegaEmbed(host, spec, { renderer: "svg", actions: false, config, tooltip: { theme: "custom" } });
      const svg = host.querySelector("svg");
      for (const each of svg.querySelectorAll("*")) // one picture, as the still is
        for (const name of ["role", "aria-label", "aria-roledescription"]) each.removeAttribute(name);
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", still.getAttribute("aria-label"));
      button.textContent = "Back to the still";
      said.textContent = "Drag to move, scroll to zoom, double click to go back.";
    } catch (error) {
      if (stills.has(drawing)) { drawing.replaceChildren(stills.get(drawing)); stills.delete(drawing); }
      said.textContent = "The drawing cannot be explored in this browser.";
      console.error(error);
    }
    button.disabled = false;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest ? event.target.closest("button") : null;
    if (button?.dataset.copy) copy(button);
    if (button?.hasAttribute("data-explore")) explore(button);
  });
})();
