/* Tables that sort: each head becomes a button. */
(function () {
  "use strict";
  const UNITS = {
    "µWh": 1e-6, "mWh": 1e-3, "Wh": 1, "kWh": 1e3, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600,
    "µg": 1e-6, "mg": 1e-3, "g": 1, "kg": 1e3,
  };

  const SAME = new Set(["%", "W", "kW", "GB", "GiB", "MB", "MiB", "KiB", "Wh/s", "times"]);
  const DIGITS = String.raw`[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
  /* A number, its stars; a spread, the end of a range or a second number; a unit; a remark in brackets. */
  const NUMBER = new RegExp(String.raw`^[<>≤≥~]?\s*(${DIGITS})\*{0,3}(?:\s*(?:±|to|–|/|of)\s*${DIGITS})?`
    + String.raw`\s*([^\s\d()[\]]*)\s*(?:\(.*\)|\[.*\])?$`, "i");

  /* The number that a cell holds, in the base unit; NaN where it is a text, null where it is absent. Dates, versions
     and hashes begin with digits and are texts. */
  function valueOf(cell) {
    const text = cell.textContent.trim().replace(/\u2212/g, "-");
    if (text === "-" || text === "") return null;
    const [, number, unit] = text.match(NUMBER) || [];
    if (number === undefined || !(unit === "" || unit in UNITS || SAME.has(unit))) return NaN;
    return Number(number.replace(/,/g, "")) * (UNITS[unit] || 1);
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, cell: row.cells[column] }));
    rows.forEach((item) => { item.value = valueOf(item.cell); item.text = item.cell.textContent.trim(); });
    const version = /\bversion\b/i.test(table.tHead.rows[0].cells[column].textContent); // 5.10 comes after 5.9
    const numeric = !version && rows.every((item) => !Number.isNaN(item.value));
    rows.sort(function (a, b) {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null); // absent ones last
      return direction * (numeric ? a.value - b.value : a.text.localeCompare(b.text, "en", { numeric: true }));
    });
    body.append(...rows.map((item) => item.row));
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    if (!table.tHead || table.tBodies[0].rows.length < 2) return;
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      if (!head.textContent.trim()) return; // nothing that a button could be called
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", function () {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up ? 1 : -1);
      });
    });
  });
})();
