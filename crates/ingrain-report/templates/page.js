"use strict";
// Search, filters and sorting. Without this script everything is there, in the order of the file.
(() => {
  const byId = (id) => document.getElementById(id);
  const fold = (text) => text.toLowerCase().normalize("NFKD");

  // Sorting: a button in each column head.
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 3) continue;
    const original = [...body.rows];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const now = was === "descending" ? "ascending" : was === "ascending" ? null : "descending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        if (now) head.setAttribute("aria-sort", now);
        const sign = now === "ascending" ? 1 : -1;
        const key = (row) => row.cells[column];
        const compare = (a, b) => {
          const [x, y] = [key(a), key(b)];
          const [m, n] = [x.dataset.sort, y.dataset.sort];
          if (m !== undefined && n !== undefined) return sign * (m - n);
          if (m !== undefined || n !== undefined) return m !== undefined ? -1 : 1;
          return sign * x.textContent.localeCompare(y.textContent);
        };
        body.append(...(now ? [...original].sort(compare) : original));
      });
    });
  }

  // A table that fits is no stop on the way through the page.
  const boxes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".scroll")) boxes.observe(box);

  const form = document.querySelector(".filters");
  const search = byId("search");
  if (!form || !search) return;
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  const found = byId("found");
  const list = byId("questions");
  const rows = document.querySelector("table[data-searched]");
  const items = list ? [...list.children] : [...rows.tBodies[0].rows];
  const texts = new Map(items.map((item) => [item, fold(item.dataset.text || item.textContent)]));
  const change = (item) => (item.dataset.change === undefined ? NaN : Number(item.dataset.change));

  // A long list begins short; a search looks through all of it.
  const few = 8;
  const more = byId("more");
  let all = !more || items.length <= few + 2;
  let order = items;

  const update = () => {
    const words = fold(search.value).split(/\s+/).filter(Boolean);
    const show = byId("show") ? byId("show").value : "all";
    let matching = 0;
    for (const item of order) {
      const moved = show === "all" || (show === "up" ? change(item) > 0 : change(item) < 0);
      const matches = moved && words.every((word) => texts.get(item).includes(word));
      if (matches) matching += 1;
      item.hidden = !matches || (!all && matching > few);
    }
    found.textContent = `${matching} of ${items.length}`;
    if (more) {
      more.hidden = all || matching <= few;
      more.textContent = `Show all ${matching}`;
    }
  };
  const reorder = () => {
    const by = byId("order").value;
    order = [...items];
    if (by !== "asked") {
      const sign = by === "most" ? -1 : 1;
      const size = (item) => Math.abs(change(item)) || 0;
      order.sort((a, b) => sign * (size(a) - size(b)));
    }
    list.append(...order);
    update();
  };
  if (more) {
    more.addEventListener("click", () => {
      all = true;
      const first = order.filter((item) => !item.hidden).length;
      update();
      const next = order.filter((item) => !item.hidden)[first];
      if (next) {
        next.tabIndex = -1;
        next.focus();
      }
    });
  }
  search.addEventListener("input", update);
  if (byId("show")) byId("show").addEventListener("change", update);
  if (byId("order")) byId("order").addEventListener("change", reorder);
  update();
})();
