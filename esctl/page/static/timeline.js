// Events along time: a lane for each actor, type or entity; what is too close to be told apart is one mark.
const Timeline = (() => {
  const MOST_LANES = 12;
  const LANE = 22;
  const BIN = 5;
  const AXIS = 24;
  const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
  const STEPS = [
    1, 10, 100, SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY,
  ];
  const MONTHS = [1, 3, 6, 12, 24, 60, 120, 600, 1200, 12000];

  // `by(event)`: the name of its lane. `choose(event)`: what a click does.
  function timeline(events, by, width, marks, choose) {
    const dated = events.filter(({ ms }) => ms !== null);
    if (dated.length === 0) return Dom.make("p", { class: "none", text: "No event with a time is shown." });
    const label = width < 520 ? 0 : 150;
    const lanes = laned(dated, by);
    const scale = scaled(dated, label + 8, width - 12);
    const lane = label ? LANE : LANE + 14;
    const height = lanes.length * lane + AXIS;
    const svg = Dom.draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "timeline", role: "img", "aria-label": summary(dated, lanes) });
    svg.append(...ticks(scale, width, height));
    lanes.forEach(([name, inLane], number) => svg.append(...drawn(name, inLane, number * lane, lane, scale, label, width, choose)));
    svg.append(...marks.filter(({ ms }) => ms !== null).map((mark) => marked(mark, scale, height)));
    return svg;
  }

  function laned(events, by) {
    const found = new Map();
    for (const event of events) {
      const name = by(event) ?? "(nobody)";
      if (!found.has(name)) found.set(name, []);
      found.get(name).push(event);
    }
    const lanes = [...found].sort((one, other) => other[1].length - one[1].length);
    if (lanes.length <= MOST_LANES) return lanes;
    const rest = lanes.splice(MOST_LANES - 1);
    return [...lanes, [`${rest.length} others`, rest.flatMap(([, inLane]) => inLane)]];
  }

  function scaled(events, left, right) {
    let [first, last] = [Infinity, -Infinity];
    for (const { ms } of events) [first, last] = [Math.min(first, ms), Math.max(last, ms)];
    const span = Math.max(last - first, 1);
    return { first, last, span, left, right, x: (ms) => left + ((ms - first) / span) * (right - left) };
  }

  function drawn(name, events, top, lane, scale, label, width, choose) {
    const bins = new Map();
    for (const event of events) {
      const at = Math.round(scale.x(event.ms) / BIN);
      if (!bins.has(at)) bins.set(at, []);
      bins.get(at).push(event);
    }
    const middle = top + (label ? lane / 2 : lane - LANE / 2);
    const most = Math.max(...[...bins.values()].map((bin) => bin.length));
    const text = Dom.draw("text", { x: label ? label - 4 : 0, y: label ? middle + 4 : top + 12, class: label ? "lane end" : "lane" });
    text.textContent = clipped(name, label ? 20 : 48);
    const line = Dom.draw("line", { x1: scale.left, x2: width, y1: middle, y2: middle, class: "rail" });
    return [line, text, ...[...bins].map(([at, bin]) => bar(at * BIN, middle, bin, most, choose))];
  }

  function bar(x, middle, bin, most, choose) {
    const half = 4 + 5 * (most > 1 ? Math.log(bin.length) / Math.log(most) : 0);
    const [first] = bin;
    const mark = Dom.draw("rect", { x: x - 2, y: middle - half, width: 4, height: 2 * half, rx: 1.5, class: "mark", onclick: () => choose(first) });
    const title = Dom.draw("title");
    title.textContent = `${Text.count(bin.length, "event")}, ${bin.length > 1 ? "the first " : ""}${Text.short(first.type).slice(0, 60)} at ${Text.time(first.time)}`;
    mark.append(title);
    return mark;
  }

  function marked({ ms, name, kind }, scale, height) {
    const x = Math.min(Math.max(scale.x(ms), scale.left), scale.right);
    const isLate = x > scale.right - 14;
    const text = Dom.draw("text", { x: isLate ? x - 3 : x + 3, y: 10, class: isLate ? "at end" : "at" });
    text.textContent = name;
    return Dom.draw("g", { class: kind }, Dom.draw("line", { x1: x, x2: x, y1: 0, y2: height - AXIS }), text);
  }

  function ticks(scale, width, height) {
    const found = times(scale.first, scale.last, scale.span / Math.max((scale.right - scale.left) / 92, 1));
    return found.flatMap(({ ms, text }) => {
      const x = scale.x(ms);
      const end = x > width - 60;
      const label = Dom.draw("text", { x: end ? width : x, y: height - 6, class: end ? "tick end" : "tick" });
      label.textContent = text;
      return [Dom.draw("line", { x1: x, x2: x, y1: 0, y2: height - AXIS + 4, class: "grid" }), label];
    });
  }

  // Whole steps of the calendar, in UTC, at least so far apart.
  function times(first, last, least) {
    const step = STEPS.find((each) => each >= least);
    const found = [];
    if (step !== undefined) {
      for (let ms = Math.ceil(first / step) * step; ms <= last; ms += step) found.push({ ms, text: written(ms, step) });
    } else {
      const months = MONTHS.find((each) => each * 30 * DAY >= least) ?? MONTHS.at(-1);
      const begin = new Date(first);
      for (let month = Math.floor((begin.getUTCFullYear() * 12 + begin.getUTCMonth()) / months) * months; ; month += months) {
        const ms = new Date(0).setUTCFullYear(Math.floor(month / 12), month % 12, 1);
        if (Number.isNaN(ms) || ms > last) break;
        if (ms >= first) found.push({ ms, text: new Date(ms).toISOString().slice(0, months % 12 ? 7 : -20) });
      }
    }
    return found.length ? found : [{ ms: first, text: Text.time(new Date(first).toISOString()) }];
  }

  function written(ms, step) {
    const text = new Date(ms).toISOString();
    if (step >= DAY) return text.slice(0, -14);
    if (ms % DAY === 0) return text.slice(0, -14);
    return step >= MINUTE ? text.slice(-13, -8) : text.slice(-13, step >= SECOND ? -5 : -1);
  }

  function clipped(name, most) {
    const text = Text.short(name);
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  function summary(events, lanes) {
    const times = events.map(({ time }) => time);
    const span = `from ${Text.time(times[0])} to ${Text.time(times.at(-1))}`;
    return `${Text.count(events.length, "event")} ${span}, in ${Text.count(lanes.length, "lane")}. The list of events below has each of them.`;
  }

  return { timeline };
})();
