import { element, percent } from "./dom.js";

/** Show names with their probabilities in a list, as bars. */
export function drawBars(list, entries) {
  while (list.children.length > entries.length) list.lastChild.remove();
  while (list.children.length < entries.length) {
    list.append(element("li", {}, element("span", { class: "token" }), element("span", { class: "bar" }, element("i")), element("span", { class: "figure" })));
  }
  entries.forEach(([name, probability], k) => {
    const [token, bar, figure] = list.children[k].children;
    token.textContent = token.title = name;
    bar.firstChild.style.width = `${100 * probability}%`;
    figure.textContent = percent(probability);
  });
}
