/* Figures: drawn over their static images, in the colours of the theme, with fewer labels on a phone.

   The entries of a legend are buttons above the plot: one shows or hides its marks in all plots of the figure. */
(function () {
  "use strict";
  const THEMES = {
    light: { text: "#1f2328", grid: "#e3e5e8", paper: "#ffffff" },
    dark: { text: "#e6e8eb", grid: "#3a4048", paper: "#14181e" },
  };
  const NARROW_PX = 600;
  const LEADER = "leader";
  const PHONE_PX = 380; // on a narrower screen a plot is as wide as on a phone, and scrolls
  const LEAST_PX = 326;
  const LINE_PX = 20; // of the title of a downloaded picture
  const LETTER_PX = 6.6; // of a name beside an axis, about
  const SIDES_PX = 60; // what a narrow plot leaves to its margins, but for the names of its rows
  const APART_PX = 10; // between the names of two ticks
  const LEGEND_PX = 30; // one row of the legend takes the place of Plotly's own
  const SVG = "http://www.w3.org/2000/svg";
  const coarse = window.matchMedia("(pointer: coarse)");

  function themeName() {
    return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
  }

  function figureOf(plot) {
    return JSON.parse(plot.querySelector("script.plotly-figure").textContent);
  }

  function artefactOf(plot) {
    return plot.closest(".artefact");
  }

  /* Names of the marks that the reader has switched off, in all plots of the figure. */
  function hiddenIn(plot) {
    const off = artefactOf(plot).querySelectorAll('.legend-buttons [aria-pressed="false"]');
    return new Set(Array.from(off, (button) => button.dataset.name));
  }

  /* Break the lines of a hover that would not fit into the plot; paths break behind a slash. */
  function wrapped(text, width) {
    const most = Math.max(28, Math.min(70, Math.floor(width / 8.5)));
    return text.split("<br>").map(function (line) {
      let length = 0;
      return line.split(/(?<=[ /])/).reduce(function (whole, word) {
        const size = word.replace(/<[^>]*>/g, "").length;
        const broken = length > 0 && length + size > most;
        length = broken ? size : length + size;
        return whole + (broken ? "<br>   " : "") + word;
      }, "");
    }).join("<br>");
  }

  /* Change a figure that is not drawn yet to the look of theme and width. */
  function dress(figure, name, width) {
    const narrow = width < NARROW_PX;
    const look = THEMES[name];
    figure.data.forEach(function (trace) {
      const colour = trace.meta && trace.meta[name];
      if (!colour) return;
      const outline = trace.meta.filled ? look.paper : colour;
      const labels = (narrow ? trace.meta.narrow : trace.meta.broad) || {};
      const bar = trace.type === "bar";
      if (trace.type === "scatter") trace.line = { ...trace.line, color: colour };
      trace.marker = { ...trace.marker, color: colour, line: { ...(trace.marker || {}).line, color: outline } };
      if (bar && trace.marker.pattern) trace.marker.pattern.fgcolor = outline;
      trace.hoverlabel = { bordercolor: colour };
      trace.textfont = { ...trace.textfont, color: bar ? look.text : colour };
      ["error_x", "error_y"].forEach(function (error) {
        if (trace[error]) trace[error].color = bar ? look.text : colour;
      });
      if (Array.isArray(trace.hovertext)) trace.hovertext = trace.hovertext.map((text) => wrapped(text, width));
      if (labels.text) trace.text = labels.text;
      if (labels.place) trace.textposition = labels.place;
    });
    const layout = figure.layout;
    // Labels at the end of a line (helpers.figures.labels), in the colours of their marks.
    const shown = new Map(figure.data.filter((trace) => trace.meta && trace.meta.light).map((trace) => [trace.meta.light, trace.meta[name]]));
    const onPhone = narrow ? (layout.meta && layout.meta.narrow) || [] : null;
    layout.annotations = (layout.annotations || []).filter((note) => note.name !== LEADER || !onPhone).concat(onPhone || []);
    layout.annotations.filter((note) => note.name === LEADER).forEach(function (note) {
      const colour = shown.get(note.arrowcolor) || note.arrowcolor;
      note.arrowcolor = colour;
      note.font = { ...note.font, color: colour };
    });
    layout.font = { ...layout.font, color: look.text };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: look.paper, font: { ...(layout.hoverlabel || {}).font, color: look.text } };
    layout.dragmode = narrow || coarse.matches ? false : "zoom"; // a finger scrolls the page
    Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key)).forEach(function (axis) {
      layout[axis].gridcolor = look.grid;
    });
    thin(layout, width);
  }

  /* Name every second tick of the axis below a narrow plot where the names would touch. */
  function thin(layout, width) {
    const axis = layout.xaxis || {};
    if (width >= NARROW_PX || !axis.ticktext || !axis.range) return;
    const rows = (layout.yaxis || {}).ticktext || [];
    const line = (text) => Math.max(...text.split("<br>").map((part) => part.replace(/<[^>]*>/g, "").length));
    const room = width - LETTER_PX * Math.max(0, ...rows.map(line)) - SIDES_PX;
    const at = axis.tickvals.map((value) => (axis.type === "log" ? Math.log10(value) : value));
    const scale = room / Math.abs(axis.range[1] - axis.range[0]);
    const half = axis.ticktext.map((text) => (LETTER_PX * line(text)) / 2);
    const touch = at.some((value, i) => i > 0 && Math.abs(value - at[i - 1]) * scale < half[i] + half[i - 1] + APART_PX);
    if (touch) axis.ticktext = axis.ticktext.map((text, i) => (i % 2 ? "" : text));
  }

  /* Draw what is not drawn in this state yet; `again` draws in any case, and with that undoes a zoom. */
  function draw(plot, again) {
    const width = Math.max(plot.clientWidth, window.innerWidth < PHONE_PX ? LEAST_PX : 0);
    const off = hiddenIn(plot);
    const state = [themeName(), plot.clientWidth, ...off].join(" ");
    if (!plot.clientWidth || (plot.dataset.state === state && !again)) return;
    const figure = figureOf(plot);
    dress(figure, themeName(), width);
    figure.layout.width = width;
    if (plot.dataset.height) figure.layout.height = Number(plot.dataset.height); // lower on the front page
    figure.layout.margin.t = hasHeader(figure.layout) ? figure.layout.margin.t : 8; // the legend is above the plots
    const drawing = plot.querySelector(".drawing") || newDrawing(plot);
    fillLegend(plot, figure);
    figure.layout.showlegend = false;
    figure.data.forEach((trace) => { if (off.has(trace.name)) trace.visible = false; });
    Plotly.react(drawing, figure.data, figure.layout, figure.config);
    const image = plot.querySelector(".static");
    if (image) image.hidden = true;
    if (!plot.dataset.state) watchZoom(plot, drawing);
    showReset(plot, false);
    plot.dataset.state = state;
  }

  function hasHeader(layout) {
    return (layout.annotations || []).some((note) => note.yref === "paper" && note.y >= 1);
  }

  function newDrawing(plot) {
    const drawing = document.createElement("div");
    drawing.className = "drawing";
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", plot.dataset.alt);
    plot.append(drawing);
    return drawing;
  }

  function watchZoom(plot, drawing) {
    drawing.on("plotly_relayout", function (change) {
      if (Object.keys(change).some((key) => /axis\d*\.range/.test(key))) showReset(plot, true);
    });
  }

  // --- legend ---

  /* Give the buttons their marks, in the colours of the theme: those of Plotly's own legend, drawn out of sight. */
  function fillLegend(plot, figure) {
    const buttons = Array.from(artefactOf(plot).querySelectorAll(".legend-buttons button"))
      .filter((button) => button.dataset.theme !== themeName());
    const data = buttons.map((button) => figure.data.find((trace) => trace.name === button.dataset.name
      && trace.showlegend !== false) || figure.data.find((trace) => trace.name === button.dataset.name))
      .filter(Boolean).map((trace) => ({ ...trace, showlegend: true }));
    if (!data.length) return;
    data.filter((trace) => trace.marker).forEach((trace) => { trace.marker = { ...trace.marker, opacity: 1 }; });
    const scratch = document.createElement("div");
    scratch.className = "scratch";
    plot.append(scratch);
    const layout = { showlegend: true, width: 600, height: 600, margin: { autoexpand: false } };
    const done = Plotly.newPlot(scratch, data, layout, { staticPlot: true });
    scratch.querySelectorAll("g.legend g.traces").forEach(function (entry) {
      const name = entry.querySelector(".legendtext").dataset.unformatted;
      const index = buttons.findIndex((button) => button.dataset.name === name);
      buttons[index].querySelector("svg").replaceWith(swatch(entry, `${plot.id}-swatch-${index}`));
      buttons[index].dataset.theme = themeName();
    });
    done.then(function () {
      Plotly.purge(scratch);
      scratch.remove();
    });
  }

  /* A copy of what Plotly draws beside a name in its legend, with the pattern that it may be filled with. */
  function swatch(entry, identifier) {
    const image = document.createElementNS(SVG, "svg");
    const layers = entry.querySelector(".layers");
    const box = layers.getBBox();
    image.setAttribute("viewBox", `${box.x - 2} ${box.y - 2} ${box.width + 4} ${box.height + 4}`);
    image.setAttribute("width", box.width + 4);
    image.setAttribute("height", box.height + 4);
    image.setAttribute("aria-hidden", "true");
    const copy = layers.cloneNode(true);
    copy.querySelectorAll("[style*='url(']").forEach(function (mark) {
      const found = mark.style.fill.match(/#([^"')]+)/);
      const pattern = found && document.getElementById(found[1]);
      if (!pattern) return;
      const own = pattern.cloneNode(true);
      own.id = identifier;
      image.append(own);
      mark.style.fill = `url(#${identifier})`;
    });
    image.append(copy);
    return image;
  }

  function startLegend(legend) {
    const own = Array.from(legend.closest(".artefact").querySelectorAll(".plot"));
    const names = new Set(own.flatMap((plot) => figureOf(plot).data.map((trace) => trace.name)));
    legend.querySelectorAll("button").forEach(function (button) {
      if (!names.has(button.dataset.name)) button.remove(); // of a plot that this page does not show
      button.addEventListener("click", function () {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        own.filter((plot) => plot.dataset.state).forEach((plot) => draw(plot, false));
      });
    });
  }

  // --- tools below a plot ---

  function addTools(plot) {
    const files = plot.parentNode.querySelector(".panel-files");
    if (!files) return;
    const svg = files.querySelector(".svg");
    if (svg) svg.replaceWith(tool("SVG", "svg", () => save(plot, "svg"))); // the file beside the page has no title
    files.append(tool("PNG", "png", () => save(plot, "png")), tool("Reset zoom", "reset", () => draw(plot, true)));
    showReset(plot, false);
  }

  function tool(text, name, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = name;
    button.textContent = text;
    button.addEventListener("click", act);
    return button;
  }

  function showReset(plot, zoomed) {
    const button = plot.parentNode.querySelector(".panel-files .reset");
    if (button) button.hidden = !zoomed;
  }

  /* On white, whatever the page looks like, with what a picture needs alone: title, legend and source. */
  function save(plot, format) {
    const figure = figureOf(plot);
    const width = plot.clientWidth;
    dress(figure, "light", width);
    const layout = figure.layout;
    const title = wrapped(`${artefactOf(plot).querySelector(".label").textContent}: ${plot.closest(".panel").querySelector(".panel-title").textContent}`, width);
    const source = wrapped(artefactOf(plot).dataset.source, 1.2 * width); // in smaller letters
    const lines = title.split("<br>").length + source.split("<br>").length;
    layout.title = {
      text: `<b>${title}</b>`, font: { size: 14 }, x: 0, xref: "container", xanchor: "left", y: 1, yref: "container",
      yanchor: "top", pad: { l: 8, t: 8 }, subtitle: { text: source, font: { size: 11 } },
    };
    layout.paper_bgcolor = THEMES.light.paper;
    layout.margin.t += LINE_PX * lines;
    layout.height += LINE_PX * lines;
    const names = new Set();
    figure.data.forEach(function (trace) {
      trace.showlegend = Boolean(trace.name) && !names.has(trace.name);
      names.add(trace.name);
    });
    layout.showlegend = names.size > 1;
    figure.data.search = () => -1; // the theme takes `data` of what is added to the page for text, and looks into it
    return Plotly.downloadImage(figure, {
      format: format, filename: plot.id, width: width, height: layout.height, scale: format === "png" ? 2 : 1,
    });
  }

  function addCopyButton(code) {
    if (!navigator.clipboard) return;
    const button = tool("Copy", "copy", function () {
      navigator.clipboard.writeText(code.textContent).then(function () {
        button.textContent = "Copied";
        window.setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
    });
    code.after(" ", button);
  }

  // --- when to draw ---

  const plots = Array.from(document.querySelectorAll(".plot"));

  function onScreen(plot) {
    const box = plot.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < window.innerHeight;
  }

  /* Draw one plot at a time, what is on the screen first, so that the page answers meanwhile. */
  function drawNext() {
    const waiting = plots.filter((plot) => plot.clientWidth && !plot.dataset.state);
    const next = waiting.find(onScreen) || waiting[0];
    if (!next) return;
    draw(next, false);
    window.setTimeout(drawNext, 0);
  }

  function drawAgain() {
    plots.filter((plot) => plot.dataset.state).forEach((plot) => draw(plot, false));
    drawNext(); // those that had no width until now
  }

  plots.forEach(addTools);
  document.querySelectorAll(".legend-buttons").forEach(startLegend);
  document.querySelectorAll(".figure-source code.copied").forEach(addCopyButton);
  drawNext();
  new MutationObserver(drawAgain).observe(document.documentElement, {
    attributes: true, attributeFilter: ["data-theme"],
  });
  const watcher = new ResizeObserver(() => window.requestAnimationFrame(drawAgain));
  plots.forEach((plot) => watcher.observe(plot));
})();
