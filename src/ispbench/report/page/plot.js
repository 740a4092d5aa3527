// What plots share: scales with round ticks, axes, markers, labels that do not overlap.

const MARKERS = [
  "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
  "M-4,-4h8v8h-8z",
  "M0,-5L5,4H-5z",
  "M0,-5.5L5,0L0,5.5L-5,0z",
  "M0,5L5,-4H-5z",
  "M-1.6,-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z",
];
const COLORS = 8;

/** The marker of a series: shape and color repeat after different numbers, so that many can be told apart. */
function marker(index, x, y) {
  return shape("path", { d: MARKERS[index % MARKERS.length], transform: `translate(${x},${y})`, class: `s${index % COLORS} mark` });
}

/** Positions of values between two pixels; null widens nothing. */
function scale(values, from, to, { log = false, pad = 0.08 } = {}) {
  const number = log ? Math.log10 : (value) => value;
  const found = values.filter(known).map(number);
  let [low, high] = [Math.min(...found), Math.max(...found)];
  const margin = (high - low) * pad || (log ? 0.3 : Math.abs(low) * 0.02 || 1);
  [low, high] = [low - margin, high + margin];
  const place = (value) => from + ((number(value) - low) / (high - low)) * (to - from);
  const count = Math.max(2, Math.abs(to - from) / (log ? 70 : 45));
  return { place, ticks: log ? logTicks(low, high, count) : roundTicks(low, high, count) };
}

function roundTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) {
    ticks.push([value, fixed(value, digits)]);
  }
  return ticks;
}

function logTicks(low, high, count) {
  const factors = [[1, 2, 5], [1, 3], [1]].find((group) => group.length * (high - low) <= count) ?? [1];
  const ticks = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) ticks.push([value, short(value)]);
    }
  }
  return ticks;
}

/** Names at equal distances; those that would run into each other are clipped. */
function bands(names, from, to) {
  const width = (to - from) / names.length;
  const most = Math.max(3, Math.floor(width / 6.5));
  return { width, place: (index) => from + (index + 0.5) * width, ticks: names.map((name, index) => [index, clipped(name, most)]) };
}

function clipped(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** An SVG as wide as its place, with axes; `x` and `y` are scales of `frame`'s edges. */
function canvas(width, height, title) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": title });
}

function axes(svg, frame, x, y, titles) {
  for (const [value, text] of y.ticks) {
    const place = y.place(value);
    svg.append(
      shape("line", { x1: frame.left, x2: frame.right, y1: place, y2: place, class: "grid" }),
      shape("text", { x: frame.left - 6, y: place + 4, "text-anchor": "end" }, text),
    );
  }
  for (const [value, text] of x.ticks) {
    const place = x.place(value);
    svg.append(
      shape("line", { x1: place, x2: place, y1: frame.bottom, y2: frame.bottom + 4, class: "axis" }),
      shape("text", { x: place, y: frame.bottom + 17, "text-anchor": "middle" }, text),
    );
  }
  svg.append(
    shape("line", { x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom, class: "axis" }),
    shape("text", { x: frame.right, y: frame.bottom + 35, "text-anchor": "end", class: "title" }, titles.x),
    shape("text", { x: frame.left - 40, y: frame.top - 10, class: "title" }, titles.y),
  );
}

/** A whisker from low to high; nothing where there is no interval. */
function whisker(x, low, high, y, index) {
  if (!known(low) || !known(high)) return null;
  const [top, bottom] = [y.place(high), y.place(low)];
  return shape("path", { d: `M${x - 3},${top}h6M${x},${top}V${bottom}M${x - 3},${bottom}h6`, class: `s${index % COLORS} whisker` });
}

// Where a label may stand, seen from its point: to the right is above the lines to the right.
const SIDES = [[1, -0.7], [1, 0.7], [-1, -0.7], [-1, 0.7], [1, 0], [-1, 0], [0.4, -1], [0.4, 1], [-0.4, -1], [-0.4, 1]];

/** Where labels stand: beside their points, further off where others are in the way; on a whisker only if need be. */
function placeLabels(points, frame) {
  const taken = points.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  const whiskers = points.map(({ x, top, bottom }) => ({ left: x - 2, right: x + 2, top, bottom }));
  return points.map((point) => {
    const found = freePlace(point, frame, [...taken, ...whiskers]) ?? freePlace(point, frame, taken);
    if (found) taken.push(found.box);
    return { ...point, ...found };
  });
}

function freePlace({ x, y, text }, frame, obstacles) {
  const width = text.length * 6.3 + 4;
  for (const distance of [9, 20, 34, 50, 68]) {
    for (const [right, down] of SIDES) {
      const [labelX, labelY] = [x + right * distance, y + down * distance * 1.2];
      const left = right > 0 ? labelX : labelX - width;
      const box = { left, right: left + width, top: labelY - 7, bottom: labelY + 7 };
      const inside = left >= frame.left && box.right <= frame.right + 8 && box.top >= frame.top - 4 && box.bottom <= frame.bottom;
      if (inside && !obstacles.some((other) => overlap(box, other))) {
        return { box, labelX, labelY, anchor: right > 0 ? "start" : "end", far: distance > 9 };
      }
    }
  }
  return null;
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

/** The names of rows beside their markers. */
function legend(rows) {
  return element("ul", { class: "legend" }, rows.map((row) => {
    const mark = shape("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, marker(row.index, 0, 0));
    return element("li", {}, mark, label(row));
  }));
}
