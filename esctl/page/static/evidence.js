// The records in the page, checked: each by its own bytes, up to the root that the checkpoint has.
const Evidence = (() => {
  const WORDS = "esctl/record/1";
  const AT_ONCE = 256;
  const NODE = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

  // `told`: what all records share. `text`: the records, one a line: the leaf, a tab, the bytes as text.
  function read(told, text) {
    const { checkpoint, sources, recorded, nodes } = told;
    const records = text.split("\n").filter(Boolean).map((line) => parsed(line, sources, recorded));
    if (!checkpoint) return { records, checkpoint: null, text: "", problem: "" };
    try {
      const head = Note.parseCheckpoint(checkpoint);
      return { records, checkpoint: head, text: checkpoint, problem: "", nodes: placed(records, head.size, nodes) };
    } catch (error) {
      return { records, checkpoint: null, text: checkpoint, problem: error.message };
    }
  }

  function parsed(line, sources, recorded) {
    const tab = line.indexOf("\t");
    const [position, ...leaf] = JSON.parse(line.slice(0, tab));
    if (leaf.length === 1) return { position, isErased: true, hash: leaf[0] };
    const [source, offset, recordedAt, time = null, key = "-", headers = "-", salt = ""] = leaf;
    const raw = JSON.parse(`"${line.slice(tab + 1).replaceAll('"', '\\"')}"`);
    return { position, isErased: false, source: sources[source], offset, recordedAt: recorded[recordedAt], time, key, headers, salt, raw };
  }

  // Each node is told once, in the order in which the proofs first need it: 44 characters of base64.
  function placed(records, size, text) {
    const found = new Map();
    for (const { position } of records) {
      if (position > size) continue;
      for (const { key } of Merkle.siblings(position - 1, size)) {
        if (!found.has(key)) found.set(key, { text: text.slice(found.size * 44, found.size * 44 + 44), bytes: null });
      }
    }
    return found;
  }

  function nodeBytes(node) {
    if (!NODE.test(node.text)) throw new Error("not a hash");
    node.bytes ??= Merkle.bytes(node.text);
    return node.bytes;
  }

  function bytesOf({ raw }) {
    if (raw === "") return null;
    return raw[0] === "=" ? Merkle.utf8.encode(raw.slice(1)) : Merkle.bytes(raw.slice(1));
  }

  // What the tree has of a record: nine lines, of which the digests of its bytes and its source are taken here.
  async function leafText(record) {
    const digest = async (bytes) =>
      bytes === null ? "-" : Merkle.hex(await Merkle.sha256(record.salt ? Merkle.joined(Merkle.unhex(record.salt), bytes) : bytes));
    return [
      WORDS, record.position, record.recordedAt, record.offset, record.time ?? "-", record.key, record.headers,
      await digest(bytesOf(record)), await digest(Merkle.utf8.encode(record.source)), "",
    ].join("\n");
  }

  // Whether each record is in the tree, told as it becomes known. `known` has the nodes that were found to lead to the
  // root, with their hashes: who comes to one of them with the same hash is there.
  async function check(evidence, tell) {
    const { checkpoint, records } = evidence;
    const known = new Map([["root", Merkle.key(checkpoint.root)]]);
    const covered = records.filter(({ position }) => position <= checkpoint.size);
    for (let at = 0; at < covered.length; at += AT_ONCE) {
      const some = covered.slice(at, at + AT_ONCE);
      const found = await Promise.all(some.map((record) => leads(record, evidence, known)));
      some.forEach((record, number) => tell(record, found[number]));
      await new Promise((go) => setTimeout(go));  // let the page answer meanwhile
    }
  }

  async function leads(record, evidence, known) {
    try {
      let hash = await leafHash(record);
      const climbed = [];
      for (const { key, isLeft, from } of Merkle.siblings(record.position - 1, evidence.checkpoint.size)) {
        const told = Merkle.key(hash);
        if (known.get(from) === told) return reached(climbed, known);
        climbed.push([from, told]);
        const sibling = nodeBytes(evidence.nodes.get(key));
        hash = await (isLeft ? Merkle.node(sibling, hash) : Merkle.node(hash, sibling));
      }
      return Merkle.key(hash) === known.get("root") && reached(climbed, known);
    } catch {
      return false;
    }
  }

  function reached(climbed, known) {
    for (const [key, hash] of climbed) known.set(key, hash);
    return true;
  }

  async function leafHash(record) {
    return record.isErased ? Merkle.unhex(record.hash) : Merkle.leaf(Merkle.utf8.encode(await leafText(record)));
  }

  // The proof of a record as `esctl prove` writes it (c2sp.org/tlog-proof).
  async function proof(record, evidence) {
    const told = record.isErased
      ? `esctl/erased/1\n${record.position}\n${record.hash}\n`
      : `${await leafText(record)}${record.salt || "-"}\n${record.source}\n`;
    const index = record.position - 1;
    const hashes = [...Merkle.siblings(index, evidence.checkpoint.size)].map(({ key }) => evidence.nodes.get(key).text);
    const extra = Merkle.base64(Merkle.utf8.encode(told));
    return ["c2sp.org/tlog-proof@v1", `extra ${extra}`, `index ${index}`, ...hashes, "", evidence.text].join("\n");
  }

  return { read, check, proof, bytesOf };
})();
