/* BERT WordPiece, token for token what the Hugging Face fast tokenizer gives. No dependency; browser and Node.

     const tokenizer = new Tokenizer(await (await fetch("tokenizer_data.json")).json());
     tokenizer.encode("Who was Galileo?").input_ids;   // [101, 2040, 2001, 21514, 1029, 102]

   What becomes of each character (clean-up, lower case, accents, where words part) is read from the data,
   which the Rust tokenizer itself was asked for: engines carry Unicode tables of other versions than it does. */
"use strict";

(function () {
  const AS_IS = 0;
  const ALONE = 1; // a word of its own: punctuation, CJK
  const SPACE = 2;
  const GONE = 3;
  const MAPPED = 4;

  const SURROGATE = (code) => code >= 0xd800 && code <= 0xdfff;
  const REPLACEMENT = 0xfffd; // what half a surrogate pair becomes when it is written as UTF-8

  class Tokenizer {
    /** @param {object} data what tokenizer_data.json holds. */
    constructor(data) {
      this.data = data;
      this.ids = new Map(data.vocab.map((token, id) => [token, id]));
      this.longest = data.vocab.reduce((most, token) => Math.max(most, token.length), 0);
      this.kinds = kindsOf(data.characters);
      this.mapped = new Map(
        Object.entries(data.characters.mapped).map(([from, to]) => [from.codePointAt(0), to]),
      );
      this.specials = finder(data.special_tokens);
      this.normalized = finder(data.normalized_tokens.map(([token, id]) => [this.spell(token), id]));
    }

    /** Token ids without [CLS] and [SEP], uncut: "Who?" -> [2040, 1029]. */
    tokenize(text) {
      const ids = [];
      for (const [raw, special] of parted(text, this.specials)) {
        for (const [words, added] of parted(this.spell(raw), this.normalized)) {
          this.addWords(words, ids);
          if (added !== undefined) ids.push(added);
        }
        if (special !== undefined) ids.push(special);
      }
      return ids;
    }

    /** One text, or two: [CLS] A [SEP], [CLS] A [SEP] B [SEP] with most models; what is too long is cut.
        The longer of two texts is cut first. Returns plain arrays of one length. */
    encode(first, second = null, maxLength = this.data.max_length) {
      const template = second === null ? this.data.single : this.data.pair;
      const a = this.tokenize(first);
      const b = second === null ? [] : this.tokenize(second);
      const room = maxLength - template.filter(([piece]) => typeof piece === "number").length;
      const kept = second === null ? [Math.min(a.length, room), 0] : longestFirst(a.length, b.length, room);
      const [A, B] = [a.slice(0, kept[0]), b.slice(0, kept[1])];
      const pieces = template.map(([piece, type]) => [{ A, B }[piece] ?? [piece], type]);
      return row(pieces, A.length + B.length < a.length + b.length);
    }

    addWords(spelled, ids) {
      for (const word of spelled.split(" ")) {
        if (word) this.addPieces(word, ids);
      }
    }

    /** The text with everything decided but the pieces: "Café, 中" -> "cafe ,  中 ". */
    spell(text) {
      let spelled = "";
      for (const character of text) {
        let code = character.codePointAt(0);
        let written = character;
        if (SURROGATE(code)) {
          code = REPLACEMENT;
          written = "\ufffd";
        }
        const kind = this.kinds[code];
        if (kind === AS_IS) spelled += written;
        else if (kind === ALONE) spelled += ` ${written} `;
        else if (kind === SPACE) spelled += " ";
        else if (kind === MAPPED) spelled += this.mapped.get(code);
      }
      return spelled;
    }

    /** The longest pieces of the vocabulary from the left, or the unknown token for the whole word. */
    addPieces(word, ids) {
      const { unk_id: unknown, continuing_prefix: prefix, max_input_chars_per_word: limit } = this.data;
      const before = ids.length;
      let start = [...word].length > limit ? -1 : 0;
      while (start >= 0 && start < word.length) {
        const end = this.pieceEnd(word, start, start > 0 ? prefix : "");
        if (end > start) ids.push(this.ids.get((start > 0 ? prefix : "") + word.slice(start, end)));
        start = end;
      }
      if (start < 0) ids.splice(before, ids.length - before, unknown);
    }

    /** Where the longest known piece from `start` ends; -1: none is known. */
    pieceEnd(word, start, prefix) {
      for (let end = Math.min(word.length, start + this.longest); end > start; end--) {
        if (this.ids.has(prefix + word.slice(start, end))) return end;
      }
      return -1;
    }
  }

  /** Rows of `encode` as one batch: flat Int32Arrays [rows * tokens], padded to the longest row. */
  function padded(rows, padId) {
    const tokens = Math.max(...rows.map((row) => row.input_ids.length));
    const batch = { rows: rows.length, tokens };
    const fillers = { input_ids: padId, attention_mask: 0, token_type_ids: 0 };
    for (const [name, filler] of Object.entries(fillers)) {
      batch[name] = new Int32Array(rows.length * tokens).fill(filler);
      rows.forEach((row, i) => batch[name].set(row[name], i * tokens));
    }
    return batch;
  }

  /** [[ids, token type], ...] -> the inputs of a row. */
  function row(pieces, cut) {
    const ids = pieces.flatMap(([ids]) => ids);
    return {
      input_ids: ids,
      attention_mask: ids.map(() => 1),
      token_type_ids: pieces.flatMap(([ids, type]) => ids.map(() => type)),
      cut,
    };
  }

  /** How many tokens of each text stay when both may have `room`: (5, 9) of 10 -> [5, 5]. The shorter stays
      whole while it fits in half of it; the odd one out goes to the longer, or to the second. */
  function longestFirst(a, b, room) {
    if (a + b <= room) return [a, b];
    const short = Math.min(a, b, Math.floor(room / 2));
    return a > b ? [room - short, short] : [short, room - short];
  }

  function kindsOf(characters) {
    const kinds = new Uint8Array(0x110000).fill(AS_IS);
    const fill = (ranges, kind) => {
      for (let i = 0; i < ranges.length; i += 2) kinds.fill(kind, ranges[i], ranges[i + 1] + 1);
    };
    fill(characters.alone, ALONE);
    fill(characters.space, SPACE);
    fill(characters.gone, GONE);
    for (const from of Object.keys(characters.mapped)) kinds[from.codePointAt(0)] = MAPPED;
    return kinds;
  }

  /** What finds tokens in a text: from the left, the longest where several begin. */
  function finder(tokens) {
    const longestFirst = tokens.map(([token]) => token).sort((a, b) => b.length - a.length);
    const escaped = longestFirst.map((token) => token.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return { ids: new Map(tokens), pattern: new RegExp(escaped.join("|") || "(?!)", "gu") };
  }

  /** [text before a token, its id] of every token found, then [the rest, undefined]. */
  function* parted(text, { ids, pattern }) {
    let start = 0;
    for (const found of text.matchAll(pattern)) {
      yield [text.slice(start, found.index), ids.get(found[0])];
      start = found.index + found[0].length;
    }
    yield [text.slice(start), undefined];
  }

  const exported = { Tokenizer, padded };
  if (typeof module === "object") module.exports = exported;
  else Object.assign(globalThis, exported);
})();
