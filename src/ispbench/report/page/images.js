// Two renderings of one image under a divider that moves, with zoom. Images were picked by the score that ranks.

const WHOLE = { split: 50, zoom: 1, x: 0, y: 0 };
const PICKS = [["worst", "Worst"], ["best", "Best"], ["disputed", "Most disputed"]];

function drawImages(board, metric, shown) {
  const picks = PICKS.filter(([name]) => board.picks[name]);
  if (!picks.length) {
    replace("#images .choices");
    replace("#images .body", element("p", { class: "note" }, "The scores image by image are not at hand."));
    return;
  }
  if (!picks.some(([name]) => name === state.pick)) state.pick = picks[0][0];
  const choose = (name) => {
    state.pick = name;
    state.view = { ...WHOLE };
    update();
    document.querySelector("#images [aria-pressed=true]").focus();
  };
  const pick = board.picks[state.pick];
  const files = board.files[pick.image] ?? {};
  const sides = [...(files.target ? [["target", "Target"]] : []),
    ...board.rows.filter((row) => files[row.row]).map((row) => [row.row, label(row)])];
  const best = order(shown.filter((row) => files[row.row]), { value: (row) => pick.scores[row.row] }, page.metrics[metric].higher)[0];
  if (!sides.some(([name]) => name === state.left)) state.left = sides[0]?.[0];
  if (!sides.some(([name]) => name === state.right)) state.right = best?.row ?? sides.at(-1)?.[0];
  const side = (name) => select(name === "left" ? "Left" : "Right", sides, state[name], (value) => {
    state[name] = value;
    update();
    document.querySelector(`#images .${name} select`).focus();
  });
  const sideChoices = sides.length > 1 ? ["left", "right"].map((name) => element("div", { class: name }, side(name))) : [];
  replace("#images .choices", buttons("Image", picks, state.pick, choose), sideChoices);
  replace("#images .body",
    element("p", {}, element("strong", {}, pick.image), ` ${pick.reason}`),
    sides.length > 1 ? compareView(files, sides) : element("p", { class: "note" }, board.without_images),
    imageScores(pick, metric, shown));
}

function imageScores(pick, metric, shown) {
  const rows = order(shown.filter((row) => known(pick.scores[row.row])), { value: (row) => pick.scores[row.row] }, page.metrics[metric].higher);
  const items = rows.map((row) => element("li", {}, `${label(row)} ${fixed(pick.scores[row.row], page.metrics[metric].digits)}`));
  return element("ul", { class: "scores", "aria-label": `${page.metrics[metric].label} of this image` }, items);
}

function compareView(files, sides) {
  const name = (key) => sides.find(([value]) => value === key)[1];
  const view = state.view;
  const layer = (side) => element("div", { class: `layer ${side}` },
    element("img", { src: files[state[side]], alt: `${name(state[side])}, ${side} of the divider`, draggable: "false" }));
  const [left, right] = [layer("left"), layer("right")];
  const divider = element("div", { class: "divider", "aria-hidden": "true" });
  const stage = element("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Images; when zoomed, the arrow keys move them" },
    left, right, divider, element("span", { class: "tag left" }, name(state.left)), element("span", { class: "tag right" }, name(state.right)));
  const split = element("input", { type: "range", min: 0, max: 100, value: 50, id: "split", input: (event) => show({ split: Number(event.target.value) }) });
  const zoom = element("input", { type: "range", min: 1, max: 8, step: 0.5, value: 1, id: "zoom", input: (event) => show({ zoom: Number(event.target.value) }) });
  const told = element("span", { class: "told", "aria-hidden": "true" });

  function show(change) {
    Object.assign(view, change);
    const most = (view.zoom - 1) / 2 / view.zoom;
    view.x = Math.min(most, Math.max(-most, view.x));
    view.y = Math.min(most, Math.max(-most, view.y));
    for (const image of [left.firstChild, right.firstChild]) {
      image.style.transform = `scale(${view.zoom}) translate(${view.x * 100}%, ${view.y * 100}%)`;
      image.classList.toggle("pixels", view.zoom > 2);
    }
    right.style.clipPath = `inset(0 0 0 ${view.split}%)`;
    divider.style.left = `${view.split}%`;
    stage.classList.toggle("zoomed", view.zoom > 1);
    [split.value, zoom.value, told.textContent] = [view.split, view.zoom, `${view.zoom}×`];
  }

  stage.addEventListener("pointerdown", (event) => {
    const box = stage.getBoundingClientRect();
    const near = Math.abs(event.clientX - box.left - (view.split / 100) * box.width) < 24;
    const from = { ...view, left: event.clientX, top: event.clientY };
    const move = (next) => {
      if (near || from.zoom === 1) show({ split: Math.min(100, Math.max(0, ((next.clientX - box.left) / box.width) * 100)) });
      else show({ x: from.x + (next.clientX - from.left) / box.width / from.zoom, y: from.y + (next.clientY - from.top) / box.height / from.zoom });
    };
    const stop = () => stage.removeEventListener("pointermove", move);
    stage.setPointerCapture(event.pointerId);
    stage.addEventListener("pointermove", move);
    stage.addEventListener("pointerup", stop, { once: true });
    stage.addEventListener("pointercancel", stop, { once: true });
    if (from.zoom === 1) move(event);
  });
  stage.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0.05, 0], ArrowRight: [-0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] }[event.key];
    if (!step || view.zoom === 1) return;
    event.preventDefault();
    show({ x: view.x + step[0], y: view.y + step[1] });
  });
  show({});
  return element("div", { class: "compare" }, stage,
    element("div", { class: "controls" },
      element("label", {}, element("span", {}, "Divider"), split),
      element("label", {}, element("span", {}, "Zoom"), zoom, told)));
}
