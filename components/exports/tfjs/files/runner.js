/* Answers batches of token ids with a TensorFlow.js graph model on the WebAssembly backend of Node.

     node runner.js FOLDER_WITH_NODE_MODULES FOLDER_OF_THE_MODEL

   One JSON line in, one out; arrays are base64 of little-endian int32 (in) and float32 (out). When it can
   answer it says {"ready": {...}}. Then {"rows", "tokens", "inputs": {name: ids}, "repeats"} gives
   {"probabilities"}, and with repeats > 0 {"seconds": [...]}; anything wrong gives {"error"}. It stops when
   its stdin is closed. */
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");
const { predict } = require("./classifier.js");

console.log = console.error; // stdout is for answers

const [environment, folder] = process.argv.slice(2);
const installed = createRequire(path.join(path.resolve(environment), "package.json"));

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** model.json and its weight files as TensorFlow.js wants them in memory. */
async function readModel(tf) {
  const json = JSON.parse(fs.readFileSync(path.join(folder, "model.json"), "utf-8"));
  return tf.io.getModelArtifactsForJSON(json, async (manifest) => {
    const files = manifest.flatMap((group) => group.paths);
    const bytes = Buffer.concat(files.map((name) => fs.readFileSync(path.join(folder, name))));
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    return [manifest.flatMap((group) => group.weights), buffer];
  });
}

async function open() {
  const tf = installed("@tensorflow/tfjs-core");
  const { loadGraphModel } = installed("@tensorflow/tfjs-converter");
  const wasm = installed("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(path.join(path.dirname(installed.resolve("@tensorflow/tfjs-backend-wasm")), path.sep));
  if (!(await tf.setBackend("wasm"))) throw new Error("the WebAssembly backend does not start");
  const model = await loadGraphModel({ load: () => readModel(tf) });
  return { tf, model };
}

function ints(base64) {
  const bytes = Buffer.from(base64, "base64");
  return new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

async function handle({ tf, model }, request) {
  const batch = { rows: request.rows, tokens: request.tokens };
  for (const [name, ids] of Object.entries(request.inputs)) batch[name] = ints(ids);
  const probabilities = await predict(tf, model, batch);
  const seconds = [];
  for (let i = 0; i < request.repeats; i++) {
    const started = performance.now();
    await predict(tf, model, batch);
    seconds.push((performance.now() - started) / 1000);
  }
  const bytes = Buffer.from(probabilities.buffer, probabilities.byteOffset, probabilities.byteLength);
  return { probabilities: bytes.toString("base64"), seconds };
}

async function main() {
  const opened = await open();
  answer({ ready: { backend: opened.tf.getBackend(), node: process.version } });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      answer(await handle(opened, JSON.parse(line)));
    } catch (error) {
      answer({ error: String(error && error.message ? error.message : error) });
    }
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    answer({ error: String(error && error.message ? error.message : error) });
    process.exit(1);
  },
);
