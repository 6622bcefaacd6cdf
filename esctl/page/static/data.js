// The content of the page, read: names put in the place of their numbers, and what was before each change.
const Data = (() => {
  function read(text) {
    const told = JSON.parse(text);
    const name = (list, number) => (number === null || number === undefined ? null : list[number]);
    const entities = told.entities.map(([entity, kind]) => ({ name: entity, kind }));
    const left = entities.map(() => new Map());

    const event = ([position, time, entity, type, actor, id, version, changes, role, correlation], index) => ({
      index, position, time, ms: instant(time), entity, version,
      type: name(told.types, type) ?? "(no type)", actor: name(told.actors, actor), id: id ?? null,
      role: role ?? null, correlation: correlation ?? null,
      changes: (changes ?? []).map((change) => {
        const [field, after] = change;
        const before = change.length > 2 ? change[2] : left[entity].get(field);
        left[entity].set(field, after);
        return { field, before, after };
      }),
    });

    const trail = told.trail.map(event);
    const states = new Map(told.states.map(([entity, version, position, time, fields]) => [
      entity, { version, position, time, fields: fields === null ? null : new Map(fields) },
    ]));
    return { ...told, entities, trail, states, steps: steps(entities, trail, states, new Set(told.unstepped)) };
  }

  function instant(time) {
    const ms = time ? Date.parse(time) : NaN;
    return Number.isNaN(ms) ? null : ms;
  }

  // For each entity its events and its last state, from which earlier ones are stepped back to. Where the changes do not
  // lead back to nothing before the very first event, they are not told: by an SQL query, for one.
  function steps(entities, trail, states, unstepped) {
    const found = entities.map(() => []);
    for (const each of trail) found[each.entity].push(each);
    return found.map((events, entity) => {
      const made = { events, last: states.get(entity)?.fields ?? new Map() };
      const isBegun = events.length > 0 && events[0].version === 1 && stateAt(made, 0).size > 0;
      return { ...made, isUnstepped: unstepped.has(entity) || isBegun };
    });
  }

  // The state after so many of the events.
  function stateAt({ events, last }, step) {
    const state = new Map(last);
    for (let at = events.length; at > step; at--) {
      for (const { field, before } of events[at - 1].changes) {
        if (before === null || before === undefined) state.delete(field);
        else state.set(field, before);
      }
    }
    return state;
  }

  // Fields that differ between two steps of an entity, each with the events between them that changed it.
  function diff(steps, from, to) {
    const [one, other] = [stateAt(steps, from), stateAt(steps, to)];
    const [low, high] = from < to ? [from, to] : [to, from];
    const by = new Map();
    for (const event of steps.events.slice(low, high)) {
      for (const { field } of event.changes) by.set(field, [...(by.get(field) ?? []), event]);
    }
    return [...new Set([...one.keys(), ...other.keys()])]
      .filter((field) => one.get(field) !== other.get(field))
      .map((field) => ({ field, before: one.get(field), after: other.get(field), by: by.get(field) ?? [] }));
  }

  // The last event up to a step that changed a field.
  function since(steps, step, field) {
    for (let at = step; at > 0; at--) {
      if (steps.events[at - 1].changes.some((change) => change.field === field)) return steps.events[at - 1];
    }
    return null;
  }

  return { read, stateAt, diff, since };
})();
