"use strict";
(() => {
  const grid = document.getElementById("grid");
  const details = document.getElementById("details");
  const filter = document.getElementById("filter");
  const shown = (row) => [...row.querySelectorAll("td")].filter((cell) => !cell.hidden);
  let open = null;

  const close = () => {
    if (!open) return;
    open.setAttribute("aria-expanded", "false");
    details.hidden = true;
    details.replaceChildren();
    open = null;
  };

  const show = (button) => {
    if (open === button) return close();
    close();
    const told = document.getElementById("d" + button.id.slice(1));
    const article = told ? told.cloneNode(true) : document.createElement("article");
    article.removeAttribute("id");
    if (!told) article.textContent = button.getAttribute("aria-label");
    details.replaceChildren(article);
    details.hidden = false;
    button.setAttribute("aria-expanded", "true");
    open = button;
  };

  const focus = (button) => {
    if (!button) return;
    grid.querySelectorAll("button[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
    button.tabIndex = 0;
    button.focus();
  };

  const step = (button, down, right) => {
    const rows = [...grid.querySelectorAll("tbody tr")].filter((row) => !row.hidden);
    const cell = button.closest("td");
    let y = rows.indexOf(cell.parentElement), x = shown(cell.parentElement).indexOf(cell);
    for (;;) {
      y += down; x += right;
      const next = rows[y] && shown(rows[y])[x];
      if (!next) return null;
      const found = next.querySelector("button");
      if (found) return found;
    }
  };

  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) { focus(button); show(button); }
  });
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  grid.addEventListener("keydown", (event) => {
    const button = event.target.closest("button");
    const move = moves[event.key];
    if (!button || !move) return;
    event.preventDefault();
    focus(step(button, ...move));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open) { const button = open; close(); focus(button); }
  });

  filter.closest("p").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    grid.querySelectorAll("tbody tr").forEach((row) => {
      row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
    });
    document.querySelectorAll("#flows article").forEach((told) => {
      told.hidden = !told.dataset.names.toLowerCase().includes(wanted);
    });
    close();
    const first = grid.querySelector("tbody tr:not([hidden]) button");
    if (first) {
      grid.querySelectorAll("button[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
      first.tabIndex = 0;
    }
  });
})();
