// Quality against parameters, operations and time.

// A cost: its title, what rows must agree in for it to compare, and how a plot without any says so.
const COSTS = [
  { cost: "params", title: "Parameters", same: [], none: "a number of parameters" },
  { cost: "gmacs", title: "GMACs", same: ["gmacs_input"], none: "a count of operations" },
  { cost: "latency_ms", title: "Latency, ms", same: ["device", "precision", "latency_input"], none: "a latency" },
];

function drawPareto(board, metric, shown) {
  const figures = COSTS.flatMap((about) => {
    const groups = new Map();
    for (const row of shown.filter((row) => known(row[metric]) && known(row[about.cost]))) {
      const group = about.same.map((name) => row[name]).filter(known).join(", ");
      groups.set(group, [...(groups.get(group) ?? []), row]);
    }
    if (!groups.size) groups.set("", []);
    return [...groups].map(([group, rows]) => paretoFigure(rows, metric, about, group));
  });
  const place = document.querySelector("#cost .plots");
  place.replaceChildren(...figures.map(({ figure }) => figure));
  for (const { figure, draw } of figures) draw?.(figure.clientWidth || 480);
}

function paretoFigure(rows, metric, { cost, title, none }, group) {
  const figure = element("figure", { "data-cost": cost }, element("figcaption", {}, [title, group].filter(Boolean).join(", ")));
  const placed = rows.filter((row) => row[cost] > 0);
  const free = rows.filter((row) => !(row[cost] > 0));
  if (free.length) figure.append(element("p", { class: "note" }, `Not drawn, since it is 0: ${free.map(label).join(", ")}.`));
  if (!rows.length) figure.append(element("p", { class: "note" }, `None of these rows has ${none}.`));
  if (!placed.length) return { figure };
  return { figure, draw: (width) => figure.append(paretoPlot(placed, metric, cost, title, width)) };
}

function paretoPlot(rows, metric, cost, title, width) {
  const height = Math.round(Math.min(380, Math.max(320, width * 0.72)));
  const frame = { left: 52, right: width - 12, top: 26, bottom: height - 44 };
  const better = page.metrics[metric].higher;
  const x = scale(rows.map((row) => row[cost]), frame.left, frame.right, { log: true, pad: 0.1 });
  const values = rows.flatMap((row) => [row[metric], low(row, metric), high(row, metric)]);
  const y = scale(values, ...(better ? [frame.bottom, frame.top] : [frame.top, frame.bottom]));
  const svg = canvas(width, height, `${page.metrics[metric].label} against ${title}`);
  const up = better ? "" : " (lower is better, drawn upward)";
  axes(svg, frame, x, y, { x: title, y: page.metrics[metric].label + up });
  svg.append(shape("path", { d: frontLine(rows, metric, cost, x, y, frame), class: "front" }));
  const points = rows.map((row) => {
    const [top, bottom] = [high(row, metric) ?? row[metric], low(row, metric) ?? row[metric]].map(y.place).sort((a, b) => a - b);
    return { row, x: x.place(row[cost]), y: y.place(row[metric]), top, bottom, text: clipped(label(row), 28) };
  });
  const placed = placeLabels(points, frame);
  for (const { row, x: left, y: middle, text, labelX, labelY, anchor, far } of placed) {
    const spoken = `${label(row)}: ${fixed(row[metric], page.metrics[metric].digits)} at ${short(row[cost])}`;
    svg.append(shape("a", { href: `#row-${row.row}`, class: "point", "aria-label": spoken },
      shape("title", {}, spoken),
      whisker(left, low(row, metric), high(row, metric), y, row.index),
      far ? shape("line", { x1: left, y1: middle, x2: labelX, y2: labelY, class: "leader" }) : null,
      marker(row.index, left, middle),
      labelX === undefined ? null : shape("text", { x: labelX, y: labelY + 4, "text-anchor": anchor, class: "label" }, text)));
  }
  return svg;
}

/** The rows that no other beats at the same cost or less, as steps. */
function frontLine(rows, metric, cost, x, y, frame) {
  const sign = page.metrics[metric].higher ? 1 : -1;
  const sorted = [...rows].sort((one, other) => one[cost] - other[cost] || sign * (other[metric] - one[metric]));
  let best = -Infinity;
  let path = "";
  for (const row of sorted) {
    if (sign * row[metric] <= best) continue;
    best = sign * row[metric];
    path += path ? `H${x.place(row[cost])}V${y.place(row[metric])}` : `M${x.place(row[cost])},${y.place(row[metric])}`;
  }
  return `${path}H${frame.right}`;
}
