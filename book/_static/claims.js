/* The claim ledger: buttons by verdict and a search. Without this script, all rows are shown. */
(function () {
  "use strict";
  const ledger = document.querySelector("figure.artefact .claims");
  if (!ledger) return;
  const tables = Array.from(ledger.querySelectorAll(".table-scroll"));
  const rows = Array.from(ledger.querySelectorAll("tbody tr"));
  const verdictOf = function (row) {
    const said = row.querySelector(".verdict").dataset;
    return said.verdict || said.outcome;
  };
  let chosen = "";

  const bar = document.createElement("div");
  bar.className = "claims-filter";
  const group = document.createElement("div");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Show by verdict");
  const search = document.createElement("input");
  search.type = "search";
  const label = document.createElement("label");
  label.append("Search ", search);
  const shown = document.createElement("p");
  shown.setAttribute("role", "status");

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach(function (row) {
      const text = row.textContent.toLowerCase();
      row.hidden = (chosen && verdictOf(row) !== chosen) || !words.every((word) => text.includes(word));
      if (!row.hidden) count += 1;
    });
    group.querySelectorAll("button").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.value === chosen));
    });
    tables.forEach(function (table) {
      const empty = !table.querySelector("tbody tr:not([hidden])");
      table.hidden = empty;
      if (table.previousElementSibling) table.previousElementSibling.hidden = empty;  // its title
    });
    shown.textContent = count + " of " + rows.length + " statements and inferences shown";
  }

  function addButton(value, text, count) {
    const button = document.createElement("button");
    button.type = "button";
    button.value = value;
    button.textContent = text + " (" + count + ")";
    button.addEventListener("click", function () {
      chosen = value;
      apply();
    });
    group.append(button);
  }

  const [statements, inferences] = tables.map((table) => table.querySelectorAll("tbody tr").length);
  addButton("", "all", statements + " statements, " + inferences + " inferences");
  new Set(rows.map(verdictOf)).forEach(function (verdict) {
    addButton(verdict, verdict, rows.filter((row) => verdictOf(row) === verdict).length);
  });
  search.addEventListener("input", apply);
  bar.append(group, label, shown);
  ledger.prepend(bar);
  apply();
})();
