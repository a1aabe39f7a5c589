#!/usr/bin/env bash
# Build the Dockerfile and start what it gives, where no Docker daemon runs: buildah builds it, on a
# Debian that debootstrap makes in place of Docker's image of Python, and it runs as a container
# would: its own user, the root for reading only, a volume in memory, a /proc of its own.
#
#     deploy/rehearse.sh TORCH_INDEX [more options of buildah build]
#
# Needs root, buildah and debootstrap. BASE names an image that is already there, WORK a folder to
# keep; else both are made and removed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
index="${1:?Usage: deploy/rehearse.sh TORCH_INDEX [options of buildah build]}"
shift

export BUILDAH_ISOLATION=chroot
made=
[ -n "${WORK:-}" ] || made="$(mktemp -d)"
work="${WORK:-$made}"
container() { buildah --root "$work/store" --runroot "$work/run" "$@"; }
trap 'container umount --all >/dev/null 2>&1 || true; rm -rf "${made:-$work/none}"' EXIT

if [ -z "${BASE:-}" ]; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        bookworm "$work/base" >"$work/debootstrap.log"
    rm -rf "$work"/base/var/cache/apt/* "$work"/base/var/lib/apt/lists/*
    ln -s /usr/bin/python3 "$work/base/usr/local/bin/python"
    printf 'FROM scratch\nADD base /\n' >"$work/Base"
    BASE=localhost/base
    container bud --quiet --tag "$BASE" --file "$work/Base" "$work"
fi

container bud --layers --format docker --tag localhost/latent-workbench \
    --build-arg BASE="$BASE" --build-arg TORCH_INDEX="$index" "$@" .

name="$(container from localhost/latent-workbench)"
root="$(container mount "$name")"
bytes="$(du --summarize --apparent-size --bytes "$root" | cut -f1)"
echo "The image holds $((bytes / 1000000)) MB."
[ "$bytes" -le 2000000000 ]

# Inside: mounts and processes of its own, then the image's user, environment and commands.
ROOT="$root" unshare --mount --pid --fork bash -euo pipefail <<'INSIDE'
mount --bind -o ro "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs tmpfs "$ROOT/tmp"
mount -t tmpfs -o uid=10001,gid=10001 tmpfs "$ROOT/data"
inside=(chroot --userspec=10001:10001 "$ROOT" env -i --chdir=/app HOME=/data
    PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
    VAE_STORE=/data/runs VAE_DATA=/data/data VAE_CACHE=/data/cache
    STREAMLIT_SERVER_ADDRESS=127.0.0.1 STREAMLIT_SERVER_PORT=18501
    STREAMLIT_SERVER_BASE_URL_PATH=lab)
"${inside[@]}" latent-workbench &
app=$!
for _ in $(seq 60); do
    "${inside[@]}" python healthy.py 2>/dev/null && break
    sleep 1
done
"${inside[@]}" python healthy.py
echo "It answers, as user $("${inside[@]}" id -u)."
"${inside[@]}" touch /app/mine 2>&1 || echo "Its root cannot be written to."
"${inside[@]}" vae-core train --dataset digits --epochs 1 --run first
"${inside[@]}" vae-core list
kill -TERM "$app"
wait "$app" || echo "It ended with status $?."
INSIDE
