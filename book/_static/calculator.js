/* The calculator: everything it knows stands in the page (the fits' JSON, the results table, the grids). */
(function () {
  "use strict";
  const THIN = "\u202f";
  const MOST = 1e12; // beyond it nobody asks
  const KINDS = {digitised: "read off a figure"};
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
    const steps = [[1e9, 1e9, "GWh"], [1e6, 1e6, "MWh"], [1e3, 1e3, "kWh"], [0.1, 1, "Wh"], [1e-4, 1e-3, "mWh"], [0, 1e-6, "µWh"]];
    return withUnit(wh, steps, digits || 3);
  }

  function co2(wh, grid) {
    const steps = [[1e6, 1e6, "t"], [1e3, 1e3, "kg"], [0.1, 1, "g"], [1e-4, 1e-3, "mg"], [0, 1e-6, "µg"]];
    return withUnit((wh / 1000) * grid.gco2e_per_kwh, steps, 2) + THIN + "CO₂e";
  }

  /* A number as it is written in Europe: 600,5 and 600.5, 1 000 and 1.000.000. NaN where it is none, or could be two. */
  function number(text, whole) {
    const plain = text.trim().replace(/[\s\u00a0\u202f'’]/g, "");
    const marks = plain.match(/[.,]/g) || [];
    const last = Math.max(plain.lastIndexOf("."), plain.lastIndexOf(","));
    const grouped = (part) => /^\d{1,3}([.,]\d{3})+$/.test(part) && new Set(part.match(/[.,]/g)).size === 1;
    const ungrouped = (part) => part.replace(/[.,]/g, "");
    if (grouped(plain) && (whole || marks.length > 1)) return Number(ungrouped(plain));
    if (grouped(plain) && !plain.startsWith("0")) return NaN; // 1,500: one and a half, or fifteen hundred?
    if (marks.length > 1 && (!grouped(plain.slice(0, last)) || plain.slice(0, last).includes(plain[last]))) return NaN;
    const usual = last < 0 ? plain : ungrouped(plain.slice(0, last)) + "." + plain.slice(last + 1);
    return /^\d*\.?\d*(e[+-]?\d+)?$/i.test(usual) && /^\.?\d/.test(usual) ? Number(usual) : NaN;
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
    const duration = number(energyForm.elements.duration.value, false);
    const grid = data.grids[energyForm.elements.grid.value];
    if (!(duration > 0 && duration <= MOST)) {
      return show(energyForm, [element("p", "Give a duration in seconds, more than 0, such as 600, 600.5 or 600,5; 1500 without a separator.", "warning-text")]);
    }
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
    const floor = number(form.accuracy.value, false);
    const texts = number(form.texts.value, true);
    const grid = data.grids[form.grid.value];
    if (!(floor >= 0 && floor <= 1)) return show(modelsForm, [element("p", "Give an accuracy between 0 and 1, such as 0.45 or 0,45.", "warning-text")]);
    if (!(texts >= 1 && texts <= MOST && Number.isInteger(texts))) {
      return show(modelsForm, [element("p", "Give a number of texts, a whole one, 1 or more.", "warning-text")]);
    }
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
      const doubt = model.doubtful ? ", doubtful" : "";
      body.append(row([model.title, model.source + ", " + model.machine_title + " (" + (KINDS[model.energy_kind] || model.energy_kind) + doubt + ")",
                       model.accuracy.toFixed(2), limit + energy(wh), limit + co2(wh, grid)], "td"));
    });
    table.append(head, body);
    const scroll = element("div", "", "table-scroll");
    scroll.tabIndex = 0; // so that a keyboard can scroll it
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", "Models that qualify");
    scroll.append(table);
    const lines = [element("p", fit.length + " of " + all.length + " rows qualify, the least energy first."), scroll];
    if (fit.some((model) => model.doubtful)) {
      lines.push(element("p", "Doubtful: printed, but too little energy to embed the texts. Errata says why."));
    }
    show(modelsForm, lines);
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
