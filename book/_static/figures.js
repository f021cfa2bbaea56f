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
    const change = { "line.color": [], "marker.color": [], "marker.line.color": [], "marker.pattern.fgcolor": [],
                     "textfont.color": [], text: [], textposition: [], "error_x.color": [], "error_y.color": [] };
    plot.data.forEach(function (trace, index) {
      if (!trace.meta || !trace.meta[name]) return;
      const colour = trace.meta[name];
      const outline = trace.meta.filled ? look.paper : colour;
      const labels = (narrow ? trace.meta.narrow : trace.meta.broad) || {}; // undefined leaves a value as it is
      indices.push(index);
      change["line.color"].push(trace.type === "scatter" ? colour : undefined);
      change["marker.color"].push(colour);
      change["marker.line.color"].push(outline);
      change["marker.pattern.fgcolor"].push(trace.type === "bar" ? outline : undefined);
      change["textfont.color"].push(trace.type === "bar" ? look.text : colour);
      change["error_x.color"].push(trace.type === "bar" ? look.text : colour);
      change["error_y.color"].push(trace.type === "bar" ? look.text : colour);
      change.text.push(labels.text);
      change.textposition.push(labels.place);
    });
    const layout = { "font.color": look.text, "modebar.color": look.text, "modebar.activecolor": look.text };
    Object.keys(plot._fullLayout).filter((key) => /^[xy]axis\d*$/.test(key)).forEach(function (axis) {
      layout[axis + ".gridcolor"] = look.grid;
    });
    if (indices.length) Plotly.update(plot, change, layout, indices);
    else Plotly.relayout(plot, layout);
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
