/* A text classifier in the page, or in Node: tokenizer, model and labels of one folder. Needs TensorFlow.js
   (tfjs/*.js) and tokenizer.js before it.

     const classifier = await Classifier.load(".", "float32");
     await classifier.classify("Who was Galileo?");   // {label: "HUM", probabilities: [{label, probability}, ...]} */
"use strict";

(function () {
  class Classifier {
    /** @param {string} folder folder of the files; @param {string} variant such as "float32"; default: the first. */
    static async load(folder = ".", variant = null) {
      const base = folder.replace(/\/$/, "");
      const [info, data] = await Promise.all([
        fetchJson(`${base}/classifier.json`),
        fetchJson(`${base}/tokenizer_data.json`),
      ]);
      tf.wasm.setWasmPaths(`${base}/tfjs/`);
      if (!(await tf.setBackend("wasm"))) throw new Error("this browser cannot start WebAssembly");
      await tf.ready();
      const chosen = variant || info.variants[0];
      const model = await tf.loadGraphModel(`${base}/${chosen}/model.json`);
      return new Classifier(info, new Tokenizer(data), model, chosen);
    }

    constructor(info, tokenizer, model, variant) {
      Object.assign(this, { info, tokenizer, model, variant });
    }

    /** @param {string} first the text; @param {?string} second the second text, if the model takes pairs. */
    async classify(first, second = null) {
      const started = performance.now();
      const encoded = this.tokenizer.encode(first, second);
      const batch = padded([encoded], this.tokenizer.data.pad_id);
      const values = await predict(tf, this.model, batch);
      const probabilities = this.info.labels.map((label, i) => ({ label, probability: values[i] }));
      probabilities.sort((one, other) => other.probability - one.probability);
      return {
        label: probabilities[0].label,
        probabilities,
        tokens: encoded.input_ids.length,
        cut: encoded.cut,
        milliseconds: performance.now() - started,
      };
    }

    dispose() {
      this.model.dispose();
    }
  }

  /** Probabilities of a batch: Float32Array [rows * classes].
      @param {object} batch rows, tokens, and a flat Int32Array for each input of the model. */
  async function predict(tf, model, batch) {
    const answer = tf.tidy(() => {
      const inputs = model.inputs.map(({ name }) => [
        name,
        tf.tensor2d(batch[name.split(":")[0]], [batch.rows, batch.tokens], "int32"),
      ]);
      return model.execute(Object.fromEntries(inputs));
    });
    const values = await answer.data();
    answer.dispose();
    return values;
  }

  async function fetchJson(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} returned ${response.status} ${response.statusText}`);
    try {
      return await response.json();
    } catch (error) {
      throw new Error(`${url} is not JSON (${error.message})`);
    }
  }

  const exported = { Classifier, predict, fetchJson };
  if (typeof module === "object") module.exports = exported;
  else Object.assign(globalThis, exported);
})();
