# SPDX-License-Identifier: GPL-2.0-or-later
"""What test-virsh runs: virsh's commands for a host, a domain, an interface, a disk, a snapshot, in an order that leaves the
host as it was.

A line is what stands behind "virsh". (A console needs a terminal, and a wait for events that times out is an
error.) In front of it stands in which part it runs: h the host, r with the guest "g" running,
o with it off, s a running guest "s" with a screen. A command that is refused by our driver has "-" behind that, others have "+". Behind " => " stands a
command of a shell in dom0 that must succeed afterwards: it looks at the effect. Lines that begin with "!" are steps of a shell.
"""

COMMANDS = r"""
h + version
h + uri
h + hostname
h + sysinfo
h + nodeinfo
h + nodecpumap
h + nodecpustats
h + nodecpustats --cpu 0 --percent
h + nodememstats
h + nodememstats --cell 0 => [ "$(virsh nodememstats --cell 0 | grep total)" = "$(virsh nodememstats | grep total)" ]
h + freecell --all
h + freepages --all --pagesize 4
h + capabilities
h + domcapabilities
h + domcapabilities --virttype xen --machine xenpv
h + maxvcpus
h + cpu-models x86_64
!virsh capabilities >/root/host.xml
h + cpu-compare /root/host.xml
h + cpu-baseline /root/host.xml
h + hypervisor-cpu-compare /root/host.xml
h + hypervisor-cpu-baseline /root/host.xml
h - node-memory-tune
h - allocpages 2M 1
h - nodesuspend mem 60
h + list --all
h + list --uuid --name
h + list --with-managed-save
h + list --state-running --persistent
h + pool-list --all
h + net-list --all
h + nwfilter-list
h + nwfilter-binding-list
h + secret-list
h + iface-list --all
h + nodedev-list
h + nodedev-dumpxml computer => virsh nodedev-dumpxml computer | grep -q "<capability type='system'>"
h + nodedev-info computer
h + iface-dumpxml lo => virsh iface-dumpxml lo | grep -q "<interface"
h + iface-mac lo => virsh iface-mac lo | grep -q ^00:00:00:00:00:00
h + iface-name 00:00:00:00:00:00 => virsh iface-name 00:00:00:00:00:00 | grep -q ^lo
h + domid Domain-0
h + dominfo Domain-0
h + vcpuinfo Domain-0
h + schedinfo Domain-0
h + domstats --list-running
h + domxml-to-native xen-xl --xml /root/g.xml
!virsh domxml-to-native xen-xl --xml /root/g.xml >/root/g.cfg
h + domxml-from-native xen-xl /root/g.cfg
o + dominfo g
o + domstate g --reason
o + domuuid g
o + domname $(virsh domuuid g)
o + dumpxml g
o + dumpxml g --inactive --security-info
o + domblklist g --details
o + domblkinfo g xvda
o + domiflist g
o + domif-getlink g 00:16:3e:77:00:28 --config
o + domif-setlink g 00:16:3e:77:00:28 down --config => virsh dumpxml g | grep -q "link state='down'"
o + domif-setlink g 00:16:3e:77:00:28 up --config
o + domiftune g 00:16:3e:77:00:28 --inbound 1000 --config => virsh dumpxml g | grep -q "inbound average='1000'"
o + domiftune g 00:16:3e:77:00:28 --inbound 0 --config => ! virsh dumpxml g | grep -q inbound
o + domstats g
o + desc g --config --title a title => virsh dumpxml g | grep -q 'a title'
o + desc g --config more about it => virsh desc g | grep -q 'more about it'
o + metadata g urn:x --key x --set '<y/>' --config => virsh metadata g urn:x | grep -q '<y'
o + metadata g urn:x --remove --config
o + autostart g => test -e /etc/libvirt/libxl/autostart/g.xml
o + autostart g --disable => test ! -e /etc/libvirt/libxl/autostart/g.xml
o + setvcpus g 3 --maximum --config => virsh dumpxml g | grep -q '>3</vcpu>'
o + setvcpus g 2 --maximum --config
o + setvcpus g 1 --config => virsh dumpxml g | grep -q "current='1'"
o + setvcpus g 2 --config
o + vcpucount g --config --maximum
o + vcpucount g
o + vcpuinfo g
o + vcpupin g 1 0 --config => virsh vcpupin g --config | grep -q '1 *0'
o + vcpupin g
o + setmaxmem g 229376 --config => virsh dumpxml g | grep -q '>229376</memory>'
o + setmem g 188416 --config => virsh dumpxml g | grep -q '>188416</currentMemory>'
o + schedinfo g --config --set weight=300 => virsh schedinfo g --config | grep -q 300
o + schedinfo g --config --set cap=0
o + set-lifecycle-action g crash preserve --config => virsh dumpxml g | grep -q 'on_crash>preserve'
o + set-lifecycle-action g crash destroy --config
o + attach-disk g /srv/v.img xvdc --config => virsh domblklist g | grep -q xvdc
o + detach-disk g xvdc --config => ! virsh domblklist g | grep -q xvdc
o + attach-disk g /srv/q.qcow2 xvdc --driver qemu --subdriver qcow2 --config => virsh dumpxml g | grep -q qcow2
o + blkdeviotune g xvdc --read-iops-sec 50 --config => virsh blkdeviotune g xvdc --config | grep -q '^read_iops_sec *: 50$'
o + detach-disk g xvdc --config => ! virsh domblklist g | grep -q xvdc
o + attach-interface g bridge xenbr0 --mac 00:16:3e:77:00:99 --config => virsh domiflist g | grep -q 77:00:99
o + detach-interface g bridge --mac 00:16:3e:77:00:99 --config => ! virsh domiflist g | grep -q 77:00:99
o + attach-device g /root/v.xml --config => virsh domblklist g | grep -q xvdd
o + update-device g /root/v.xml --config
o + detach-device g /root/v.xml --config => ! virsh domblklist g | grep -q xvdd
o + domrename g gg => virsh domuuid gg
o + domrename gg g => virsh domuuid g
o - domcontrol g
o + domjobinfo g
o + managedsave-remove g
o - managedsave g
o - domifaddr g
o - reset g
o - suspend g
o - resume g
o - shutdown g
o - reboot g
o - destroy g
o - inject-nmi g
o - console g
o - blockresize g xvda 8M
o - save g /root/saved
o - restore /root/nosuch
o - dump g /root/dumped
o - migrate g xen+ssh://nowhere/system
o - domjobabort g
o - snapshot-list g
o - checkpoint-list g
o + start g --paused => virsh domstate g | grep -q paused
o + destroy g
o + start g => virsh domstate g | grep -q running
!until grep -q 'xylem-guest: up' /var/log/xen/console/guest-g.log; do sleep 1; done
r + domid g
r + domstate g --reason
r + dominfo g
r + domcontrol g
r + domjobinfo g
r + domstats g --raw
r + dumpxml g --update-cpu
r + domblklist g
r + domblkinfo g xvda
r + domblkinfo g --all
r + domblkstat g xvda
r + domblkstat g
r + domiflist g
r + domifstat g $(virsh domiflist g | sed -n 3p | cut -d' ' -f2)
r + domif-getlink g 00:16:3e:77:00:28
r + domif-setlink g 00:16:3e:77:00:28 down => ! ping -c 1 -W 2 10.77.0.40
r + domif-setlink g 00:16:3e:77:00:28 up => ping -c 3 -W 20 10.77.0.40
r + domiftune g 00:16:3e:77:00:28
r + domiftune g 00:16:3e:77:00:28 --inbound 1000 --outbound 1000 => ping -c 3 -W 20 10.77.0.40
r + domiftune g 00:16:3e:77:00:28 --inbound 0 --outbound 0
r + domifaddr g --source arp => virsh domifaddr g --source arp | grep -q 10.77.0.40
r - domifaddr g --source agent
r + dommemstat g
r + cpu-stats g --total
r + cpu-stats g => virsh cpu-stats g --start 1 | grep -q '^CPU1:'
r + vcpuinfo g
r + vcpucount g --live --active
r + setvcpus g 1 --live
r + setvcpus g 2 --live
r + vcpupin g 0 1 --live => virsh vcpuinfo g | grep -q 'Affinity: *-y'
r + vcpupin g 0 0-1 --live
r + schedinfo g --live --set weight=400 => virsh schedinfo g | grep -q 400
r + setmem g 180224 --live
r + setmem g 188416 --live
r - setmaxmem g 262144 --live
r - setvcpus g 3 --maximum --live
r + desc g --live --title another => virsh dumpxml g | grep -q another
r + metadata g urn:x --key x --set '<z/>' --live => virsh metadata g urn:x | grep -q '<z'
r + set-lifecycle-action g crash preserve --live => virsh dumpxml g | grep -q 'on_crash>preserve'
r + attach-disk g /srv/v.img xvdc --live => virsh domblklist g | grep -q xvdc
r + detach-disk g xvdc --live => ! virsh domblklist g | grep -q xvdc
r + attach-interface g bridge xenbr0 --mac 00:16:3e:77:00:99 --live => virsh domiflist g | grep -q 77:00:99
r + detach-interface g bridge --mac 00:16:3e:77:00:99 --live => ! virsh domiflist g | grep -q 77:00:99
r + attach-device g /root/v.xml --live => virsh domblklist g | grep -q xvdd
r + detach-device-alias g ua-v --live
r + blockresize g xvda 70M
r + suspend g => virsh domstate g | grep -q paused
r + resume g => virsh domstate g | grep -q running
r + ttyconsole g
r - console g --force
r + inject-nmi g => sleep 2; grep -q NMI /var/log/xen/console/guest-g.log
r - event g --all --timeout 1
r + event --list
r - domtime g
r - domhostname g
r - domfsinfo g
r - domfsfreeze g
r - domfsthaw g
r - domfstrim g
r - guestinfo g
r - guestvcpus g
r - set-user-password g root x
r - get-user-sshkeys g root
r - set-user-sshkeys g root --reset
r - domdisplay g
r - vncdisplay g
r - screenshot g /root/shot
r - send-key g KEY_A
r - send-process-signal g 1 sigterm
r - qemu-monitor-command g help
r - qemu-agent-command g x
r - qemu-attach 1
r - lxc-enter-namespace g /bin/true
r - emulatorpin g
r - iothreadinfo g
r - iothreadadd g 1
r - memtune g
r + numatune g => virsh numatune g | grep -q '^numa_nodeset *: 0$'
r - numatune g --nodeset 0 --live
r - numatune g --config
r - blkiotune g
r + blkdeviotune g xvda => virsh blkdeviotune g xvda | grep -q '^total_bytes_sec *: 0$'
r - blkdeviotune g xvda --total-bytes-sec 1000000 --live
r - perf g
r - setvcpu g 1 --disable
r - change-media g xvda --eject
!truncate -s 1M /srv/v.iso
r + attach-disk g /srv/v.iso xvdc --type cdrom --mode readonly --live => virsh dumpxml g | grep -q "device='cdrom'"
r - change-media g xvdc --eject --live
r - change-media g xvdc /srv/v.img --update --live
r + detach-disk g xvdc --live => ! virsh domblklist g | grep -q xvdc
r + domblkerror g
r - domblkthreshold g xvda 1
r - blockjob g xvda
r - blockpull g xvda
r - blockcommit g xvda
r - blockcopy g xvda /root/copy
r - snapshot-create g
r - snapshot-create-as g s
r - snapshot-current g
r - snapshot-info g s
r - snapshot-delete g s
r - snapshot-revert g s
r - checkpoint-create-as g c
r - checkpoint-info g c
r - backup-begin g
r - backup-dumpxml g
r - dom-fd-associate g x --pass-fds 0
r - domlaunchsecinfo g
r - domsetlaunchsecstate g --secret x
r - domdirtyrate-calc g --mode dirty-ring
r + domdirtyrate-calc g => virsh domstats g --dirtyrate | grep -q calc_mode=dirty-bitmap
r - dompmsuspend g mem
r - dompmwakeup g
r - domjobabort g
r + migrate-setspeed g 10
r + migrate-getspeed g => virsh migrate-getspeed g | grep -qx 10
r + migrate-setmaxdowntime g 50
r + migrate-getmaxdowntime g => virsh migrate-getmaxdowntime g | grep -qx 50
r - migrate-compcache g
r - migrate-postcopy g
r - save-image-dumpxml /root/nosuch
r + dump g /root/dumped --memory-only --live => head -c 4 /root/dumped | grep -q ELF
r - dump g /root/dumped --memory-only --format kdump-zlib
r + domjobinfo g --completed --keep-completed => virsh domjobinfo g --completed | grep -q Dump
r + save g /root/saved => virsh domstate g --reason | grep -q saved
o + save-image-dumpxml /root/saved => virsh save-image-dumpxml /root/saved | grep -q '<name>g</name>'
!virsh save-image-dumpxml /root/saved >/root/saved.xml
o + save-image-define /root/saved /root/saved.xml
!export EDITOR=/root/title TITLE=two
o + save-image-edit /root/saved => virsh save-image-dumpxml /root/saved | grep -q '<title>two<'
o + restore /root/saved => virsh domstate g | grep -q running
!n=0; until [ "$(xenstore-read /local/domain/$(virsh domid g)/device/vif/0/state)" = 4 ] || [ $n -ge 200 ]; do sleep 1; n=$((n+1)); done
r + managedsave g => virsh list --all --with-managed-save | grep -q g
o + managedsave-dumpxml g => virsh managedsave-dumpxml g | grep -q '<name>g</name>'
o + managedsave-define g /root/saved.xml
!export TITLE=three
o + managedsave-edit g => virsh managedsave-dumpxml g | grep -q '<title>three<'
o + start g => virsh domstate g --reason | grep -q restored
!n=0; until [ "$(xenstore-read /local/domain/$(virsh domid g)/device/vif/0/state)" = 4 ] || [ $n -ge 200 ]; do sleep 1; n=$((n+1)); done
r - migrate g --live xen+ssh://nowhere/system
r - nodedev-detach pci_0000_00_00_0
r - domrename g gg
r - start g
r + reset g
!sleep 5; n=0; until [ $(grep -c 'xylem-guest: up' /var/log/xen/console/guest-g.log) -ge 2 ] || [ $n -ge 200 ]; do sleep 1; n=$((n+1)); done
r + reboot g
!sleep 5; n=0; until [ $(grep -c 'xylem-guest: up' /var/log/xen/console/guest-g.log) -ge 3 ] || [ $n -ge 200 ]; do sleep 1; n=$((n+1)); done
r + shutdown g
!n=0; until virsh domstate g | grep -q 'shut off' || [ $n -ge 200 ]; do sleep 1; n=$((n+1)); done
o + create /root/g.xml --paused => virsh domstate g | grep -q paused
r + destroy g => virsh domstate g | grep -q 'shut off'
o + start g --autodestroy => sleep 2; virsh domstate g | grep -q 'shut off'
!export TITLE=four
o + edit g => virsh dumpxml g | grep -q '<title>four<'
o + undefine g => ! virsh domuuid g
o + define /root/g.xml --validate => virsh domuuid g
o + undefine g --managed-save
!virsh create /root/s.xml
!n=0; until [ "$(xenstore-read /local/domain/0/backend/vfb/$(virsh domid s)/0/state)" = 4 ] || [ $n -ge 200 ]; do sleep 1; n=$((n+1)); done
s + domdisplay s => virsh domdisplay s | grep -q ^vnc://127.0.0.1:
s + vncdisplay s => virsh vncdisplay s | grep -q ^127.0.0.1:
s + screenshot s /root/shot.ppm => head -c 2 /root/shot.ppm | grep -q P6
s + send-key s KEY_A
!(sleep 2; virsh suspend s; virsh resume s) >/dev/null 2>&1 &
s + event s lifecycle --timeout 60
!virsh destroy s
"""
