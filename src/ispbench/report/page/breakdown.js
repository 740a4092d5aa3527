// Means by camera, light, ISO: a plot of up to eight rows, and a table of all.

const DRAWN = 8;

function drawBreakdown(board, metric, shown) {
  const names = Object.keys(board.by);
  if (!names.length) {
    replace("#breakdown .choices");
    replace("#breakdown .plot");
    replace("#breakdown .scroll", element("p", { class: "note" }, "Nothing is known that tells these images apart, so there is nothing to break down by."));
    return;
  }
  if (!names.includes(state.by)) state.by = names[0];
  const choose = (name) => {
    state.by = name;
    update();
    document.querySelector("#breakdown [aria-pressed=true]").focus();
  };
  replace("#breakdown .choices", buttons("Break down by", names.map((name) => [name, page.names[name] ?? name]), state.by, choose));
  const { values, cells } = board.by[state.by];
  const rows = order(shown, { value: (row) => row[metric] }, page.metrics[metric].higher).filter((row) => cells[row.row]?.[metric]);
  if (!rows.length) {
    replace("#breakdown .plot");
    replace("#breakdown .scroll", element("p", { class: "note" }, "None of these rows has scores image by image."));
    return;
  }
  const cell = (row, place) => cells[row.row][metric][place] ?? {};
  const drawn = rows.slice(0, DRAWN);
  const plot = document.querySelector("#breakdown .plot");
  plot.replaceChildren(breakdownPlot(drawn, values, cell, metric, plot.clientWidth || 640), legend(drawn));
  if (rows.length > DRAWN) plot.append(element("p", { class: "note" }, `The plot shows the best ${DRAWN}; the table has all.`));
  replace("#breakdown .scroll", breakdownTable(rows, values, cell, metric));
}

function breakdownPlot(rows, values, cell, metric, width) {
  const height = 300;
  const frame = { left: 52, right: width - 8, top: 26, bottom: height - 44 };
  const all = rows.flatMap((row) => values.flatMap((_, place) => [cell(row, place).mean, cell(row, place).low, cell(row, place).high]));
  const y = scale(all, frame.bottom, frame.top);
  const x = bands(values, frame.left, frame.right);
  const title = `${page.metrics[metric].label} by ${page.names[state.by] ?? state.by}`;
  const svg = canvas(width, height, title);
  axes(svg, frame, x, y, { x: "", y: page.metrics[metric].label });
  rows.forEach((row, number) => {
    const shift = ((number + 0.5) / rows.length - 0.5) * Math.min(x.width * 0.7, 110);
    values.forEach((value, place) => {
      const { mean, low: least, high: most, n } = cell(row, place);
      if (!known(mean)) return;
      const left = x.place(place) + shift;
      const spoken = `${label(row)}, ${value}: ${fixed(mean, page.metrics[metric].digits)} over ${n} images`;
      svg.append(shape("g", {}, shape("title", {}, spoken), whisker(left, least, most, y, row.index), marker(row.index, left, y.place(mean))));
    });
  });
  return svg;
}

function breakdownTable(rows, values, cell, metric) {
  const digits = page.metrics[metric].digits;
  const counts = values.map((_, place) => Math.max(...rows.map((row) => cell(row, place).n ?? 0)));
  const head = [element("th", { scope: "col", class: "text" }, "Model"), element("th", { scope: "col" }, "all"),
    ...values.map((value, place) => element("th", { scope: "col" }, value, element("small", {}, `${counts[place]} images`)))];
  const body = rows.map((row) => element("tr", {},
    element("th", { scope: "row", class: "text" }, label(row)),
    element("td", {}, fixed(row[metric], digits)),
    values.map((_, place) => {
      const { mean, low: least, high: most } = cell(row, place);
      const interval = known(least) ? element("small", {}, `${fixed(least, digits)} to ${fixed(most, digits)}`) : null;
      return element("td", {}, fixed(mean, digits), interval);
    })));
  return element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body));
}
