// Who beats whom, image by image.

function drawWins(board, metric, shown) {
  const wins = board.wins[metric];
  const rows = order(shown, { value: (row) => row[metric] }, page.metrics[metric].higher).filter((row) => wins?.keys.includes(row.row));
  if (rows.length < 2) {
    replace("#wins .scroll", element("p", { class: "note" }, "Fewer than two of these rows have scores image by image."));
    return;
  }
  const share = (row, column) => wins.share[wins.keys.indexOf(row.row)][wins.keys.indexOf(column.row)];
  const head = rows.map((row) => element("th", { scope: "col" }, element("span", { class: "turned" }, label(row))));
  const body = rows.map((row) => element("tr", {},
    element("th", { scope: "row" }, label(row)),
    rows.map((column) => (row === column ? element("td", { class: "same" }) : winCell(share(row, column), row, column)))));
  const corner = element("td", { class: "note" }, "row beats column");
  replace("#wins .scroll", element("table", { class: "matrix" },
    element("thead", {}, element("tr", {}, corner, head)), element("tbody", {}, body)));
}

function winCell(value, row, column) {
  if (!known(value)) return element("td", {}, ABSENT);
  const percent = Math.round(value * 100);
  const cell = element("td", { class: value < 0.5 ? "loses" : "wins", title: `${label(row)} beats ${label(column)} on ${percent} % of the images` }, `${percent} %`);
  cell.style.setProperty("--strength", `${Math.round(Math.abs(value - 0.5) * 110)}%`);
  return cell;
}
