"""Renamed config keys, and keys of Hugging Face's TrainingArguments that have another name here."""

from __future__ import annotations

# Key of an earlier release -> its current name.
_RENAMED = {
    "data.label": "data.label_column",
    "data.labels": "data.label_list",
    "train.best_metric": "train.metric_for_best_model",
    "train.clip_norm": "train.max_grad_norm",
    "train.gradient_accumulation": "train.gradient_accumulation_steps",
    "train.label_smoothing": "train.label_smoothing_factor",
    "train.mixed_precision": "train.bf16: true or train.fp16: true",
    "train.schedule": "train.lr_scheduler_type",
    "train.steps": "train.max_steps",
}

# Key of TrainingArguments (transformers 4.57) -> the corresponding key here.
_TRAINING_ARGUMENTS = {
    "data_seed": "train.seed",
    "dataloader_drop_last": "no key: every epoch uses every row",
    "ddp_backend": "train.strategy",
    "do_eval": "no key: the eval split is always evaluated",
    "do_train": "no key: `run` trains if something changed",
    "early_stopping_patience": "train.early_stopping.patience",
    "early_stopping_threshold": "train.early_stopping.min_delta",
    "eval_steps": "train.evaluations_per_epoch",
    "eval_strategy": "train.evaluations_per_epoch",
    "evaluation_strategy": "train.evaluations_per_epoch",
    "greater_is_better": "no key: it follows from the metric",
    "group_by_length": "no key: batches always contain rows of similar length",
    "load_best_model_at_end": "no key: the best weights are always kept",
    "logging_dir": "train.tensorboard",
    "lr_scheduler_kwargs": "train.lr_scheduler_type and train.warmup_ratio",
    "num_train_epochs": "train.epochs",
    "optim": "no key: the optimizer is AdamW",
    "output_dir": "push.serving_dir, and --root for the runs",
    "overwrite_output_dir": "no key: every push creates a new version",
    "per_device_eval_batch_size": "train.eval_batch_size",
    "per_device_train_batch_size": "train.batch_size, over all replicas",
    "per_gpu_eval_batch_size": "train.eval_batch_size",
    "per_gpu_train_batch_size": "train.batch_size, over all replicas",
    "push_to_hub": "push.destinations",
    "report_to": "train.tensorboard",
    "resume_from_checkpoint": "no key: an interrupted training is always resumed",
    "save_strategy": "train.save_steps or train.save_minutes",
    "save_total_limit": "push.keep",
    "torch_compile": "train.xla",
    "warmup_steps": "train.warmup_ratio",
}

# Keys of TrainingArguments that have no counterpart.
_WITHOUT_COUNTERPART = frozenset(
    [
        "accelerator_config",
        "adafactor",
        "auto_find_batch_size",
        "average_tokens_across_devices",
        "batch_eval_metrics",
        "bf16_full_eval",
        "dataloader_num_workers",
        "dataloader_persistent_workers",
        "dataloader_pin_memory",
        "dataloader_prefetch_factor",
        "ddp_broadcast_buffers",
        "ddp_bucket_cap_mb",
        "ddp_find_unused_parameters",
        "ddp_timeout",
        "debug",
        "deepspeed",
        "disable_tqdm",
        "do_predict",
        "eval_accumulation_steps",
        "eval_delay",
        "eval_do_concat_batches",
        "eval_on_start",
        "eval_use_gather_object",
        "fp16_backend",
        "fp16_full_eval",
        "fp16_opt_level",
        "fsdp",
        "fsdp_config",
        "fsdp_min_num_params",
        "fsdp_transformer_layer_cls_to_wrap",
        "full_determinism",
        "gradient_checkpointing",
        "gradient_checkpointing_kwargs",
        "half_precision_backend",
        "hub_always_push",
        "hub_model_id",
        "hub_private_repo",
        "hub_revision",
        "hub_strategy",
        "hub_token",
        "ignore_data_skip",
        "include_for_metrics",
        "include_inputs_for_metrics",
        "include_num_input_tokens_seen",
        "include_tokens_per_second",
        "jit_mode_eval",
        "label_names",
        "length_column_name",
        "liger_kernel_config",
        "local_rank",
        "log_level",
        "log_level_replica",
        "log_on_each_node",
        "logging_first_step",
        "logging_nan_inf_filter",
        "logging_steps",
        "logging_strategy",
        "mp_parameters",
        "neftune_noise_alpha",
        "no_cuda",
        "optim_args",
        "optim_target_modules",
        "parallelism_config",
        "past_index",
        "prediction_loss_only",
        "project",
        "push_to_hub_model_id",
        "push_to_hub_organization",
        "push_to_hub_token",
        "ray_scope",
        "remove_unused_columns",
        "restore_callback_states_from_checkpoint",
        "run_name",
        "save_on_each_node",
        "save_only_model",
        "save_safetensors",
        "skip_memory_metrics",
        "tf32",
        "torch_compile_backend",
        "torch_compile_mode",
        "torch_empty_cache_steps",
        "torchdynamo",
        "tpu_metrics_debug",
        "tpu_num_cores",
        "trackio_space_id",
        "use_cpu",
        "use_legacy_prediction_loop",
        "use_liger_kernel",
        "use_mps_device",
    ]
)


def advice(key: str) -> str:
    """What to write instead of an unknown key: `"train.clip_norm"` -> `"it is now train.max_grad_norm"`; "" for most.

    Args:
        key: dotted, `train.num_train_epochs`.
    """
    if key in _RENAMED:
        return f"it is now {_RENAMED[key]}"
    section, _, name = key.rpartition(".")
    if section in ("", "train") and name in _TRAINING_ARGUMENTS:
        return f"the TrainingArguments key {name} corresponds to {_TRAINING_ARGUMENTS[name]}"
    if section in ("", "train") and name in _WITHOUT_COUNTERPART:
        return f"the TrainingArguments key {name} has no counterpart here; remove it"
    return ""
