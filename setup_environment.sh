#!/usr/bin/env bash
# Makes one virtual environment of the project, with a uv of the project's own when there is none.
#   setup_environment.sh UV_VERSION .venv --frozen --no-install-project      from uv.lock
#   setup_environment.sh UV_VERSION .venv-bench --requirements FILE          from pinned requirements
# Touches nothing outside the project's folder but the package manager's download cache.
set -euo pipefail
cd "$(dirname "$0")"
uv_version=$1
environment=$2
shift 2

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Runs a command that downloads, three times at most; its last words are the last ones here.
try() {
    local doing=$1 wait words=.tools/words.$$
    shift
    for wait in 5 30 ""; do
        if "$@" 2>"$words"; then
            rm -f "$words"
            return
        fi
        cat "$words" >&2
        if [ -n "$wait" ]; then
            echo "setup: $doing failed; once more in $wait s" >&2
            sleep "$wait"
        fi
    done
    local last
    last=$(grep -v '^ *$' "$words" | tail -n 1 || true)
    rm -f "$words"
    fail "$doing failed three times: ${last:-it said nothing}"
}
trap 'fail "stopped at line $LINENO: $BASH_COMMAND"' ERR

python=""
for candidate in python3.11 python3 python; do
    if command -v "$candidate" >/dev/null &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$("$candidate" -c 'import sys; print(sys.executable)')
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 is missing (TFX 1.21 with these wheels runs on no other)." \
    "Install python3.11 and python3.11-venv (Debian, Ubuntu), python3.11 (Fedora, RHEL), or 'pyenv install 3.11'."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "the venv module of $python is missing: install python3.11-venv (Debian, Ubuntu)."
command -v c++ >/dev/null || command -v g++ >/dev/null ||
    fail "a C++ compiler is missing (pyfarmhash has no wheel): install g++ (Debian, Ubuntu) or gcc-c++ (Fedora, RHEL)."
"$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' ||
    fail "the headers of $python are missing (pyfarmhash is compiled): install python3.11-dev (Debian, Ubuntu)" \
        "or python3.11-devel (Fedora, RHEL)."
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    fail "the locked wheels are for Linux on x86-64, this is $(uname -s) on $(uname -m)."

mkdir -p .tools
if command -v flock >/dev/null; then # two at once would install over one another
    exec 9>.tools/lock
    flock --nonblock 9 || { echo "setup: waiting for another set-up of this folder" && flock 9; }
fi

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=.tools/uv/bin/uv
    if ! "$uv" --version 2>/dev/null | grep -qF "uv $uv_version"; then
        echo "setup: installing uv $uv_version into .tools/"
        rm -rf .tools/uv
        "$python" -m venv .tools/uv
        try "installing uv" \
            .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --timeout 60 "uv==$uv_version"
    fi
fi

# uv's limits are for a quiet machine and a near index: beside other work, compiling one file has taken more than
# the 60 s after which it gives up.
export UV_COMPILE_BYTECODE_TIMEOUT=${UV_COMPILE_BYTECODE_TIMEOUT:-0}
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120} UV_HTTP_RETRIES=${UV_HTTP_RETRIES:-5}

echo "setup: installing the packages of $environment (a few GB the first time)"
if [ "$1" = --requirements ]; then
    "$uv" venv --quiet --clear --python "$python" "$environment"
    # A CPU build of PyTorch is taken where the user's pip settings point to one.
    links=()
    [ -z "${PIP_FIND_LINKS:-}" ] || links=(--find-links "$PIP_FIND_LINKS")
    try "installing $2" \
        "$uv" pip install --quiet --python "$environment/bin/python" --compile-bytecode "${links[@]}" -r "$2"
else
    # Bytecode is compiled here because many machines forbid Python to write it later, and then
    # every start compiles TensorFlow and TFX anew (three times slower).
    export UV_PROJECT_ENVIRONMENT=$environment
    try "installing the packages of $environment" \
        "$uv" sync --quiet --python "$python" --compile-bytecode "$@"
fi
echo "setup: $environment is ready"
