# Runs as PID 1 of new namespaces and turns into systemd; see systemd_sandbox.py.
# CGROUPS: our own cgroup, one folder per hierarchy; once in them the cgroup namespace is cut, so that systemd sees each as "/".
# V1: the version 1 hierarchies to show it. ID: its boot id.
for c in $CGROUPS; do echo 0 > $c/cgroup.procs; done
exec unshare --cgroup sh -euc '
mount -t proc proc /proc; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys
c=/sys/fs/cgroup; umount -l -R $c 2>/dev/null || true
if [ "$V1" ]; then mount -t tmpfs -o mode=755 tmpfs $c; mkdir $c/unified; fi; mount -t cgroup2 cgroup2 $c${V1:+/unified}
for v in $V1; do d=$c/${v#name=}; mkdir $d; mount -t cgroup -o none,$v v1 $d 2>/dev/null || mount -t cgroup -o $v v1 $d; done
mount -o remount,bind,ro /sys
for d in /run /dev /var/lib /var/log /var/cache; do mount -t tmpfs -o mode=755 tmpfs $d; done; mount -t tmpfs tmpfs /var/tmp
for n in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 /dev/${n%:*} c 1 ${n#*:}; done; mknod -m 666 /dev/tty c 5 0
cd /dev; ln -s fd/0 stdin; ln -s fd/1 stdout; ln -s fd/2 stderr; ln -s /proc/self/fd fd; ln -s pts/ptmx ptmx; mkdir -m 1777 shm
mkdir pts mqueue; mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts pts; cd /
echo $ID > /run/boot_id; mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
u=/lib/systemd/system; r=/run/systemd; mkdir -p /run/sandbox /run/lock $r/system/sysinit.target.wants $r/journald.conf.d
# none of what the machine itself would start at boot: only the journal, and what a test adds
for d in /etc/systemd/system $u-generators /etc/systemd/system-generators $u/sysinit.target.wants $u/sockets.target.wants \
  $u/local-fs.target.wants $u/timers.target.wants $u/multi-user.target.wants; do [ ! -d $d ] || mount --bind /run/sandbox $d; done
ln -s $u/systemd-journald.service $u/systemd-journald.socket $u/systemd-journald-dev-log.socket $r/system/sysinit.target.wants
printf "[Journal]\nStorage=volatile\nReadKMsg=no\nForwardToWall=no\n" > $r/journald.conf.d/sandbox.conf
mount --make-rshared /              # in here only; without it LoadCredential= cannot hand its folder over
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=sandbox \
  /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no --crash-reboot=no'
