"""Report: the artifacts for Kubeflow's run page, and the HTML page that the local summary links to."""

from __future__ import annotations

import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.evaluator.settings import EvaluateSettings
from components.fingerprints import code_fingerprint
from components.report import executor
from components.report.artifacts import ClassificationMetrics, HtmlPage, MarkdownPage, Metrics
from components.report.settings import ReportSettings
from components.report.spec import ReportSpec
from components.settings import DataSettings
from models.tasks.task import Task


class Report(base_component.BaseComponent):
    """Reports on a model, blessed or not. No node depends on it, so no push waits for it or fails with it.

    Outputs: `classification` (confusion matrix, ROC curve for two classes), `metrics` (figures, baseline,
    differences, thresholds), `page` (one HTML page without scripts or external resources) and `summary`
    (Markdown: the decision and how to serve).

    Args:
        examples: Examples of the ExampleGen; rows of `evaluate.split` are predicted again.
        statistics: ExampleStatistics of StatisticsGen.
        anomalies: ExampleAnomalies of ExampleValidator.
        data_gate: DataGateReport of the DataGate.
        tokenization_gate: TokenizationReport of the TokenizationGate.
        model: Model of the Trainer.
        model_run: ModelRun of the Trainer, with history.json.
        evaluation: ModelEvaluation of the Evaluator.
        model_blessing: ModelBlessing of the Evaluator.
        infra_blessing: InfraBlessing of the Canary.
        name: name of the served model.
        serving_dir: folder that models are pushed to.
        settings: what the page shows.
        data: what the columns mean.
        evaluate: the split, slices and thresholds that the model was evaluated with.
        task: what the model learned.
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        anomalies: types.BaseChannel,
        data_gate: types.BaseChannel,
        tokenization_gate: types.BaseChannel,
        model: types.BaseChannel,
        model_run: types.BaseChannel,
        evaluation: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        name: str,
        serving_dir: str,
        settings: ReportSettings,
        data: DataSettings,
        evaluate: EvaluateSettings,
        task: Task,
    ) -> None:
        values = {
            "data": data.of_rows().as_json(),
            "evaluate": evaluate.as_json(),
            "report": settings.as_json(),
            "task": task.name,
        }
        spec = ReportSpec(
            examples=examples,
            statistics=statistics,
            anomalies=anomalies,
            data_gate=data_gate,
            tokenization_gate=tokenization_gate,
            model=model,
            model_run=model_run,
            evaluation=evaluation,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            name=name,
            serving_dir=serving_dir,
            settings=json.dumps(values, sort_keys=True),
            code_fingerprint=code_fingerprint(
                "components.report.executor", *task.modules("facts", "figures")
            ),
            classification=types.Channel(type=ClassificationMetrics),
            metrics=types.Channel(type=Metrics),
            page=types.Channel(type=HtmlPage),
            summary=types.Channel(type=MarkdownPage),
        )
        super().__init__(spec=spec)
