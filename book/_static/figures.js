/* Figures follow the theme and the width: colours of traces from their meta, fewer labels on a phone. */
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

  function apply(plot) {
    const name = theme();
    const look = THEMES[name];
    const narrow = plot.clientWidth < NARROW_PX;
    const state = name + narrow;
    if (plot.dataset.state === state) return;
    plot.dataset.state = state;
    const indices = [];
    const change = { "marker.color": [], "marker.line.color": [], "textfont.color": [], text: [], textposition: [],
                     "error_x.color": [], "error_y.color": [] };
    plot.data.forEach(function (trace, index) {
      if (!trace.meta || !trace.meta[name]) return;
      const colour = trace.meta[name];
      indices.push(index);
      change["marker.color"].push(colour);
      change["marker.line.color"].push(trace.meta.filled ? look.paper : colour);
      change["textfont.color"].push(colour);
      change["error_x.color"].push(colour);
      change["error_y.color"].push(colour);
      const labels = narrow ? trace.meta.narrow : trace.meta.broad;
      change.text.push(labels.text);
      change.textposition.push(labels.place);
    });
    Plotly.update(plot, change, {
      "font.color": look.text, "modebar.color": look.text, "modebar.activecolor": look.text, "xaxis.gridcolor": look.grid, "yaxis.gridcolor": look.grid,
    }, indices);
  }

  function applyAll() {
    document.querySelectorAll(".plotly-graph-div").forEach(function (plot) {
      if (plot.data) apply(plot);
    });
  }

  applyAll();
  new MutationObserver(applyAll).observe(document.documentElement, {
    attributes: true, attributeFilter: ["data-theme"],
  });
  window.addEventListener("resize", applyAll);
})();
