/* Search: pages and figures of the study first, then pages of runs, the package's own reference last. */
var Scorer = {
  score: (result) => {
    const page = result[0];
    if (page.startsWith("book/reference/")) return result[4] - 60;
    if (page.startsWith("runs/")) return result[4] - 40;
    if (/^(notebooks\/analysis\/figure_|book\/story)/.test(page)) return result[4] + 20;
    return result[4];
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2
};
