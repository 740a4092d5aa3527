// One curve a comparison: the mean of each value, its interval over seeds, and a dot for each seed.

function drawAblations() {
  if (!page.ablations.length) {
    replace("#ablations .body", element("p", { class: "note" }, "The results hold no runs of an ablation."));
    return;
  }
  const figures = page.ablations.map((ablation) => {
    const caption = element("figcaption", {}, `${ablation.name}: ${ablation.title}`);
    return element("figure", {}, caption, element("p", { class: "note" }, ablation.verdict));
  });
  replace("#ablations .body", figures);
  page.ablations.forEach((ablation, number) => {
    figures[number].children[0].after(ablationPlot(ablation, figures[number].clientWidth || 480));
  });
}

function ablationPlot({ name, keys, metric, points }, width) {
  const height = 280;
  const frame = { left: 52, right: width - 12, top: 26, bottom: height - 44 };
  const y = scale(points.flatMap(({ low: least, high: most, seeds }) => [least, most, ...seeds]), frame.bottom, frame.top);
  const band = (frame.right - frame.left) / points.length;
  const x = { place: (place) => frame.left + (place + 0.5) * band, ticks: points.map(({ value }, place) => [place, value]) };
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
