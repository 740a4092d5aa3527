// What each row was made of.

function drawProvenance(board, shown) {
  replace("#provenance .body", shown.map((row) => {
    const facts = row.facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, ["command", "made again by"].includes(name) ? element("code", {}, value) : value)]);
    return element("details", { id: `row-${row.row}` }, element("summary", {}, label(row)), element("dl", {}, facts.flat()));
  }));
}

/** Opens the row that a link leads to. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView({ block: "nearest" });
    target.querySelector("summary").focus({ preventScroll: true });
  }
}
