#!/bin/bash
# Replaces podman's `conmon` while kfp's DockerRunner is tested: a container that has ended is removed half a
# minute later than requested. kfp has containers removed when they end, asks for the exit code only then, and treats a
# missing container as a success, so a rejecting gate would not stop the run.
set -eu
if [ "${1:-}" = later ]; then # what conmon calls when the container has ended
    shift
    kept=()
    for argument in "$@"; do
        [ "$argument" = --rm ] || kept+=("$argument")
    done
    podman "${kept[@]}"
    (sleep 30 && exec podman "$@") >/dev/null 2>&1 </dev/null &
    exit 0
fi
arguments=() previous=""
for argument in "$@"; do
    if [ "$previous" = --exit-command ]; then
        arguments+=("$(realpath "$0")" --exit-command-arg later)
    else
        arguments+=("$argument")
    fi
    previous=$argument
done
exec conmon "${arguments[@]}"
