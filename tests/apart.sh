#!/bin/sh
# A command in; the same with folders of its own where this machine has /run, /etc, /opt, /srv, /usr, /var/lib and
# /var/log, out: what it writes there is gone with it, and nobody else ever sees it. As root.
#
# usage: tests/apart.sh .venv/bin/pytest tests/kernel
set -eu
if [ "${APART:-}" != yes ]; then
    APART=yes exec unshare -m --propagation private "$0" "$@"
fi
mount -t tmpfs tmpfs /mnt
for folder in /etc /opt /srv /usr /var/lib /var/log; do
    own=/mnt/$(echo "$folder" | tr / -)
    mkdir "$own" "$own/upper" "$own/work"
    mount -t overlay -o "lowerdir=$folder,upperdir=$own/upper,workdir=$own/work" overlay "$folder"
done
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/lock
rm -rf /etc/calico-rkt /etc/cni /opt/cni /var/lib/calico-rkt /var/log/calico-rkt # so that what comes to be is named
exec "$@"
