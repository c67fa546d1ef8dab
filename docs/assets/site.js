// Point at a symbol, or tab to it in the list below a grid, and it lights up wherever it stands.
for (const grid of document.querySelectorAll(".formulas")) {
  const marked = [...grid.querySelectorAll("[data-symbols]")];
  const names = (element) => element?.dataset.symbols.split(" ") ?? [];
  const light = (element) => {
    const wanted = names(element);
    for (const other of marked) other.classList.toggle("lit", names(other).some((name) => wanted.includes(name)));
  };
  for (const kind of ["pointerover", "focusin", "click"])
    grid.addEventListener(kind, (event) => light(event.target.closest("[data-symbols]")));
  for (const kind of ["pointerleave", "focusout"]) grid.addEventListener(kind, () => light(null));
}
