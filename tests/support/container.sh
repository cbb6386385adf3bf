# Runs as PID 1 of new namespaces and turns into the command that is given; see container.py.
# NAME: of the host. PYTHON, LIBRARIES, CODE: folders that the user may read, wherever they are. RUNTIME, STATE: to write to.
set -eu
umask 022
hostname "$NAME"
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/python /opt/libraries /opt/code /opt/run /opt/lib
mount --rbind "$PYTHON" /opt/python
mount --rbind "$LIBRARIES" /opt/libraries
mount --rbind "$CODE" /opt/code
mount --bind "$RUNTIME" /opt/run
mount --bind "$STATE" /opt/lib
for d in /run /var/lib; do mount -t tmpfs -o mode=755 tmpfs $d; mkdir $d/kafka-worker; done
mount --move /opt/run /run/kafka-worker
mount --move /opt/lib /var/lib/kafka-worker
mount -t tmpfs -o mode=1777 tmpfs /tmp
for d in / /opt /run /var/lib; do mount -o remount,bind,ro $d; done
cd /opt/code
exec env -u HOME -u USER -u LOGNAME LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/libraries:/opt/code \
  PYTHONDONTWRITEBYTECODE=1 RUNTIME_DIRECTORY=/run/kafka-worker STATE_DIRECTORY=/var/lib/kafka-worker \
  LEDGER=/var/lib/kafka-worker/ledger \
  setpriv --reuid 10001 --regid 10001 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
