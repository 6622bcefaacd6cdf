// The tree of RFC 6962, and bytes as it needs them. Hashing is the browser's own (WebCrypto).
const Merkle = (() => {
  const utf8 = new TextEncoder();

  async function sha256(bytes) {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  }

  function joined(...parts) {
    const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

  function hex(bytes) {
    let text = "";
    for (const byte of bytes) text += HEX[byte];
    return text;
  }

  // A hash as what a map can have for a key.
  const key = (hash) => String.fromCharCode(...hash);

  function unhex(text) {
    if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("not a digest");
    return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  }

  function base64(bytes) {
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  }

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  // Base64 in its one right form; null for anything else.
  function unbase64(text) {
    try {
      const found = bytes(text);
      return base64(found) === text ? found : null;
    } catch {
      return null;
    }
  }

  // The nodes of the proof of a leaf, from the leaf to the root: where each is, on which side, and beside which.
  function* siblings(index, size) {
    for (let number = index, last = size - 1, level = 0; last > 0; level++) {
      const from = `${level}:${number}`;
      if (number % 2) yield { key: `${level}:${number - 1}`, isLeft: true, from };
      else if (number < last) yield { key: `${level}:${number + 1}`, isLeft: false, from };
      number = Math.floor(number / 2);
      last = Math.floor(last / 2);
    }
  }

  const leaf = (bytes) => sha256(joined([0], bytes));
  const node = (left, right) => sha256(joined([1], left, right));

  return { utf8, sha256, joined, hex, unhex, key, bytes, base64, unbase64, siblings, leaf, node };
})();
