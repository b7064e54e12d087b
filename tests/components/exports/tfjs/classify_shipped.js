/* node classify_shipped.js FOLDER < {"variants", "texts"}: what a shipped folder answers in Node.

   Gives {"backend", "answers": {variant: [answer of classify, ...]}}. Nothing but the folder is read: all that
   index.html loads before the page's own script, in its order, with fetch reading files. */
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const folder = path.resolve(process.argv[2]);
const read = (name) => fs.readFileSync(path.join(folder, name), "utf-8");

console.log = console.error; // stdout is for answers
globalThis.fetch = async (file) => new Response(fs.readFileSync(file));
globalThis.tf = { wasm: {} };

function load(name) {
  if (!name.startsWith("tfjs/")) return vm.runInThisContext(read(name), { filename: name });
  // TensorFlow.js looks for Node's own modules where it finds Node.
  const exported = name.includes("backend-wasm") ? tf.wasm : tf;
  const wanted = (module) => (module === "@tensorflow/tfjs-core" ? tf : require(module));
  const scope = { require: wanted, module: {}, exports: exported, __dirname: path.join(folder, "tfjs") };
  return vm.compileFunction(read(name), Object.keys(scope), { filename: name })(...Object.values(scope));
}

async function main() {
  const scripts = [...read("index.html").matchAll(/<script src="([^"]+)"/g)].map((found) => found[1]);
  scripts.filter((name) => name !== "demo.js").forEach(load);
  const { variants, texts } = JSON.parse(fs.readFileSync(0, "utf-8"));
  const answers = {};
  for (const variant of variants) {
    const classifier = await Classifier.load(folder, variant);
    answers[variant] = [];
    for (const text of texts) answers[variant].push(await classifier.classify(text));
    classifier.dispose();
  }
  fs.writeFileSync(1, JSON.stringify({ backend: tf.getBackend(), answers }));
}

main();
