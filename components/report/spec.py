"""Inputs, outputs and parameters of Report, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Evaluate

from components.data_gate.artifacts import DataGateReport
from components.report.artifacts import ClassificationMetrics, HtmlPage, MarkdownPage, Metrics
from components.tokenization_gate.artifacts import TokenizationReport

EXAMPLES_KEY = "examples"
STATISTICS_KEY = "statistics"
ANOMALIES_KEY = "anomalies"
DATA_GATE_KEY = "data_gate"
TOKENIZATION_GATE_KEY = "tokenization_gate"
MODEL_KEY = "model"
MODEL_RUN_KEY = "model_run"
EVALUATION_KEY = "evaluation"
MODEL_BLESSING_KEY = "model_blessing"
INFRA_BLESSING_KEY = "infra_blessing"
CLASSIFICATION_KEY = "classification"
METRICS_KEY = "metrics"
PAGE_KEY = "page"
SUMMARY_KEY = "summary"
NAME_KEY = "name"
SERVING_DIR_KEY = "serving_dir"
SETTINGS_KEY = "settings"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class ReportSpec(component_spec.ComponentSpec):
    """See `components.report.component.Report`."""

    PARAMETERS = {
        NAME_KEY: component_spec.ExecutionParameter(type=str),
        SERVING_DIR_KEY: component_spec.ExecutionParameter(type=str),
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        STATISTICS_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        ANOMALIES_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        DATA_GATE_KEY: component_spec.ChannelParameter(type=DataGateReport),
        TOKENIZATION_GATE_KEY: component_spec.ChannelParameter(type=TokenizationReport),
        MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        MODEL_RUN_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        EVALUATION_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        MODEL_BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        INFRA_BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS = {
        CLASSIFICATION_KEY: component_spec.ChannelParameter(type=ClassificationMetrics),
        METRICS_KEY: component_spec.ChannelParameter(type=Metrics),
        PAGE_KEY: component_spec.ChannelParameter(type=HtmlPage),
        SUMMARY_KEY: component_spec.ChannelParameter(type=MarkdownPage),
    }
    TYPE_ANNOTATION = Evaluate
