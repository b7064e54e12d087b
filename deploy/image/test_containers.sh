#!/usr/bin/env bash
# Builds the image and runs the compiled pipeline in it with kfp's own DockerRunner, for `make test-containers`.
#   deploy/image/test_containers.sh PYTHON IMAGE
# Podman serves the Docker client; no image is pulled unless BASE names one in a registry.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:?} image=${2:?}
for tool in podman runc; do
    command -v "$tool" >/dev/null || {
        echo "test-containers: $tool is missing: apt-get install podman runc mmdebstrap" >&2
        exit 1
    }
done
folder=$(mktemp -d)
service=
trap '[ -z "$service" ] || kill "$service" 2>/dev/null; rm -rf "$folder"' EXIT
# Settings with which podman also works in a container or a virtual machine, without systemd and without permission to
# raise limits; for conmon_path see late_removal.sh.
cat >"$folder/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=16384:16384"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["$PWD/deploy/image/late_removal.sh"]
events_logger = "file"
runtime = "runc"
CONF
export CONTAINERS_CONF=$folder/containers.conf
if [ -n "${BASE:-}" ]; then
    ENGINE=podman deploy/image/build.sh "$image"
else
    ENGINE=podman deploy/image/build.sh "$image" --from-debian
fi
podman system service --time=0 "unix://$folder/podman.sock" &
service=$!
for _ in $(seq 100); do
    [ -S "$folder/podman.sock" ] && break
    sleep 0.1
done
DOCKER_HOST=unix://$folder/podman.sock PIPELINE_IMAGE=$image "$python" -m pytest -ra tests/containers
