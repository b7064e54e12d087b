#!/usr/bin/env bash
# Runs the tests for `make test`, in an environment that is set up: data, TensorFlow.js, pytest.
#   run_tests.sh .venv/bin/python [arguments of pytest]
# If it fails, the last lines say where and why; the whole output is kept in .test.log.
set -uo pipefail
cd "$(dirname "$0")"
python=$1
shift
log=.test.$$.log # of this run only; renamed when it ends
trap 'mv -f "$log" .test.log' EXIT
step="the start"
: >"$log"

# Runs one step, and shows and keeps its output.
run() {
    step=$1
    shift
    "$@" 2>&1 | tee -a "$log"
    return "${PIPESTATUS[0]}"
}

# Prints the most informative lines of the log last; make's own exit code is 2 whatever this one is.
stop() {
    local code=$1
    echo
    echo "test: stopped at $step, exit code $code$(meaning "$code")"
    grep -aE "^(FAILED|ERROR|error:|E  |INTERNALERROR>|[^ ]*Error:)|[Cc]rashed|No space left|Killed" "$log" | tail -n 20
    echo "test: the whole output is in $PWD/.test.log"
    exit "$code"
}

meaning() {
    if [ "$step" = pytest ]; then
        case $1 in
        1) echo ": tests failed" ;;
        2) echo ": interrupted, or tests could not be collected" ;;
        3) echo ": an error inside pytest" ;;
        4) echo ": an argument of pytest is invalid" ;;
        5) echo ": no test was selected" ;;
        esac
    fi
    [ "$1" -le 128 ] || echo ": ended by SIG$(kill -l "$1")"
}

trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

run "creating the datasets" "$python" runner_local.py data || stop $?
if [ "${TESTS:-}" = full ]; then
    run "fetching a large checkpoint" "$python" runner_local.py data multilingual-e5-small || stop $?
fi
run "installing TensorFlow.js" "$python" -m components.exports.tfjs.environment ||
    echo "test: tests of TensorFlow.js will be skipped" | tee -a "$log"
color=no
[ ! -t 1 ] || color=yes
# A worker that crashes fails its test and is replaced, so the others still run. A test without cases is an error.
# Three workers for two cores, because tests often wait for servers and steps in other processes.
run pytest "$python" -m pytest -n 3 --dist loadfile --max-worker-restart 4 \
    -o empty_parameter_set_mark=fail_at_collect --color "$color" "$@" || stop $?
