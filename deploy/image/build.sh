#!/usr/bin/env bash
# Builds the image from the Dockerfile.
#   deploy/image/build.sh IMAGE                  on python:3.11-slim-bookworm, or BASE=...
#   deploy/image/build.sh IMAGE --from-debian    on a base built from Debian's packages, without a registry
# ENGINE is podman (the default if it is installed) or docker; BUILD_ARGS are further arguments of its build command.
set -euo pipefail
cd "$(dirname "$0")/../.."
image=${1:?usage: deploy/image/build.sh IMAGE [--from-debian]}
engine=${ENGINE:-$(command -v podman || command -v docker || true)}
[ -n "$engine" ] || {
    echo "image: neither podman nor docker is installed" >&2
    exit 1
}
uv_version=$(sed -n 's/^UV_VERSION := //p' Makefile)
read -r -a arguments <<<"${BUILD_ARGS:-}"

# A root file system like that of python:3.11-slim-bookworm: Python 3.11, CA certificates, apt.
debian_base() {
    local name=localhost/debian-python:3.11
    "$engine" image inspect "$name" >/dev/null 2>&1 || {
        command -v mmdebstrap >/dev/null || {
            echo "image: mmdebstrap is missing: apt-get install mmdebstrap" >&2
            exit 1
        }
        mmdebstrap --quiet --variant=minbase --include=python3.11,ca-certificates \
            --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            bookworm - http://deb.debian.org/debian |
            "$engine" import - "$name" >/dev/null
    }
    echo "$name"
}

base=${BASE:-}
[ "${2:-}" != --from-debian ] || base=$(debian_base)
"$engine" build ${base:+--build-arg "BASE=$base"} --build-arg "UV_VERSION=$uv_version" \
    "${arguments[@]}" --tag "$image" .
"$engine" image inspect "$image" --format '{{.Size}}' |
    awk -v image="$image" '{ printf "%s: %.2f GB\n", image, $1 / 1e9 }'
