// The flows between stages as a Sankey that may go back: stages in their order along one axis, side stages beside them,
// backward moves and returns as loops underneath. Laid out in (u, v), along the order and across it; a narrow screen turns it.

import { keyed, set, svg } from "./dom.js";
import { brief, count, label } from "./words.js";

const NODE = 14;
const INNER = 7; // the smallest radius of a turn
const APART = 34; // between the stages and the side stages beneath
const ROUND = 0.5523; // a quarter of a circle as a cubic
const LOOPS = new Set(["backward", "return"]);

/** Draw into an empty svg element, or anew into the same one. `thin`: lines with arrows in place of widths (a definition). */
export function draw(picture, stages, links, width, { thin = false, says = () => "" } = {}) {
  const upright = width < 620;
  const known = new Map(stages.map((each) => [each.stage, each]));
  const shown = links.filter((each) => known.has(each.from) && known.has(each.to) && each.from !== each.to);
  const plan = laid(stages, shown, upright ? Math.max(stages.length * 124, 300) : width, upright ? width - 8 : 420, thin);
  const place = (u, v) => (upright ? [v, u] : [u, v]);
  const [right, bottom] = place(plan.u, plan.v);
  set(picture, { viewBox: `-4 -30 ${Math.ceil(right) + 8} ${Math.ceil(bottom) + 38}`, width: Math.ceil(right) + 8, height: Math.ceil(bottom) + 38 });
  const [ribbons, boxes] = picture.parts ?? (picture.parts = parts(picture));
  keyed(ribbons, plan.links, (each) => `${each.from}\n${each.to}`, () => svg("path.ribbon", {}, svg("title")), (path, each) => {
    set(path, { d: route(each, plan, place), "stroke-width": thin ? 1.75 : each.width, class: `ribbon ${each.direction}${thin ? " thin" : ""}`, "marker-end": thin ? `url(#arrow-${each.direction})` : null });
    path.firstChild.textContent = thin ? `${label(each.from)} → ${label(each.to)}: ${each.when ?? "always"}` : `${label(each.from)} → ${label(each.to)}: ${count(each.value)} (${each.direction})`;
  });
  keyed(boxes, plan.nodes, (each) => each.stage, made, (group, each) => {
    const [x, y] = place(each.u, each.v);
    const [w, h] = upright ? [each.size, NODE] : [NODE, each.size];
    set(group.firstChild, { x, y, width: w, height: h, rx: 3, class: each.side ? "node side" : "node" });
    set(group.children[1], { x, y: y - 9 });
    group.children[1].firstChild.textContent = `${label(each.stage)} `;
    group.children[1].lastChild.textContent = says(each);
  });
}

function made() {
  return svg("g", {}, svg("rect"), svg("text.name", {}, svg("tspan"), svg("tspan.number")));
}

