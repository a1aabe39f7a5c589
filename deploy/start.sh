#!/bin/sh
# What the container runs. A volume that holds no runs yet begins with those that ship.
set -eu
if [ ! -e "$VAE_STORE" ]; then
    mine="$VAE_STORE.$$-$(hostname)"
    cp -R trained_models "$mine"
    mv -T "$mine" "$VAE_STORE" || rm -rf "$mine" # a container beside this one was first
fi
mkdir -p "$VAE_DATA" "$VAE_CACHE"
exec streamlit run streamlit_app.py "$@"
