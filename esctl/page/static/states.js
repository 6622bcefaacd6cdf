// The state of an entity after any of its events, and what differs between two.
const States = (() => {
  const UNSTEPPED = "Not known: the projection of this entity gives its last state, and not what each event changed.";

  function fieldName(data, number) {
    return Dom.told(data.fields[number], { class: "field" });
  }

  function change(data, { field, before, after }) {
    return Dom.make("div", { class: "change" }, fieldName(data, field), ": ", ...sides(before, after));
  }

  function sides(before, after) {
    const old = before === null || before === undefined ? Dom.make("span", { class: "absent", text: "–" }) : Dom.make("del", {}, Dom.told(Text.value(before)));
    const now = after === null || after === undefined ? Dom.make("span", { class: "absent", text: "–" }) : Dom.make("ins", {}, Dom.told(Text.value(after)));
    return [old, " → ", now];
  }

  function entityName(data, number) {
    return Dom.told(data.entities[number].name, { class: "entity" });
  }

  // How to go to an event.
  function link(event, choose) {
    return Dom.button(`@${event.position}`, () => choose(event), { class: "event", title: `${Text.short(event.type).slice(0, 80)} at ${Text.time(event.time)}` });
  }

  function table(name, label, heads, rows) {
    const head = Dom.make("tr", {}, ...heads.map((text) => Dom.make("th", { scope: "col", text })));
    return Dom.make("table", { class: `plain ${name}`, "aria-label": label }, Dom.make("thead", {}, head), Dom.make("tbody", {}, ...rows));
  }

  function cells(attributes, ...contents) {
    const [first, ...rest] = contents;
    const named = Dom.make("th", { scope: "row" }, first);
    return Dom.make("tr", attributes, named, ...rest.map((content) => Dom.make("td", {}, ...[content].flat())));
  }

  // The fields after `step` events of an entity: those that the last of these changed are marked.
  function state(data, entity, step, choose) {
    const steps = data.steps[entity];
    if (steps.isUnstepped && step < steps.events.length) return Dom.make("p", { class: "warn", text: UNSTEPPED });
    const now = Data.stateAt(steps, step);
    const event = steps.events[step - 1];
    const changed = new Map((event?.changes ?? []).map((each) => [each.field, each]));
    const gone = [...changed.keys()].filter((field) => !now.has(field));
    const fields = [...now.keys(), ...gone].sort((one, other) => one - other);
    if (fields.length === 0) return Dom.make("p", { class: "none", text: "It has no state here: it is not there yet, or was deleted." });
    const rows = fields.map((field) => {
      const made = Data.since(steps, step, field);
      const was = changed.get(field);
      const value = was ? sides(was.before, was.after) : Dom.told(Text.value(now.get(field)));
      return cells({ class: was ? "changed" : null }, fieldName(data, field), value, made ? link(made, choose) : "earlier");
    });
    return table("state", "State", ["Field", "Value", "Since"], rows);
  }

  function diff(data, entity, from, to, choose) {
    if (data.steps[entity].isUnstepped && from !== to) return Dom.make("p", { class: "warn", text: UNSTEPPED });
    const rows = Data.diff(data.steps[entity], from, to).map(({ field, before, after, by }) =>
      cells({}, fieldName(data, field), sides(before, after), by.slice(-5).flatMap((event, number) => [number ? " " : "", link(event, choose)]).concat(by.length > 5 ? ` and ${by.length - 5} earlier` : [])),
    );
    if (rows.length === 0) return Dom.make("p", { class: "none", text: "Nothing differs between these two." });
    return table("diff", "Differences", ["Field", "A → B", "By"], rows);
  }

  // A slider over the steps of an entity: 0 is before its first event here.
  function slider(id, label, moved) {
    const input = Dom.make("input", { type: "range", id, min: 0, step: 1, oninput: () => moved(Number(input.value)) });
    const text = Dom.make("output", { for: id });
    return {
      root: Dom.make("div", { class: "slider" }, Dom.make("label", { for: id, text: label }), input, text),
      show(data, entity, step) {
        const { events } = data.steps[entity];
        input.max = events.length;
        input.value = step;
        text.textContent = place(events, step);
        input.setAttribute("aria-valuetext", text.textContent);
      },
    };
  }

  function place(events, step) {
    if (step === 0) return events.length ? "before the first event here" : "no event here";
    const event = events[step - 1];
    return `${step} of ${events.length}: @${event.position} ${Text.short(event.type).slice(0, 60)}, ${Text.time(event.time)}`;
  }

  return { state, diff, slider, change, entityName, link };
})();