function parts(picture) {
  const heads = ["forward", "backward", "aside", "return"].map((kind) =>
    svg("marker", { id: `arrow-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto" }, svg(`path.head.${kind}`, { d: "M0 0 8 4 0 8Z" })));
  const found = [svg("g"), svg("g")];
  picture.replaceChildren(svg("defs", {}, heads), ...found);
  return found;
}

/** Where everything is: nodes with a place and a size, links with their ports and lanes. Sums of widths decide all of it. */
function laid(stages, links, along, across, thin) {
  const ordered = stages.filter((each) => !each.side);
  const sides = stages.filter((each) => each.side);
  const columns = ordered.length + (sides.length ? 1 : 0);
  const rank = new Map([...ordered.map((each, at) => [each.stage, at]), ...sides.map((each) => [each.stage, ordered.length])]);
  const loops = links.filter((each) => loop(each, rank));
  const sum = (some) => some.reduce((all, each) => all + (thin ? 1 : each.value), 0);
  const size = (name) => Math.max(sum(links.filter((each) => each.from === name)), sum(links.filter((each) => each.to === name)));
  const tallest = Math.max(...ordered.map((each) => size(each.stage)), 0);
  const tall = tallest + sides.reduce((all, each) => all + size(each.stage), 0) + sum(loops);
  const room = (along - NODE) / Math.max(columns, 1);
  const widest = Math.max(...stages.map((each) => Math.max(sum(loops.filter((one) => one.from === each.stage)), sum(loops.filter((one) => one.to === each.stage)))), 1);
  const gaps = APART * (sides.length ? sides.length + 0.5 : 0.5) + 2 * INNER;
  const scale = thin ? 13 : Math.min((across - gaps) / Math.max(tall, 1), (room * 0.5 - INNER) / widest);
  const thick = (each) => (thin ? scale : Math.max(each.value * scale, 1.25));
  const begin = Math.max(...ordered.slice(0, 1).map((each) => sum(loops.filter((one) => one.to === each.stage)) * scale), 0) + (loops.length ? INNER : 0);
  const end = Math.max(...stages.filter((each) => rank.get(each.stage) === columns - 1).map((each) => sum(loops.filter((one) => one.from === each.stage)) * scale), 0) + (loops.length ? 2 * INNER : 0);
  const step = columns > 1 ? (along - NODE - begin - end) / (columns - 1) : 0;
  let under = tallest * scale + APART;
  const nodes = stages.map((each) => {
    const node = { ...each, u: begin + rank.get(each.stage) * step, v: 0, size: Math.max(size(each.stage) * scale, 3) };
    if (each.side) [node.v, under] = [under, under + node.size + APART];
    return node;
  });
  const at = new Map(nodes.map((each) => [each.stage, each]));
  const placed = links.map((each) => ({ ...each, width: thick(each), loop: loop(each, rank), origin: at.get(each.from), target: at.get(each.to), step }));
  ports(placed, nodes, rank);
  return lanes(placed, nodes, rank, sides.length ? under - APART : tallest * scale, along);
}

const loop = (link, rank) => LOOPS.has(link.direction) || rank.get(link.to) <= rank.get(link.from);

/** Each link's middle where it leaves and where it arrives: forward on top, then aside, loops at the bottom. */
function ports(links, nodes, rank) {
  const far = (link, end) => (link.loop ? 1_000 : link.direction === "aside" ? 500 : 0) + (end === "from" ? rank.get(link.to) : (link.loop ? rank.get(link.from) : -rank.get(link.from)));
  for (const node of nodes) {
    for (const [end, key] of [["from", "leaves"], ["to", "arrives"]]) {
      let v = node.v;
      for (const each of links.filter((one) => one[end] === node.stage).sort((a, b) => far(a, end) - far(b, end))) {
        each[key] = v + each.width / 2;
        v += each.width;
      }
    }
  }
}

/** Each loop's lane underneath, the nearest target on top, and how far it swings out so that turns lie in one another. */
function lanes(links, nodes, rank, floor, along) {
  const loops = links.filter((each) => each.loop).sort((a, b) => rank.get(b.to) - rank.get(a.to) || rank.get(a.from) - rank.get(b.from));
  let v = floor + 2 * INNER;
  const [out, into] = [new Map(), new Map()];
  for (const each of loops) {
    each.lane = v + each.width / 2;
    v += each.width;
    each.out = (out.get(each.from) ?? INNER) + each.width / 2;
    out.set(each.from, each.out + each.width / 2);
    each.into = (into.get(each.to) ?? INNER) + each.width / 2;
    into.set(each.to, each.into + each.width / 2);
  }
  return { nodes, links, u: along, v: loops.length ? v : floor };
}

/** The middle of a ribbon as a path. */
function route(link, plan, place) {
  const [u0, v0, u1, v1] = [link.origin.u + NODE, link.leaves, link.target.u, link.arrives];
  const points = (...all) => all.map(([u, v]) => place(u, v).map((each) => each.toFixed(1)).join(" ")).join(" ");
  const bend = (a, b, to) => `C${points([a[0] + (b[0] - a[0]) * ROUND, a[1] + (b[1] - a[1]) * ROUND], [to[0] + (b[0] - to[0]) * (1 - ROUND), to[1] + (b[1] - to[1]) * (1 - ROUND)], to)}`;
  if (!link.loop) {
    const near = Math.min(u1, u0 + link.step - NODE);
    const half = (near - u0) / 2;
    return `M${points([u0, v0])}C${points([u0 + half, v0], [near - half, v1], [near, v1])}L${points([u1, v1])}`;
  }
  const [ro, ri] = [Math.min(link.out, (link.lane - v0) / 2), Math.min(link.into, (link.lane - v1) / 2)];
  const [right, left] = [u0 + ro, u1 - ri];
  return [
    `M${points([u0, v0])}`,
    bend([u0, v0], [right, v0], [right, v0 + ro]),
    `L${points([right, link.lane - ro])}`,
    bend([right, link.lane - ro], [right, link.lane], [right - ro, link.lane]),
    `L${points([left + ri, link.lane])}`,
    bend([left + ri, link.lane], [left, link.lane], [left, link.lane - ri]),
    `L${points([left, v1 + ri])}`,
    bend([left, v1 + ri], [left, v1], [u1, v1]),
  ].join("");
}

export const meaning = (each) => brief(each.now ?? 0);
