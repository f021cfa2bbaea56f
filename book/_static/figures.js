/* Figures: drawn over their static images, in the colours of the theme, with fewer labels on a phone. */
(function () {
  "use strict";
  const THEMES = {
    light: { text: "#1f2328", grid: "#e3e5e8", paper: "#ffffff" },
    dark: { text: "#e6e8eb", grid: "#3a4048", paper: "#14181e" },
  };
  const NARROW_PX = 480;

  function theme() {
    return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
  }

  function isNarrow(plot) {
    return plot.clientWidth < NARROW_PX;
  }

  /* Change a figure, not yet drawn, to the look of theme and width. */
  function dress(figure, name, narrow) {
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
      trace.textfont = { ...trace.textfont, color: bar ? look.text : colour };
      ["error_x", "error_y"].forEach(function (name) {
        if (trace[name]) trace[name].color = bar ? look.text : colour;
      });
      if (labels.text) trace.text = labels.text;
      if (labels.place) trace.textposition = labels.place;
    });
    const layout = figure.layout;
    layout.font = { ...layout.font, color: look.text };
    Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key)).forEach(function (axis) {
      layout[axis].gridcolor = look.grid;
    });
  }

  function draw(plot) {
    const narrow = isNarrow(plot);
    const state = theme() + "-" + plot.clientWidth;
    if (!plot.clientWidth || plot.dataset.state === state) return;
    const figure = JSON.parse(plot.querySelector("script.plotly-figure").textContent);
    dress(figure, theme(), narrow);
    let drawing = plot.querySelector(".drawing");
    if (!drawing) {
      drawing = document.createElement("div");
      drawing.className = "drawing";
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", plot.dataset.alt);
      plot.append(drawing);
    }
    Plotly.react(drawing, figure.data, { ...figure.layout, width: plot.clientWidth }, figure.config);
    const image = plot.querySelector(".static");
    if (image) image.hidden = true;
    plot.dataset.state = state;
  }

  function drawAll() {
    document.querySelectorAll(".plot").forEach(draw);
  }

  drawAll();
  new MutationObserver(drawAll).observe(document.documentElement, {
    attributes: true, attributeFilter: ["data-theme"],
  });
  window.addEventListener("resize", drawAll);
})();
