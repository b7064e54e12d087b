/* node tokenize.js TOKENIZER_JS TOKENIZER_DATA REQUEST: token ids of texts (null pairs) as JSON on stdout. */
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const [program, data, asked] = process.argv.slice(2);
const { Tokenizer } = require(path.resolve(program));
const read = (file) => JSON.parse(fs.readFileSync(file, "utf-8"));
const tokenizer = new Tokenizer(read(data));
const { first, second, max_length: maxLength } = read(asked);
const rows = first.map((text, i) => tokenizer.encode(text, second ? second[i] : null, maxLength));
const told = second ? rows.map((row) => [row.input_ids, row.token_type_ids]) : rows.map((row) => row.input_ids);
fs.writeFileSync(1, JSON.stringify(told));
