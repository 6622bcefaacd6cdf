// Tables of any length: all rows come to be in the page, to be found and printed; those out of sight are not laid out.
const Table = (() => {
  const CHUNK = 100;
  const SHORT = 300;
  const ROW_HEIGHT = 34;

  // `columns`: {title, cell(row) -> node, text or a list of them, key(row) -> what to sort by}. `attributes(row)`: of
  // its element. Gives `root`, `element(order)`, `order(element)`, and `filter(keep)`.
  function table(name, label, columns, rows, attributes = () => ({})) {
    const head = Dom.make("div", { role: "row", class: "row head" });
    const root = Dom.make("div", { role: "table", class: `table ${name}`, "aria-label": label, "aria-rowcount": rows.length + 1 });
    root.append(Dom.make("div", { role: "rowgroup" }, head));
    const lines = rows.map((row, order) => ({ row, order, element: null, isOut: false }));
    const orders = new Map();
    const unfilled = new Map();
    const near = new IntersectionObserver(
      (seen) => seen.filter(({ isIntersecting }) => isIntersecting).forEach(({ target }) => fill(target)), { rootMargin: "800px" });
    let sorted = lines;

    function element(line) {
      if (line.element === null) {
        line.element = made(columns, line.row, attributes(line.row));
        orders.set(line.element, line.order);
      }
      line.element.classList.toggle("out", line.isOut);
      return line.element;
    }

    function fill(chunk) {
      const some = unfilled.get(chunk);
      if (some === undefined) return;
      unfilled.delete(chunk);
      near.unobserve(chunk);
      chunk.append(...some.map(element));
    }

    function lay() {
      near.disconnect();
      unfilled.clear();
      for (const old of root.querySelectorAll(":scope > .chunk")) old.remove();
      for (let at = 0; at < sorted.length; at += CHUNK) {
        const some = sorted.slice(at, at + CHUNK);
        const chunk = Dom.make("div", { role: "rowgroup", class: sorted.length > SHORT ? "chunk far" : "chunk" });
        chunk.style.containIntrinsicSize = `auto ${some.length * ROW_HEIGHT}px`;
        chunk.classList.toggle("out", some.every(({ isOut }) => isOut));
        unfilled.set(chunk, some);
        root.append(chunk);
        if (at === 0) fill(chunk);
        else {
          near.observe(chunk);
          Idle.later(() => fill(chunk));
        }
      }
    }

    function sort(column, header) {
      const isDescending = header.getAttribute("aria-sort") === "ascending";
      for (const other of head.children) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      const key = new Map(lines.map((each) => [each, column.key(each.row)]));
      sorted = [...lines].sort((one, other) => compare(key.get(one), key.get(other)) * (isDescending ? -1 : 1) || one.order - other.order);
      lay();
    }

    head.append(...columns.map((column) => heading(column, sort)));
    lay();
    return {
      root,
      element(order) {
        const chunk = [...unfilled].find(([, some]) => some.includes(lines[order]))?.[0];
        if (chunk) fill(chunk);
        return element(lines[order]);
      },
      order: (found) => orders.get(found),
      filter(keep) {
        for (const line of lines) {
          line.isOut = !keep(line.row);
          line.element?.classList.toggle("out", line.isOut);
        }
        [...root.querySelectorAll(":scope > .chunk")].forEach((chunk, number) =>
          chunk.classList.toggle("out", sorted.slice(number * CHUNK, (number + 1) * CHUNK).every(({ isOut }) => isOut)));
      },
    };
  }

  function heading(column, sort) {
    const header = Dom.make("div", { role: "columnheader", class: "cell" });
    if (!column.key) {
      header.append(Dom.make("span", { text: column.title }));
      return header;
    }
    header.setAttribute("aria-sort", "none");
    header.append(Dom.button(column.title, () => sort(column, header), { class: "sort", title: `Sort by ${column.title}` }));
    return header;
  }

  function made(columns, row, attributes) {
    const element = Dom.make("div", { role: "row", class: "row", ...attributes });
    for (const { title, cell } of columns) {
      const held = Dom.make("div", { role: "cell", class: "cell", "data-title": title });
      held.append(...[cell(row) ?? ""].flat());
      element.append(held);
    }
    return element;
  }

  function compare(one, other) {
    if (one === other) return 0;
    if (one === null || one === undefined) return 1;
    if (other === null || other === undefined) return -1;
    return one < other ? -1 : 1;
  }

  return { table };
})();
