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

  /* Eq. 1 with the coefficients of the decade: nothing is added, so no energy is negative. */
  function estimate(fit, duration, gpus) {
    const choice = fit.choices.find((candidate) => duration < candidate.to_s) || fit.choices[fit.choices.length - 1];
    const wh = (found) => (found.a + found.c * gpus) * duration;
    const mean = wh(fit.fits[choice.estimator]);
    const known = fit.factor !== null && duration >= fit.shortest_s && duration <= fit.longest_s;
    return {
      choice: choice,
      wh: mean,
      low: known ? mean / fit.factor : null,
      high: known ? mean * fit.factor : null,
      paper: fit.paper && wh(fit.paper)
    };
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
    if (!(duration > 0)) return show(energyForm, [element("p", "Give a duration in seconds, more than 0.", "warning-text")]);
    if (duration < fit.known_from_s) return show(energyForm, [element("p", fit.unknown, "warning-text")]);
    const found = estimate(fit, duration, gpus);
    const within = duration >= fit.shortest_s && duration <= fit.longest_s;
    const lines = [element("p", energy(found.wh) + ", " + co2(found.wh, grid), "result")];
    if (!within) {
      lines.push(element("p", "Extrapolated in proportion to the duration: the runs took " + fit.range + ". How far off that is, no run tells.", "warning-text"));
    } else if (found.low === null) {
      lines.push(element("p", "No interval: too few models.", "warning-text"));
    } else {
      lines.push(element("p", "95\u202f% prediction interval, for a model that the fit has not seen: " + energy(found.low) + " to " + energy(found.high) + "."));
    }
    lines.push(element("p", "Mean power " + significant((3600 * found.wh) / duration, 3) + THIN + "W. Energy: " + fit.accounting_title + "."));
    lines.push(element("p", found.choice.title + ". " + found.choice.error + "."));
    if (fit.paper) lines.push(element("p", fit.paper.title + " gives " + energy(found.paper) + "."));
    fit.remarks.forEach(function (remark) { lines.push(element("p", remark)); });
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
