// How each record stands: proven, refuted, erased, or not judged.
const Proofs = (() => {
  const WORDS = { proven: "proven", refuted: "refuted", erased: "erased", waiting: "not judged", uncovered: "not covered" };

  // The standing of a record: `leads` says whether it is in the tree (undefined: not known yet), `isSigned` whether the
  // root of the tree was signed by a key of the reader's.
  function standing(record, evidence, leads, isSigned) {
    if (evidence.checkpoint === null) return record.isErased ? "erased" : "waiting";
    if (record.position > evidence.checkpoint.size) return record.isErased ? "erased" : "uncovered";
    if (leads === false) return "refuted";
    if (record.isErased) return "erased";
    return leads && isSigned ? "proven" : "waiting";
  }

  function badge(standing) {
    return Dom.make("span", { class: `badge ${standing}`, text: WORDS[standing] });
  }

  // Badges of one record, wherever they are shown.
  function board() {
    const places = new Map();
    const known = new Map();
    return {
      of: (position) => known.get(position) ?? "waiting",
      place(position) {
        const made = badge(known.get(position) ?? "waiting");
        places.set(position, [...(places.get(position) ?? []), made]);
        return made;
      },
      show(position, standing) {
        if (known.get(position) === standing) return;
        known.set(position, standing);
        for (const each of places.get(position) ?? []) {
          each.className = `badge ${standing}`;
          each.textContent = WORDS[standing];
        }
      },
    };
  }

  function rawText({ isErased, raw }) {
    if (isErased) return "The record was erased: that it was there can be shown, not what it said.";
    if (raw === "") return "The record has no bytes.";
    return raw[0] === "=" ? Text.lines(raw.slice(1)) : otherText(raw.slice(1));
  }

  // Bytes that are no UTF-8, as most programs that write none would have them read, else as they are kept.
  function otherText(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const text = new TextDecoder("windows-1252").decode(bytes);
    const isText = !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/.test(text);
    return isText ? `(not UTF-8; shown as Windows-1252) ${Text.lines(text)}` : `(not UTF-8; base64) ${base64}`;
  }

  // When it was recorded, of which the leaf has microseconds.
  function received(record) {
    if (record.isErased) return null;
    const date = new Date(Number(record.recordedAt.slice(0, -3)));
    return Number.isNaN(date.getTime()) ? null : date.toISOString().replace("Z", `${record.recordedAt.slice(-3)}Z`);
  }

  // `noted(position)`: nodes of what somebody noted beside a record.
  function table(data, evidence, status, choose, noted) {
    const columns = [
      { title: "Record", cell: ({ position }) => at(data, position, choose), key: ({ position }) => position },
      { title: "Recorded (UTC)", cell: (record) => (record.isErased ? "–" : Text.time(received(record))), key: (record) => received(record) },
      { title: "From", cell: (record) => (record.isErased ? "–" : [Dom.told(record.source), `, at ${record.offset}`]), key: (record) => record.source },
      { title: "Standing", cell: ({ position }) => status.place(position) },
      { title: "As received", cell: (record) => [...noted(record.position), Dom.make("code", { class: "raw", text: Text.short(rawText(record).replace(/\n+$/, "")) })] },
    ];
    return Table.table("records", "Records", columns, evidence.records, ({ position }) => ({ "data-position": position })).root;
  }

  function at(data, position, choose) {
    const event = data.byPosition.get(position);
    return event ? States.link(event, choose) : Dom.make("span", { class: "position", text: `@${position}` });
  }

  // One record as it was received, to be read and taken away.
  function detail(record, evidence, status) {
    if (record === undefined) return Dom.make("p", { class: "none", text: "Its record is not in this page." });
    const name = String(record.position).padStart(20, "0");
    const isCovered = evidence.checkpoint !== null && record.position <= evidence.checkpoint.size;
    const buttons = Dom.make("p", { class: "buttons" },
      record.isErased || record.raw === "" ? null : Dom.button("Save the record", () => Dom.save(`${name}.txt`, Evidence.bytesOf(record))),
      isCovered ? Dom.button("Save its proof", async () => Dom.save(`${name}.tlog-proof`, await Evidence.proof(record, evidence))) : null);
    return Dom.make("div", { class: "detail" },
      Dom.make("p", {}, "Record ", Dom.make("strong", { text: `@${record.position}` }), " ", badge(status.of(record.position))),
      Dom.make("pre", { tabindex: 0, "aria-label": "The record as it was received", text: rawText(record).slice(0, 100_000) }), buttons);
  }

  return { standing, board, table, detail };
})();
