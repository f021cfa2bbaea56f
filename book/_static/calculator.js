/* The calculator: everything it knows stands in the page (the fits' JSON, the results table, the grids). */
(function () {
  "use strict";
  const THIN = "\u202f";
  const data = JSON.parse(document.getElementById("calculator-data").textContent);
  const energyForm = document.getElementById("calculator-energy");
  const modelsForm = document.getElementById("calculator-models");

  function significant(value, digits) {
    if (value === 0) return "0";
    const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(Number(value.toExponential(digits - 1)))));
    return Number(value.toPrecision(digits)).toFixed(Math.max(0, decimals));
  }

  function withUnit(value, steps, digits) {
    const step = steps.find((candidate) => Math.abs(value) >= candidate[0]);
    return significant(value / step[1], digits) + THIN + step[2];
  }

  function energy(wh, digits) {
    return withUnit(wh, [[1e3, 1e3, "kWh"], [0.1, 1, "Wh"], [1e-4, 1e-3, "mWh"], [0, 1e-6, "µWh"]], digits || 3);
  }

  function co2(wh, grid) {
    return withUnit((wh / 1000) * grid.gco2e_per_kwh, [[1e3, 1e3, "kg"], [0.1, 1, "g"], [0, 1e-3, "mg"]], 2) + THIN + "CO₂e";
  }

  function predict(fit, duration, gpus) {
    const values = { duration: duration, gpus: gpus, "duration:gpus": duration * gpus, constant: 1 };
    const names = Object.keys(fit.terms);
    let mean = 0;
    let variance = 0;
    names.forEach(function (row) {
      mean += fit.terms[row].estimate * values[row];
      names.forEach(function (column) { variance += values[row] * fit.covariance[row][column] * values[column]; });
    });
    const half = fit.t_975 * Math.sqrt(variance + fit.residual_sd_wh ** 2);
    return { mean: mean, low: mean - half, high: mean + half };
  }

  function element(tag, text, className) {
    const made = document.createElement(tag);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function show(form, children) {
    form.querySelector("output").replaceChildren.apply(form.querySelector("output"), children);
  }

  function askEnergy() {
    const fit = data.fits[energyForm.elements.fit.value];
    const gpus = Number(energyForm.elements.gpus.value);
    const duration = energyForm.elements.duration.valueAsNumber;
    const grid = data.grids[energyForm.elements.grid.value];
    if (!(duration >= 0)) return show(energyForm, [element("p", "Give a duration in seconds, 0 or more.", "warning-text")]);
    const found = predict(fit, duration, gpus);
    const lines = [];
    if (found.mean <= 0) {
      lines.push(element("p", "The fit gives " + energy(found.mean) + ": a negative energy. For so short a run it says nothing.", "warning-text"));
    } else {
      lines.push(element("p", energy(found.mean) + ", " + co2(found.mean, grid), "result"));
    }
    lines.push(element("p", "95 % of such runs lie between " + (found.low > 0 ? energy(found.low) : "0") + " and " + energy(found.high) + "."));
    if (found.mean > 0 && duration > 0) lines.push(element("p", "Mean power " + significant((3600 * found.mean) / duration, 3) + THIN + "W. Energy: " + fit.accounting_title + "."));
    if (duration < fit.shortest_s || duration > fit.longest_s) {
      lines.push(element("p", "Outside of the fitted durations (" + significant(fit.shortest_s, 2) + " to " + significant(fit.longest_s, 4) + THIN + "s).", "warning-text"));
    }
    show(energyForm, lines);
  }

  function fillGpus() {
    const select = energyForm.elements.gpus;
    const before = select.value;
    const counts = data.fits[energyForm.elements.fit.value].gpus;
    select.replaceChildren.apply(select, counts.map(function (count) {
      const option = element("option", String(count));
      option.value = count;
      return option;
    }));
    if (counts.map(String).includes(before)) select.value = before;
  }

  function row(cells, tag) {
    const made = document.createElement("tr");
    cells.forEach(function (cell, place) { made.append(element(tag, cell, place > 1 ? "number" : "")); });
    return made;
  }

  function askModels() {
    const form = modelsForm.elements;
    const floor = form.accuracy.valueAsNumber;
    const texts = form.texts.valueAsNumber;
    const grid = data.grids[form.grid.value];
    if (!(floor >= 0 && floor <= 1)) return show(modelsForm, [element("p", "Give an accuracy between 0 and 1.", "warning-text")]);
    if (!(texts >= 1)) return show(modelsForm, [element("p", "Give a number of texts, 1 or more.", "warning-text")]);
    const upTo = (model) => (model.energy_wh_per_text === null ? model.energy_wh_per_text_below : model.energy_wh_per_text);
    const all = data.models.filter((model) => model.dataset === form.dataset.value);
    const fit = all.filter((model) => model.accuracy >= floor).sort((a, b) => upTo(a) - upTo(b));
    if (!fit.length) {
      const best = Math.max.apply(null, all.map((model) => model.accuracy));
      return show(modelsForm, [element("p", "No model reaches that; the best has " + best.toFixed(2) + ".", "warning-text")]);
    }
    const table = element("table", "", "data");
    const head = document.createElement("thead");
    head.append(row(["Model", "Source", "Accuracy", "Energy", "CO₂e"], "th"));
    const body = document.createElement("tbody");
    fit.forEach(function (model) {
      const limit = model.energy_wh_per_text === null ? "below " : "";
      const wh = upTo(model) * texts;
      body.append(row([model.title, model.source + ", " + model.machine + " (" + model.energy_kind + ")",
                       model.accuracy.toFixed(2), limit + energy(wh), limit + co2(wh, grid)], "td"));
    });
    table.append(head, body);
    const scroll = element("div", "", "table-scroll");
    scroll.append(table);
    show(modelsForm, [element("p", fit.length + " of " + all.length + " rows qualify, the least energy first."), scroll]);
  }

  function start(form, ask) {
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("input", ask);
    ask();
  }

  const germany = data.grids.findIndex((grid) => grid.title === "Germany");
  [energyForm, modelsForm].forEach(function (form) { if (germany >= 0) form.elements.grid.value = germany; });
  document.querySelector(".calculator").hidden = false;
  fillGpus();
  energyForm.elements.fit.addEventListener("input", fillGpus);
  start(energyForm, askEnergy);
  start(modelsForm, askModels);
})();
