// Signed notes (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint).
const Note = (() => {
  const NAME = /^[^\s+\x00-\x1f\x7f]+$/;
  const ED25519 = 1;

  // A public key: name+hash+base64. The base64 may have a + in it.
  async function parseKey(text) {
    const [name, digest, ...rest] = text.trim().split("+");
    const bytes = Merkle.unbase64(rest.join("+"));
    if (!NAME.test(name ?? "") || bytes === null || bytes.length !== 33 || bytes[0] !== ED25519) {
      throw new Error("a public key is written name+hash+base64, as esctl key show prints it");
    }
    const id = (await Merkle.sha256(Merkle.joined(Merkle.utf8.encode(`${name}\n`), bytes))).slice(0, 4);
    if (Merkle.hex(id) !== digest) throw new Error("the hash in this key is that of another key");
    return { name, id: digest, bytes: bytes.slice(1) };
  }

  function parseCheckpoint(text) {
    const end = text.lastIndexOf("\n\n");
    if (end < 0 || !text.endsWith("\n")) throw new Error("it has no signature");
    const body = text.slice(0, end + 1);
    const [origin, size, root] = body.split("\n");
    const bytes = Merkle.unbase64(root ?? "");
    if (!/^(0|[1-9][0-9]{0,14})$/.test(size ?? "") || bytes === null || bytes.length !== 32) {
      throw new Error("it has no size and root of a tree");
    }
    const signatures = text.slice(end + 2, -1).split("\n").map(parseSignature);
    return { origin, size: Number(size), root: bytes, body, signatures };
  }

  function parseSignature(line) {
    const [, name, encoded] = /^— ([^ ]+) (.+)$/.exec(line) ?? [];
    const bytes = Merkle.unbase64(encoded ?? "");
    if (!NAME.test(name ?? "") || bytes === null || bytes.length < 5) throw new Error("a line of it is no signature");
    return { name, id: Merkle.hex(bytes.slice(0, 4)), value: bytes.slice(4) };
  }

  // Whether a key signed a checkpoint: null where no signature says so. Throws where the browser cannot tell.
  async function isSigned(checkpoint, key) {
    const signature = checkpoint.signatures.find((one) => one.name === key.name && one.id === key.id);
    if (signature === undefined) return null;
    const algorithm = { name: "Ed25519" };
    const imported = await crypto.subtle.importKey("raw", key.bytes, algorithm, false, ["verify"]);
    return crypto.subtle.verify(algorithm, imported, signature.value, Merkle.utf8.encode(checkpoint.body));
  }

  return { parseKey, parseCheckpoint, isSigned };
})();
