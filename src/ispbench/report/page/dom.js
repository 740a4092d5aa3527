// Building elements and showing numbers. Text goes in as text nodes, so that names from records are never markup.

/** An element with attributes and children; functions become listeners, null and false attributes are left out. */
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Replaces what stands in the element that a selector names. */
function replace(selector, ...children) {
  document.querySelector(selector).replaceChildren(...children.flat().filter(Boolean));
}

/** A labeled choice; `options` are pairs of value and text. */
function select(label, options, value, change) {
  const box = element("select", { change: (event) => change(event.target.value) });
  for (const [name, text] of options) box.append(element("option", { value: name }, text));
  box.value = value;
  return element("label", {}, element("span", {}, label), box);
}

/** Buttons of which one is pressed; `options` are pairs of value and text. */
function buttons(label, options, value, change) {
  const made = options.map(([name, text]) =>
    element("button", { type: "button", "aria-pressed": String(name === value), click: () => change(name) }, text));
  return element("div", { role: "group", "aria-label": label, class: "buttons" }, made);
}

const ABSENT = "–";

function known(value) {
  return value !== null && value !== undefined && !Number.isNaN(value);
}

/** A number with so many digits, or a dash. */
function fixed(value, digits) {
  return known(value) ? value.toFixed(digits).replace("-", "−") : ABSENT;
}

/** A count in thousands, millions, billions: 1.23M. */
function short(value) {
  if (!known(value)) return ABSENT;
  for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}
