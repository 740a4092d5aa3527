// The table: sortable columns, intervals drawn on a common scale.

/** The columns of a board for a score: heading, how to sort, what a cell shows. */
function rankingColumns(board, metric, shown) {
  const first = ["psnr", "ssim", "lpips"].filter((name) => board.metrics.includes(name));
  const names = state.all ? board.metrics : [...new Set([metric, ...first])];
  const place = scale(shown.flatMap((row) => [low(row, metric), high(row, metric), row[metric]]), 6, 114).place;
  const lane = { name: "interval", title: "Interval", cell: (row) => intervalCell(row, metric, place) };
  return [
    { name: "rank", title: "Rank", value: (row) => row.rank, hint: `By ${page.metrics[page.ranked_by].label}`, cell: (row) => String(row.rank ?? ABSENT) },
    { name: "model", title: "Model", text: true, value: (row) => label(row), cell: modelCell },
    ...names.flatMap((name) => [{
      name, title: page.metrics[name].label, hint: meaning(name), descending: page.metrics[name].higher,
      value: (row) => row[name], cell: (row) => scoreCell(row, name),
    }, ...(name === metric ? [lane] : [])]),
    { name: "seeds", title: "Seeds", value: (row) => row.seeds, cell: (row) => String(row.seeds) },
    { name: "params", title: "Params", value: (row) => row.params, cell: (row) => costCell(row.params, row.pareto_params) },
    { name: "gmacs", title: "GMACs", value: (row) => row.gmacs, cell: (row) => costCell(row.gmacs, row.pareto_gmacs) },
    { name: "latency_ms", title: "Latency, ms", value: (row) => row.latency_ms, cell: latencyCell },
    { name: "tier", title: "Tier", text: true, value: (row) => row.tier, cell: (row) => row.tier },
  ];
}

function drawRanking(board, metric, shown) {
  const columns = rankingColumns(board, metric, shown);
  const sorted = order(shown, columns.find(({ name }) => name === state.sort.by) ?? columns[0], state.sort.descending);
  const head = columns.map((column) => heading(column));
  const body = sorted.map((row) => element("tr", {},
    columns.map((column) => element(column.name === "model" ? "th" : "td",
      { class: column.text ? "text" : column.name, scope: column.name === "model" ? "row" : null }, column.cell(row)))));
  replace("#ranking .scroll", element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)));
  replace("#board-about", board.about);
}

function heading(column) {
  if (!column.value) return element("th", { scope: "col" }, column.title);
  const active = state.sort.by === column.name;
  const direction = active ? (state.sort.descending ? "descending" : "ascending") : null;
  const press = () => {
    const descending = active ? !state.sort.descending : Boolean(column.descending);
    state.sort = { by: column.name, descending };
    update();
    document.querySelector(`#ranking button[data-column="${column.name}"]`).focus();
  };
  const arrow = active ? (state.sort.descending ? " ↓" : " ↑") : "";
  return element("th", { scope: "col", "aria-sort": direction, class: column.text ? "text" : null },
    element("button", { type: "button", click: press, title: column.hint, "data-column": column.name }, column.title + arrow));
}

/** Rows by a column; what was not measured comes last either way. */
function order(rows, column, descending) {
  const sign = descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [left, right] = [column.value(one), column.value(other)];
    if (!known(left) || !known(right)) return Number(!known(left)) - Number(!known(right));
    return sign * (typeof left === "string" ? left.localeCompare(right) : left - right);
  });
}

function modelCell(row) {
  return [element("a", { href: `#row-${row.row}` }, row.model), row.variant ? element("small", {}, row.variant) : null].filter(Boolean);
}

function meaning(name) {
  const { description, higher } = page.metrics[name];
  return `${description}; ${higher ? "higher" : "lower"} is better`;
}

function scoreCell(row, name) {
  const digits = page.metrics[name].digits;
  const cell = [fixed(row[name], digits)];
  if (known(low(row, name))) cell.push(element("small", {}, `${fixed(low(row, name), digits)} to ${fixed(high(row, name), digits)}`));
  return cell;
}

function intervalCell(row, metric, place) {
  if (!known(row[metric])) return ABSENT;
  const digits = page.metrics[metric].digits;
  const span = known(low(row, metric)) ? `${fixed(low(row, metric), digits)} to ${fixed(high(row, metric), digits)}` : "no interval";
  const svg = shape("svg", { width: 120, height: 16, viewBox: "0 0 120 16", role: "img", "aria-label": span });
  if (known(low(row, metric))) {
    svg.append(shape("line", { x1: place(low(row, metric)), x2: place(high(row, metric)), y1: 8, y2: 8, class: `s${row.index % COLORS} whisker` }));
  }
  svg.append(marker(row.index, place(row[metric]), 8));
  return svg;
}

/** A cost, marked where no row is better at no greater cost. */
function costCell(value, pareto) {
  const mark = element("span", { class: "pareto", title: "no row of this table is better at no greater cost" }, "◆");
  return [short(value), pareto ? mark : null].filter(Boolean);
}

/** A latency, or a dash that says why there is none. */
function latencyCell(row) {
  if (known(row.latency_ms)) return costCell(row.latency_ms, row.pareto_latency);
  return [element("abbr", { title: row.latency_note }, ABSENT)];
}
