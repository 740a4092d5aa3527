// What is chosen, and drawing all that depends on it.

const page = JSON.parse(document.getElementById("data").textContent);
const state = { board: 0, metric: page.ranked_by, search: "", most: "", tier: "", all: false, sort: { by: "rank", descending: false }, view: { ...WHOLE } };

const label = (row) => [row.model, row.variant].filter(Boolean).join(" ");
const low = (row, metric) => row[`${metric}_low`];
const high = (row, metric) => row[`${metric}_high`];

/** The rows of the chosen table that pass the filters. */
function filtered(board) {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  return board.rows.filter((row) =>
    words.every((word) => label(row).toLowerCase().includes(word)) &&
    (!state.most || (known(row.params) && row.params <= Number(state.most))) &&
    (!state.tier || row.tier === state.tier));
}

function drawFilters() {
  const board = page.boards[state.board];
  const change = (name) => (value) => {
    state[name] = value;
    update();
  };
  const search = element("input", { type: "search", value: state.search, placeholder: "name or setting", input: (event) => change("search")(event.target.value) });
  const all = element("input", { type: "checkbox", change: (event) => change("all")(event.target.checked) });
  all.checked = state.all;
  const tiers = [...new Set(board.rows.map((row) => row.tier))];
  const sizes = [["", "any size"], ["100000", "up to 100k parameters"], ["1000000", "up to 1M parameters"], ["10000000", "up to 10M parameters"]];
  replace("#filters",
    select("Table", page.boards.map(({ title }, number) => [String(number), title]), String(state.board), (number) => {
      chooseBoard(number);
      document.querySelector("#filters select").focus();
    }),
    select("Score", board.metrics.map((name) => [name, page.metrics[name].label]), state.metric, change("metric")),
    element("label", {}, element("span", {}, "Model"), search),
    select("Size", sizes, state.most, change("most")),
    select("Tier", [["", "all"], ...tiers.map((tier) => [tier, tier])], state.tier, change("tier")),
    element("label", { class: "check" }, all, element("span", {}, "All scores")));
}

function chooseBoard(number) {
  state.board = Number(number);
  const board = page.boards[state.board];
  if (!board.metrics.includes(state.metric)) state.metric = board.metrics[0];
  state.sort = { by: "rank", descending: false };
  state.tier = "";
  drawFilters();
  update();
}

/** Draws all that depends on the filters. */
function update() {
  const board = page.boards[state.board];
  const shown = filtered(board);
  replace("#status", `${shown.length} of ${board.rows.length} rows`);
  drawRanking(board, state.metric, shown);
  drawPareto(board, state.metric, shown);
  drawWins(board, state.metric, shown);
  drawBreakdown(board, state.metric, shown);
  drawImages(board, page.ranked_by, shown);
  drawProvenance(board, shown);
}

/** Runs a function once the window has been left alone for a moment. */
function settled(run) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, 120);
  };
}

document.getElementById("about").textContent = page.about;
if (page.boards.length) {
  chooseBoard(0);
  drawAblations();
  let width = window.innerWidth;
  window.addEventListener("resize", settled(() => {
    if (window.innerWidth === width) return; // a phone's address bar came or went
    width = window.innerWidth;
    update();
    drawAblations();
  }));
  window.addEventListener("hashchange", openTarget);
  openTarget();
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((row) => row.setAttribute("open", "")));
} else {
  replace("main", element("p", {}, "There are no finished evaluations yet."));
}
