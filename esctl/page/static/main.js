// The page put together: what is chosen, what is shown, which keys do what.
(() => {
  // Changes, and characters in them, of which the rest is shown once their event is chosen, and on paper.
  const [MANY, LONG] = [6, 400];
  const main = document.getElementById("main");
  let data, evidence;
  try {
    data = Data.read(document.getElementById("data").textContent);
    data.byPosition = new Map(data.trail.map((event) => [event.position, event]));
    evidence = Evidence.read(data.evidence, document.getElementById("bytes").textContent);
  } catch (error) {
    main.append(Dom.make("p", { class: "verdict refuted", text: `This page is damaged, and shows nothing: ${error.message}` }));
    return;
  }
  const records = new Map(evidence.records.map((record) => [record.position, record]));
  const marks = new Map();
  for (const [position, text] of data.marks) marks.set(position, [...(marks.get(position) ?? []), text]);
  const ordinal = new Map();
  for (const { events } of data.steps) events.forEach((event, at) => ordinal.set(event, at + 1));
  const status = Proofs.board();
  const chosen = { entity: 0, step: 0, from: 0, to: 0, search: "", actor: "", type: "", lanes: "actor", row: null };

  // --- what is chosen

  function choose(event, { scroll = false } = {}) {
    if (event.entity !== chosen.entity) enter(event.entity);
    chosen.step = ordinal.get(event);
    show();
    if (scroll) trail.element(event.index).scrollIntoView({ block: "nearest" });
  }

  function enter(entity) {
    const last = data.steps[entity].events.length;
    Object.assign(chosen, { entity, step: last, from: 0, to: last });
    picker?.querySelector("select") && (picker.querySelector("select").value = entity);
  }

  function step(by) {
    const last = data.steps[chosen.entity].events.length;
    chosen.step = Math.min(Math.max(chosen.step + by, 0), last);
    show();
    const event = current();
    if (event) trail.element(event.index).scrollIntoView({ block: "nearest" });
  }

  const current = () => data.steps[chosen.entity].events[chosen.step - 1];

  // --- the parts

  const several = data.entities.length > 1;
  const columns = [
    { title: "Event", cell: (event) => States.link(event, choose), key: ({ position }) => position },
    { title: "Time (UTC)", cell: ({ time }) => Text.time(time), key: ({ ms }) => ms },
    ...(several ? [{ title: "Entity", cell: ({ entity }) => States.entityName(data, entity), key: ({ entity }) => data.entities[entity].name }] : []),
    { title: "Type", cell: ({ type }) => Dom.named(type, { class: "type" }), key: ({ type }) => type },
    { title: "Actor", cell: ({ actor }) => (actor === null ? "–" : Dom.told(actor)), key: ({ actor }) => actor },
    { title: "Changes", cell: changes },
    { title: "Record", cell: ({ position }) => status.place(position) },
  ];
  const trail = Table.table(several ? "trail several" : "trail", "Events", columns, data.trail, () => ({}));
  trail.root.addEventListener("click", ({ target }) => {
    const row = target.closest(".row:not(.head)");
    if (row && !target.closest("button") && !String(getSelection())) choose(data.trail[trail.order(row)]);
  });

  function noted(position, tag = "div") {
    return (marks.get(position) ?? []).map((text) => Dom.make(tag, { class: "mark-note" }, Dom.told(text)));
  }

  function changes(event) {
    const notes = noted(event.position);
    const told = event.changes.map((change) => States.change(data, change));
    if (told.length === 0) return [...notes, Dom.make("span", { class: "absent", text: "nothing" })];
    const length = event.changes.reduce((sum, { before, after }) => sum + (before?.length ?? 0) + (after?.length ?? 0), 0);
    if (told.length <= MANY && length <= LONG) return [...notes, ...told];
    const counted = Dom.make("div", { class: "absent", text: Text.count(told.length, "field") });
    return [...notes, counted, Dom.make("div", { class: "many" }, ...told)];
  }

  const search = Dom.make("input", { type: "search", id: "search", placeholder: "anything", oninput: () => { chosen.search = search.value; filter(); } });
  const filters = Dom.make("div", { class: "filters", role: "search" },
    Dom.make("label", { class: "choice" }, Dom.make("span", { text: "Search" }), search),
    Dom.choice("Actor", [["", "all"], ...data.actors.map((name, at) => [at, name])], (value) => { chosen.actor = value; filter(); }),
    Dom.choice("Type", [["", "all"], ...data.types.map((name, at) => [at, name])], (value) => { chosen.type = value; filter(); }),
    Dom.choice("Lanes by", [["actor", "actor"], ["type", "type"], ...(several ? [["entity", "entity"]] : [])], (value) => { chosen.lanes = value; draw(); }));
  const shown = Dom.make("p", { class: "about", role: "status" });
  const canvas = Dom.make("div", { class: "canvas" });
  const picker = several ? Dom.choice("Entity", data.entities.map(({ name }, at) => [at, name]), (value) => { enter(Number(value)); show(); }) : null;
  const now = States.slider("step", "After event", (value) => { chosen.step = value; show(); });
  const one = States.slider("from", "A", (value) => { chosen.from = value; show(); });
  const other = States.slider("to", "B", (value) => { chosen.to = value; show(); });
  const state = Dom.make("div", { class: "held" });
  const difference = Dom.make("div", { class: "held" });
  const about = Dom.make("div", { class: "held" });
  const keys = Keys.panel(evidence, (text) => judge(text));

  const buttons = Dom.make("p", { class: "buttons" },
    Dom.button("← Earlier", () => step(-1)), Dom.button("Later →", () => step(1)),
    Dom.button("A is here", () => { chosen.from = chosen.step; show(); }), Dom.button("B is here", () => { chosen.to = chosen.step; show(); }));
  main.append(
    keys.root,
    Dom.section("timeline", "When", filters, shown, canvas),
    Dom.make("div", { class: "columns" },
      Dom.make("div", { class: "side" },
        Dom.section("state", "State", picker, now.root, buttons, state),
        Dom.section("diff", "From A to B", one.root, other.root, difference),
        Dom.section("event", "Event", about)),
      Dom.section("trail", "Events, and what each changed", trail.root)),
    ...[Sections.blame, Sections.findings, Sections.related, Sections.notes, Sections.bundled]
      .map((section) => section(data, choose)).filter(Boolean),
    Dom.section("records", "Records", Dom.make("p", { class: "about", text: "Byte for byte as they were received; each is checked in this page, against the signed head of the log." }),
      Proofs.table(data, evidence, status, choose, noted), Sections.beyond(data, "records") ?? ""));

  // --- what is shown

  function show() {
    now.show(data, chosen.entity, chosen.step);
    one.show(data, chosen.entity, chosen.from);
    other.show(data, chosen.entity, chosen.to);
    state.replaceChildren(States.state(data, chosen.entity, chosen.step, choose));
    difference.replaceChildren(States.diff(data, chosen.entity, chosen.from, chosen.to, choose));
    const event = current();
    detail();
    chosen.row?.classList.remove("chosen");
    chosen.row = event ? trail.element(event.index) : null;
    chosen.row?.classList.add("chosen");
    draw();
  }

  function detail() {
    const event = current();
    about.replaceChildren(...(!event ? [Dom.make("p", { class: "none", text: "None yet: the state is that before the first event here." })] : [facts(event), Proofs.detail(records.get(event.position), evidence, status)]));
  }

  function facts(event) {
    const told = [["Type", event.type], ["Actor", event.actor], ["Id", event.id], ["Role", event.role], ["Correlation", event.correlation]];
    const list = told.filter(([, value]) => value !== null).flatMap(([name, value]) => [Dom.make("dt", { text: name }), Dom.make("dd", {}, Dom.told(value))]);
    return Dom.make("div", {}, ...noted(event.position, "p"), Dom.make("dl", { class: "facts" }, ...list));
  }

  function keeps(event) {
    if (chosen.actor !== "" && event.actor !== data.actors[chosen.actor]) return false;
    if (chosen.type !== "" && event.type !== data.types[chosen.type]) return false;
    if (!chosen.search) return true;
    const told = [`@${event.position}`, event.time, event.type, event.actor, event.id, event.correlation, data.entities[event.entity].name,
      ...event.changes.flatMap(({ field, before, after }) => [data.fields[field], before, after])];
    return told.some((text) => text !== null && text !== undefined && text.toLowerCase().includes(chosen.search.toLowerCase()));
  }

  function filter() {
    trail.filter(keeps);
    const count = data.trail.filter(keeps).length;
    shown.textContent = count === data.trail.length ? Text.count(count, "event") : `${count.toLocaleString("en")} of ${Text.count(data.trail.length, "event")}; printed are all of them`;
    draw();
  }

  function draw() {
    const lane = { actor: ({ actor }) => actor, type: ({ type }) => type, entity: ({ entity }) => data.entities[entity].name }[chosen.lanes];
    const { events } = data.steps[chosen.entity];
    const at = (step, name, kind) => (step ? { ms: events[step - 1].ms, name, kind } : { ms: null });
    const places = data.trail.filter(({ position }) => marks.has(position)).map(({ ms }) => ({ ms, name: "", kind: "noted" }));
    const handles = [...places, at(chosen.from, "A", "handle"), at(chosen.to, "B", "handle"), at(chosen.step, "", "now")];
    const width = Math.max(canvas.clientWidth, 280);
    canvas.replaceChildren(Timeline.timeline(data.trail.filter(keeps), lane, width, handles, (event) => choose(event, { scroll: true })));
  }

  // --- evidence

  const leads = new Map();
  let judgement = { signers: [], problem: "" };
  let isDone = evidence.checkpoint === null || !Keys.isAble;

  function restate() {
    const counts = { proven: 0, refuted: 0, erased: 0, waiting: 0, uncovered: 0 };
    const contradiction = contradicted();
    for (const record of evidence.records) {
      const isSigned = judgement.signers.length > 0 && !contradiction;
      const standing = Proofs.standing(record, evidence, leads.get(record.position), isSigned);
      counts[standing]++;
      status.show(record.position, standing);
    }
    const [standing, text] = Keys.told(evidence, counts, judgement, contradiction, isDone);
    keys.verdict.className = `verdict ${standing}`;
    keys.verdict.textContent = text;
    detail();
  }

  function contradicted() {
    const { checkpoint } = evidence;
    if (checkpoint === null || checkpoint.size !== data.basis.position) return "";
    return Merkle.hex(checkpoint.root) === data.basis.root ? "" : "The answers rest on another head of the log than the one that was signed.";
  }

  let asked = 0;
  async function judge(text) {
    const mine = ++asked;
    const found = await Keys.judged(evidence, text);
    if (mine !== asked) return;
    judgement = found;
    restate();
    document.documentElement.dataset.judged = mine;
  }

  async function check() {
    if (evidence.checkpoint !== null && Keys.isAble) {
      // Of two records that claim one position, neither is believed.
      await Evidence.check(evidence, ({ position }, isLeading) => leads.set(position, isLeading && !leads.has(position)));
      isDone = true;
    }
    restate();
    document.documentElement.dataset.checked = "yes";
  }

  // --- keys

  const help = Dom.make("dialog", { id: "help", "aria-label": "Keys" }, Dom.make("h2", { text: "Keys" }), Dom.make("dl", { class: "facts" },
    ...[["← →", "one event earlier, later"], ["Home End", "first and last"], ["a b", "set a handle of the difference here"], ["/", "search"], ["Esc", "leave the search, close this"], ["?", "this list"]]
      .flatMap(([name, text]) => [Dom.make("dt", { text: name }), Dom.make("dd", { text })])), Dom.make("form", { method: "dialog" }, Dom.make("button", { text: "Close" })));
  document.body.append(help);
  const actions = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => step(-Infinity), End: () => step(Infinity),
    a: () => { chosen.from = chosen.step; show(); }, b: () => { chosen.to = chosen.step; show(); },
    "/": () => search.focus(), "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, dialog, pre");
    if (event.key === "Escape" && event.target === search) { search.value = chosen.search = ""; filter(); search.blur(); }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  });
  new ResizeObserver(draw).observe(canvas);

  // --- begin

  for (const [name, value] of data.asked) document.getElementById("asked").append(Dom.make("dt", { text: name }), Dom.make("dd", {}, Dom.told(value)));
  document.getElementById("kind").textContent = data.kind === "bundle" ? "From a bundle of evidence" : "Report";
  document.getElementById("footer").append(
    Dom.make("p", { text: "What is proven is that the records are in the log that was signed, with just these bytes. It does not show that what they say is true, that these are all records of the entities, nor when the checkpoint was signed. States and changes are what esctl made of the records by the rules of its configuration." }),
    Dom.make("p", { text: "Whoever could change this page could change how it checks itself. To check it by other software, save a record and its proof: esctl verify-proof, or any reader of C2SP tlog-proof files; or ask for a bundle: esctl verify-bundle." }),
    Dom.make("p", { class: "noprint" }, "Press ", Dom.make("kbd", { text: "?" }), " for the keys."));
  enter(0);
  filter();
  show();
  restate();
  requestAnimationFrame(() => setTimeout(check));  // once there is something to see
})();
