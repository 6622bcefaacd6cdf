// What was found beside the trail: who made each field, findings, related events, notes.
const Sections = (() => {
  const none = (text) => Dom.make("p", { class: "none", text });
  const jump = (position, choose, data) => {
    const event = data.byPosition.get(position);
    return event ? States.link(event, choose) : Dom.make("span", { class: "position", text: `@${position}` });
  };

  function beyond(data, part) {
    const more = data.cut[part];
    return more ? Dom.make("p", { class: "warn", text: `${Text.count(more, "more row")} ${more === 1 ? "is" : "are"} left out of this page.` }) : null;
  }

  const AT = (choose, data, place) => ({ title: "Event", cell: (row) => jump(row[place], choose, data), key: (row) => row[place] });
  const TIME = (place) => ({ title: "Time (UTC)", cell: (row) => Text.time(row[place]), key: (row) => row[place] && Date.parse(row[place]) });
  const NAME = (title, place) => ({ title, cell: (row) => (row[place] === null ? "–" : Dom.told(row[place])), key: (row) => row[place] });

  function blame(data, choose) {
    if (data.blame === null) return null;
    const columns = [
      NAME("Entity", 0), NAME("Field", 1),
      { title: "Value", cell: (row) => Dom.told(Text.value(row[2])) },
      { title: "Made by", cell: (row) => made(row), key: (row) => row[4] },
      AT(choose, data, 5), TIME(6), NAME("Type", 7), NAME("Actor", 8),
    ];
    const text = "For each field of the last state, the event that last had a say in it.";
    return Dom.section("blame", "Who made each field", Dom.make("p", { class: "about", text }),
      data.blame.length ? Table.table("blame", "Blame", columns, data.blame).root : none("There is no field."));
  }

  function made([, , , change, contributions]) {
    if (change === "contributed") return Text.count(contributions, "event");
    return change === "set" ? "set" : change;
  }

  function findings(data, choose) {
    if (data.findings === null) return null;
    const found = data.checks.filter(([, , count]) => count > 0);
    const clean = data.checks.filter(([, , count]) => count === 0).map(([name]) => name);
    const list = Dom.make("ul", { class: "checks" }, ...found.map(([name, finds, count]) =>
      Dom.make("li", {}, Dom.make("strong", { text: `${name}: ${count.toLocaleString("en")}` }), ` ${finds}`)));
    const columns = [
      NAME("Check", 0), AT(choose, data, 1), TIME(2), NAME("Entity", 4), NAME("Type", 5), NAME("Source", 3), NAME("Detail", 6),
    ];
    return Dom.section("findings", "Findings in scope",
      Dom.make("p", { class: "about", text: `${data.checks.length} checks were made of these entities' events; nothing was found by: ${clean.join(", ") || "none of them"}.` }),
      found.length ? list : none("Nothing is wrong with these events."),
      data.findings.length ? Table.table("findings", "Findings", columns, data.findings).root : null, beyond(data, "findings"));
  }

  function related(data, choose) {
    if (data.related === null) return null;
    const columns = [
      AT(choose, data, 0), TIME(1),
      { title: "Event and what it led to", cell: (row) => Dom.told(row[2], { class: "tree" }) },
      NAME("Tied by", 3), NAME("Entity", 4), NAME("Actor", 5), NAME("Id", 6),
    ];
    const text = "Events tied to these by their cause, or by an id that they share; those of other entities too.";
    return Dom.section("related", "Related events", Dom.make("p", { class: "about", text }),
      data.related.length ? Table.table("related", "Related events", columns, data.related).root : none("No event is tied to another."),
      beyond(data, "related"));
  }

  function notes(data) {
    if (data.notes.length === 0) return null;
    const lines = data.notes.map((line) => Dom.make("li", {}, Dom.told(line.replace(/^note: /, ""))));
    return Dom.section("notes", "Notes", Dom.make("ul", {}, ...lines));
  }

  function bundled(data) {
    if (data.kind !== "bundle") return null;
    return Dom.section("bundled", "Not in this page", Dom.make("p", {
      text: "This page came in a bundle, and has what can be held against the bundle's records: findings, related events and the events that set each field are in a report made from the whole log.",
    }));
  }

  return { blame, findings, related, notes, bundled, beyond };
})();
