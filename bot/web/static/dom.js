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

// columns: [title, cell(row), {class, sort}]; a table is replaced in one step, and only where it is looked at
export function table(columns, rows, { caption, chosen = () => false, sort, onsort } = {}) {
  const head = columns.map(([title, , options = {}]) => {
    const label = options.sort && onsort
      ? el("button", { type: "button", onclick: () => onsort(options.sort) }, `${title}${sort === options.sort ? " ▾" : ""}`)
      : title;
    return el("th", { scope: "col", class: options.class ?? "", "aria-sort": options.sort && sort === options.sort ? "descending" : null }, label);
  });
  const body = rows.map((row) => el("tr", { class: chosen(row) ? "chosen" : "" }, ...columns.map(([, cell, options = {}]) => {
    const content = cell(row);
    return el("td", { class: [options.class ?? "", content?.tone ?? ""].join(" ").trim() }, content?.text ?? content ?? "–");
  })));
  return el("table", {}, el("caption", { class: "soft", hidden: true }, caption ?? ""), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
}

export const toned = (value, text) => ({ text, tone: value > 0 ? "up" : value < 0 ? "down" : "" });
export const nothing = (text) => el("p", { class: "soft" }, text);
