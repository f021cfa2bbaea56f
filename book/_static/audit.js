/* The audit page: one field filters the rows of all its tables. */
(function () {
  "use strict";
  const parts = Array.from(document.querySelectorAll(".audit"));
  if (!parts.length) return;

  const form = document.createElement("form");
  form.className = "audit-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Filter the tables on this page");
  form.innerHTML =
    '<label for="audit-words">Show only rows with</label>' +
    '<input id="audit-words" type="search" autocomplete="off" spellcheck="false" placeholder="linear-bow news">' +
    '<output for="audit-words" aria-live="polite"></output>';
  const field = form.querySelector("input");
  const told = form.querySelector("output");
  const anchor = document.querySelector(".audit-filter-here") || parts[0];
  anchor.before(form);

  const rows = parts.flatMap((part) => Array.from(part.querySelectorAll("tbody tr")));
  const texts = rows.map((row) => row.textContent.toLowerCase());

  function filter() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    rows.forEach(function (row, index) {
      row.hidden = !words.every((word) => texts[index].includes(word));
      left += row.hidden ? 0 : 1;
    });
    told.textContent = words.length ? `${left} of ${rows.length} rows` : "";
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", filter);
  filter(); // a browser that goes back keeps what was typed
})();
