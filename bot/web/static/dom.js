// Elements without any markup in text: what a venue sends can never become HTML.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  fill(node, attributes, children);
  return node;
}

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  fill(node, attributes, children);
  return node;
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") node.addEventListener("click", value);
    else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
}

// columns: [title, cell(row), {class, sort}]. `part` is the stretch of the rows that can be seen, where there are too
// many to draw: [first, last, height of a row in px]; the others keep their room.
export function table(columns, rows, { caption, chosen = () => false, sort, onsort, part } = {}) {
  const head = columns.map(([title, , options = {}]) => {
    const label = options.sort && onsort
      ? el("button", { type: "button", onclick: () => onsort(options.sort) }, `${title}${sort === options.sort ? " ▾" : ""}`)
      : title;
    return el("th", { scope: "col", class: options.class ?? "", "aria-sort": options.sort && sort === options.sort ? "descending" : null }, label);
  });
  const [first, last, tall] = part ?? [0, rows.length, 0];
  const body = rows.slice(first, last).map((row, i) => el("tr", { class: chosen(row) ? "chosen" : "", "aria-rowindex": part ? first + i + 2 : null }, ...columns.map(([, cell, options = {}]) => {
    const content = cell(row);
    return el("td", { class: [options.class ?? "", content?.tone ?? ""].join(" ").trim() }, content?.text ?? content ?? "–");
  })));
  if (part) { body.unshift(room(first * tall, columns.length)); body.push(room((rows.length - last) * tall, columns.length)); }
  return el("table", { "aria-rowcount": part ? rows.length + 1 : null }, el("caption", { class: "soft", hidden: true }, caption ?? ""), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
}

function room(height, columns) {
  const cell = el("td", { colspan: columns });
  cell.style.height = `${height}px`;
  return el("tr", { class: "room", "aria-hidden": "true" }, cell);
}

export const toned = (value, text) => ({ text, tone: value > 0 ? "up" : value < 0 ? "down" : "" });
export const nothing = (text) => el("p", { class: "soft" }, text);
