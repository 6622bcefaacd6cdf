// Elements, made without any markup: what comes from a log is text and nothing else.
const Dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function filled(node, properties, children) {
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "text") node.textContent = value;
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const make = (tag, properties = {}, ...children) => filled(document.createElement(tag), properties, children);
  const draw = (tag, properties = {}, ...children) => filled(document.createElementNS(SVG, tag), properties, children);

  // Text that may be of any script and direction, which must not turn what stands beside it.
  const told = (text, properties = {}) => make("bdi", { ...properties, text: Text.short(String(text)) });

  // Names are broken between their words, where they have any.
  const WORDS = /(?<=[a-z0-9])(?=[A-Z])|(?<=[._:/@-])/;
  function named(text, properties = {}) {
    const words = Text.short(String(text)).split(WORDS);
    return make("bdi", properties, ...words.flatMap((word, at) => (at ? [make("wbr"), word] : [word])));
  }

  function section(id, title, ...children) {
    return make("section", { id, "aria-labelledby": `${id}-title` }, make("h2", { id: `${id}-title`, text: title }), ...children);
  }

  function choice(label, options, chosen) {
    const select = make("select", { onchange: () => chosen(select.value) });
    for (const [value, text] of options) select.append(make("option", { value, text: Text.short(text).slice(0, 80) }));
    return make("label", { class: "choice" }, make("span", { text: label }), select);
  }

  const button = (text, onclick, properties = {}) => make("button", { type: "button", ...properties, text, onclick });

  function save(name, bytes) {
    const link = make("a", { href: URL.createObjectURL(new Blob([bytes])), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  return { make, draw, told, named, section, choice, button, save };
})();
