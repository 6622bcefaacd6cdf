// The reader's key, and what it is worth: nothing in the page is believed without one.
const Keys = (() => {
  const UNABLE = "Not judged: the browser offers no cryptography to this page here. Open it from disk.";
  const EXPLAINED = "Ask the party that vouches for the log for its public key, by a way that has nothing to do with this page: a key that came along with the page proves nothing.";

  const isAble = globalThis.crypto?.subtle !== undefined;

  function panel(evidence, changed) {
    const verdict = Dom.make("p", { id: "verdict", class: "verdict waiting", role: "status" });
    const area = Dom.make("textarea", { id: "key", rows: 2, spellcheck: "false", autocomplete: "off", placeholder: "name+12345678+AbC…", oninput: () => changed(area.value) });
    const file = Dom.make("input", { id: "keyfile", type: "file", onchange: async () => {
      if (!file.files.length) return;
      area.value = await file.files[0].text();
      changed(area.value);
    } });
    const root = Dom.section("evidence", "Is this what was recorded?", verdict, Dom.make("div", { class: "keys" },
      Dom.make("label", { for: "key", text: "Public key" }), area, Dom.make("label", { for: "keyfile", text: "or open a file with it" }), file),
      Dom.make("p", { class: "about", text: EXPLAINED }));
    return { root, verdict };
  }

  // Read the keys that were given and see whose signature the checkpoint has.
  async function judged(evidence, text) {
    const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!isAble) return { signers: [], problem: UNABLE };
    if (evidence.checkpoint === null || lines.length === 0) return { signers: [], problem: "" };
    try {
      const keys = await Promise.all(lines.map(Note.parseKey));
      const signers = [];
      for (const key of keys) {
        const found = await Note.isSigned(evidence.checkpoint, key);
        if (found === false) return { signers: [], refuted: `The checkpoint is not signed by ${Text.short(key.name)}, as it says.` };
        if (found) signers.push(key.name);
      }
      if (signers.length) return { signers, problem: "" };
      return { signers, refuted: `The checkpoint is not signed by ${Text.short(keys.map((key) => key.name).join(", "))}.` };
    } catch (error) {
      const unable = error instanceof DOMException ? "this browser cannot check Ed25519 signatures; esctl verify-proof can" : error.message;
      return { signers: [], problem: `Not judged: ${unable}.` };
    }
  }

  // One line on all records. `counts`: how many stand how.
  function told(evidence, counts, judgement, contradiction, isDone) {
    const of = Text.count(evidence.records.length, "record");
    const claimed = evidence.checkpoint ? [...new Set(evidence.checkpoint.signatures.map(({ name }) => name))].map(Text.short).join(", ") : "";
    if (evidence.problem) return ["refuted", `What should be the checkpoint is none: ${evidence.problem}.`];
    if (contradiction) return ["refuted", contradiction];
    if (judgement.refuted) return ["refuted", judgement.refuted];
    if (counts.refuted) {
      const are = `${Text.count(counts.refuted, "record")} of ${evidence.records.length} ${counts.refuted === 1 ? "is" : "are"} not what was recorded`;
      return ["refuted", `${are}; ${judgement.signers.length ? `${counts.proven} are proven` : "the others are not judged, as no key was given"}.`];
    }
    if (evidence.records.length === 0) return ["waiting", "There is no record in this page, and nothing to check."];
    if (evidence.checkpoint === null) return ["waiting", `Not judged: there is no checkpoint in this page, so none of its ${of} can be checked.`];
    if (!isAble) return ["waiting", UNABLE];
    if (judgement.problem) return ["waiting", judgement.problem];
    if (!judgement.signers.length) return ["waiting", `Not judged: no key was given. The ${of} say that they are in a log signed by ${claimed}.`];
    if (!isDone) return ["waiting", `Checking ${of} …`];
    const rest = [counts.erased ? `${counts.erased} erased` : "", counts.uncovered ? `${counts.uncovered} recorded after it was signed, and not judged` : ""].filter(Boolean);
    const proven = `${Text.count(counts.proven, "record")} ${counts.proven === 1 ? "is" : "are"} in the log ${Text.short(evidence.checkpoint.origin)}`;
    return [counts.proven ? "proven" : "waiting", `Proven: ${proven}, signed by ${judgement.signers.map(Text.short).join(" and ")} when it had ${evidence.checkpoint.size.toLocaleString("en")}${rest.length ? ` (besides: ${rest.join("; ")})` : ""}.`];
  }

  return { isAble, panel, judged, told };
})();
