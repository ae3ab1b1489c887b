// Elements from values. Text is only ever text: nothing here, or anywhere on this page, reads markup from data.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `tag.class`, attributes (functions are listeners, false and null are left out), children. */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return filled(document.createElement(tag), classes, attributes, children);
}

/** The same of SVG. */
export function svg(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return filled(document.createElementNS(SVG, tag), classes, attributes, children);
}

function filled(made, classes, attributes, children) {
  made.classList.add(...classes);
  set(made, attributes);
  made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

/** Set attributes; what is null or false is removed. Nothing is touched that is as it should be. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
  }
}

/** Put a text; the node is left alone where it says so already, so a selection lives on. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Keep one child a key, in order: made once, then told what is new. What somebody reads, opened or focused stays. */
export function keyed(parent, items, key, make, tell) {
  const known = (parent.keyed ??= new Map());
  const left = new Map(known);
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    if (!child) known.set(name, (child = make(item)));
    left.delete(name);
    tell?.(child, item);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  for (const [name, child] of left) {
    child.remove();
    known.delete(name);
  }
}
