// One curve a comparison: the mean of each value, its interval over seeds, and a dot for each seed.

function drawAblations() {
  if (!page.ablations.length) {
    replace("#ablations .body", element("p", { class: "note" }, "The results hold no runs of an ablation."));
    return;
  }
  const figures = page.ablations.map((ablation) => {
    const caption = element("figcaption", {}, `${ablation.name}: ${ablation.title}`);
    return element("figure", {}, caption, element("p", { class: "note" }, ablation.verdict), ablationNumbers(ablation));
  });
  replace("#ablations .body", figures);
  page.ablations.forEach((ablation, number) => {
    figures[number].children[0].after(ablationPlot(ablation, figures[number].clientWidth || 480));
  });
}

function ablationNumbers({ keys, metric, points }) {
  const { label: name, digits } = page.metrics[metric];
  const head = [keys.join(" "), name, "95 % interval", "Seeds"].map((text) => element("th", { scope: "col" }, text));
  const body = points.map(({ value, mean, low: least, high: most, seeds }) => element("tr", {},
    element("th", { scope: "row" }, value), element("td", {}, fixed(mean, digits)),
    element("td", {}, known(least) ? `${fixed(least, digits)} to ${fixed(most, digits)}` : ABSENT),
    element("td", {}, String(seeds.length))));
  const table = element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body));
  return element("details", {}, element("summary", {}, "Numbers"), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${keys.join(" ")}, numbers` }, table));
}

function ablationPlot({ name, keys, metric, points }, width) {
  const height = 280;
  const frame = { left: 52, right: width - 12, top: 26, bottom: height - 44 };
  const y = scale(points.flatMap(({ low: least, high: most, seeds }) => [least, most, ...seeds]), frame.bottom, frame.top);
  const x = bands(points.map(({ value }) => value), frame.left, frame.right);
  const svg = canvas(width, height, `Ablation ${name}`);
  axes(svg, frame, x, y, { x: keys.join(" "), y: page.metrics[metric].label });
  const line = points.map(({ mean }, place) => `${place ? "L" : "M"}${x.place(place)},${y.place(mean)}`).join("");
  svg.append(shape("path", { d: line, class: "s0 curve" }));
  points.forEach(({ value, mean, low: least, high: most, seeds }, place) => {
    const digits = page.metrics[metric].digits;
    const interval = known(least) ? `, ${fixed(least, digits)} to ${fixed(most, digits)}` : "";
    svg.append(shape("g", {},
      shape("title", {}, `${value}: ${fixed(mean, digits)}${interval}, ${seeds.length} seeds`),
      whisker(x.place(place), least, most, y, 0),
      marker(0, x.place(place), y.place(mean)),
      seeds.map((score) => shape("circle", { cx: x.place(place) + 10, cy: y.place(score), r: 2.5, class: "s1 mark" }))));
  });
  return svg;
}
