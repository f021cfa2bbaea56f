/* The calculator and the choice of a model: all they know stands in their page (the fits or the results table, the grids). */
(function () {
  "use strict";
  const THIN = "\u202f";
  const MOST = 1e12; // beyond it nobody asks
  const NAMED = 3; // of the runs that qualify, in words; a table has all
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
      lines.push(element("p", "Extrapolated in proportion to the duration: the runs took " + fit.range + ". No run shows how large the error is.", "warning-text"));
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

  /* "1.2 to 1.5 Wh", or its one value where the ends read the same. */
  function range(low, high, text) {
    const ends = [text(low), text(high)];
    return ends[0] === ends[1] ? ends[0] : ends.join(" to ");
  }

  function time(seconds) {
    const steps = [[86400 * 2, 86400, "days"], [3600 * 2, 3600, "h"], [120, 60, "min"], [0.1, 1, "s"], [0, 1e-3, "ms"]];
    return withUnit(seconds, steps, 2);
  }

  function share(low, high) {
    return low.toFixed(2) + " to " + high.toFixed(2);
  }

  /* The row of a table: the model links to its evidence. */
  function row(cells, tag, page) {
    const made = document.createElement("tr");
    cells.forEach(function (cell, place) { made.append(element(tag, cell, place > 0 && place < 5 ? "number" : "")); });
    if (page) {
      const link = element("a", cells[0]);
      link.href = new URL(page, modelsForm.parentNode.querySelector(".root").href).href;
      made.firstChild.replaceChildren(link);
    }
    return made;
  }

  function energyOf(model, texts) {
    if (model.wh_per_text === null) return "below " + energy(model.wh_high_per_text * texts);
    return energy(model.wh_per_text * texts, 2);
  }

  function about(model, texts) {
    const list = element("li", "");
    const span = range(model.wh_low_per_text * texts, model.wh_high_per_text * texts, (wh) => energy(wh, 2));
    const exact = model.wh_per_text === null || span === energyOf(model, texts); // a range that rounds to the value says nothing
    list.append(element("strong", model.title), (model.wh_per_text === null ? ": " : ": about ") + energyOf(model, texts)
      + (exact ? "" : " (" + span + ")")
      + (model.s_per_text === null ? "" : ", " + time(model.s_per_text * texts))
      + "; accuracy " + model.accuracy.toFixed(2) + " (" + share(model.accuracy_low, model.accuracy_high) + "). "
      + (model.source === "published" ? "Published" : "Measured by us, campaign " + model.source) + ", " + model.machine_title
      + (model.too_short ? ". The run was too short for the paper's meter, so its energy and time are rough" : "")
      + (model.doubtful ? ". Doubtful: too little energy to embed the texts; see Errata" : "") + ".");
    return list;
  }

  function advice(fit, floor, form) {
    const best = fit[0];
    const lines = [];
    if (best.accuracy_low < floor) {
      lines.push("It is not certain that " + best.title + " reaches " + floor + ": its accuracy is between " + share(best.accuracy_low, best.accuracy_high).replace(" to ", " and ") + ".");
    }
    if (best.trained) lines.push(best.title + " must first be trained; the study used " + data.training_texts[form.dataset.value] + " labelled texts.");
    else lines.push(best.title + " needs no labelled examples, only the names of the categories.");
    if (fit.some((model) => model.wh_per_text === null)) lines.push("Where only a limit of the energy is known, the run is ranked by the limit.");
    if (form.hardware.value !== "") lines.push("Runs whose number of GPUs is not known are left out.");
    return lines;
  }

  function askModels() {
    const form = modelsForm.elements;
    const floor = number(form.accuracy.value, false);
    const texts = number(form.texts.value, true);
    const grid = data.grids[form.grid.value];
    const gpus = form.hardware.value === "" ? Infinity : Number(form.hardware.value);
    if (!(floor >= 0 && floor <= 1)) return show(modelsForm, [element("p", "Give an accuracy between 0 and 1, such as 0.45 or 0,45.", "warning-text")]);
    if (!(texts >= 1 && texts <= MOST && Number.isInteger(texts))) {
      return show(modelsForm, [element("p", "Give the number of texts as a whole number, 1 or more.", "warning-text")]);
    }
    const all = data.models.filter((model) => model.dataset === form.dataset.value)
      .filter((model) => (gpus === Infinity || (model.gpus !== null && model.gpus <= gpus)) && (form.labelled.value || !model.trained));
    const upTo = (model) => (model.wh_per_text === null ? model.wh_high_per_text : model.wh_per_text);
    const fit = all.filter((model) => model.accuracy >= floor).sort((a, b) => a.doubtful - b.doubtful || upTo(a) - upTo(b));
    if (!fit.length) {
      const best = Math.max.apply(null, all.map((model) => model.accuracy));
      return show(modelsForm, [element("p", all.length ? "No run reaches that accuracy; the best has " + best.toFixed(2) + "." : "There is no run for this choice.", "warning-text")]);
    }
    const table = element("table", "", "data");
    const head = document.createElement("thead");
    head.append(row(["Model", "Accuracy", "Energy", "CO₂e", "Time", "Source"], "th"));
    const body = document.createElement("tbody");
    fit.forEach(function (model) {
      const limit = model.wh_per_text === null ? "below " : "";
      const doubt = model.doubtful ? ", doubtful" : "";
      body.append(row([model.title, model.accuracy.toFixed(2), energyOf(model, texts), limit + co2(upTo(model) * texts, grid),
                       model.s_per_text === null ? "not known" : time(model.s_per_text * texts),
                       model.source + ", " + model.machine_title + " (" + (KINDS[model.energy_kind] || model.energy_kind) + doubt + ")"], "td", model.page));
    });
    table.append(head, body);
    const scroll = element("div", "", "table-scroll");
    scroll.tabIndex = 0; // so that a keyboard can scroll it
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", "Runs that qualify");
    scroll.append(table);
    const first = element("ol", "", "result-list");
    first.append.apply(first, fit.slice(0, NAMED).map((model) => about(model, texts)));
    show(modelsForm, [
      element("p", "Least energy among the runs that reach " + form.accuracy.value.trim() + ", for " + texts.toLocaleString("en-GB") + " texts:", "panel-title"),
      first, ...advice(fit, floor, form).map((line) => element("p", line)),
      element("p", fit.length + " of " + all.length + " runs qualify; each model links to its source.", "panel-title"), scroll,
    ]);
  }

  function start(form, ask) {
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("input", ask);
    ask();
  }

  const germany = data.grids.findIndex((grid) => grid.title === "Germany");
  [energyForm, modelsForm].filter(Boolean).forEach(function (form) {
    if (germany >= 0) form.elements.grid.value = germany;
  });
  document.querySelector(".calculator").hidden = false;
  if (energyForm) {
    fillGpus();
    energyForm.elements.fit.addEventListener("input", fillGpus);
    start(energyForm, askEnergy);
  }
  if (modelsForm) start(modelsForm, askModels);
})();
