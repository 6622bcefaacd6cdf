// Text of a log, made harmless: nothing in it acts on the page or hides what it says.
const Text = (() => {
  const ACTING = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
  const NAMED = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);
  const MOST = 2000;

  function escaped(character) {
    const code = character.codePointAt(0).toString(16);
    return NAMED.get(character) ?? (code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`);
  }

  // One line of text: control, format, bidi and invisible characters are shown as \u202e.
  function visible(text) {
    return text.replace(ACTING, escaped);
  }

  // The same, line ends and tabs kept.
  function lines(text) {
    return text.replace(ACTING, (character) => (character === "\n" || character === "\t" ? character : escaped(character)));
  }

  function short(text) {
    if (text.length <= MOST) return visible(text);
    return `${visible(text.slice(0, MOST))} … (${(text.length - MOST).toLocaleString("en")} more characters)`;
  }

  // A value of a field: its JSON text; where it is absent, a dash.
  function value(json) {
    return json === null || json === undefined ? "–" : short(json);
  }

  function time(text) {
    return text === null || text === undefined ? "no time" : text.replace("T", " ").replace("Z", "").replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }

  const grouped = new Intl.NumberFormat("en");

  function count(number, one, many = `${one}s`) {
    return `${grouped.format(number)} ${number === 1 ? one : many}`;
  }

  return { visible, lines, short, value, time, count };
})();
