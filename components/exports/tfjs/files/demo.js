/* The demo page: fields and bars around the Classifier. */
"use strict";

(function () {
  const element = (id) => document.getElementById(id);
  const percent = new Intl.NumberFormat("en", {
    style: "percent",
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  });
  let classifier = null;

  async function start() {
    const report = await fetchJson("export.json");
    const info = await fetchJson("classifier.json");
    showFields(info.text_columns);
    showVariants(info.variants);
    await open(info.variants[0]);
    describe(report);
    element("variant").addEventListener("change", (event) =>
      guarded(async () => {
        await open(event.target.value);
        describe(report);
        element("result").hidden = true;
      }),
    );
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      guarded(classify);
    });
    element("form").addEventListener("keydown", (event) => {
      const wanted = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (wanted && !element("classify").disabled) element("form").requestSubmit();
    });
  }

  async function open(variant) {
    if (classifier) classifier.dispose();
    classifier = null;
    classifier = await Classifier.load(".", variant);
  }

  async function classify() {
    if (!classifier) return;
    const [first, second] = [...document.querySelectorAll("textarea")].map((field) => field.value);
    show(await classifier.classify(first, second ?? null));
  }

  function describe(report) {
    const tried = report.variants.find((variant) => variant.name === classifier.variant);
    const told = [
      `Version ${report.version}`,
      `${classifier.info.labels.length} labels`,
      `${(tried.figures.bytes / 1e6).toFixed(1)} MB of weights as ${classifier.variant}`,
      `${report.metric.replace("_", " ")} ${percent.format(tried.figures.value)} on ${report.rows} rows`,
    ];
    element("about").textContent = told.join(" · ");
    document.body.dataset.state = "ready";
  }

  function showFields(columns) {
    const fields = columns.map((column, i) => {
      const field = document.createElement("label");
      const name = document.createElement("span");
      const area = document.createElement("textarea");
      field.className = "field";
      name.textContent = column;
      area.id = `text-${i}`;
      area.placeholder = "Write or paste a text";
      field.append(name, area);
      return field;
    });
    element("fields").replaceChildren(...fields);
  }

  function showVariants(variants) {
    const options = variants.map((variant) => new Option(variant, variant));
    element("variant").replaceChildren(...options);
    element("variant-choice").hidden = variants.length < 2;
  }

  function show(answer) {
    element("label").textContent = answer.label;
    element("top").textContent = percent.format(answer.probabilities[0].probability);
    element("bars").replaceChildren(...answer.probabilities.map(bar));
    const cut = answer.cut ? ` The text was truncated: the model reads at most ${answer.tokens} tokens.` : "";
    element("details").textContent =
      `${answer.tokens} tokens, ${answer.milliseconds.toFixed(0)} ms in this browser.${cut}`;
    element("result").hidden = false;
  }

  function bar({ label, probability }) {
    const line = document.createElement("tr");
    const name = document.createElement("th");
    const share = document.createElement("td");
    const figure = document.createElement("td");
    const trough = document.createElement("div");
    const filled = document.createElement("div");
    name.scope = "row";
    name.textContent = label;
    share.className = "share";
    trough.className = "trough";
    filled.className = "bar";
    filled.style.width = `${(100 * probability).toFixed(2)}%`;
    trough.append(filled);
    share.append(trough);
    figure.className = "percent";
    figure.textContent = percent.format(probability);
    line.dataset.probability = probability;
    line.append(name, share, figure);
    return line;
  }

  /** Runs one action at a time; errors are shown in the page. */
  async function guarded(action) {
    element("classify").disabled = true;
    element("error").hidden = true;
    try {
      await action();
    } catch (error) {
      fail(error);
    }
    element("classify").disabled = classifier === null;
  }

  function fail(error) {
    const hint =
      location.protocol === "file:"
        ? " This page must be served: run “python3 -m http.server” in its folder and open http://localhost:8000."
        : "";
    element("error").textContent = `The model cannot be used: ${error.message || error}.${hint}`;
    element("error").hidden = false;
    if (classifier === null) {
      element("about").textContent = "No model is loaded.";
      element("form").hidden = document.querySelector("textarea") === null;
      document.body.dataset.state = "failed";
    }
  }

  guarded(start);
})();
