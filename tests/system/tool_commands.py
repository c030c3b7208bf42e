# SPDX-License-Identifier: GPL-2.0-or-later
"""What test-tools runs: the programs of Debian's xen-utils-4.17, xen-utils-common and xenstore-utils, with their
subcommands and usual options, in an order that leaves the host as it was.

A line is one command of a shell in dom0. Behind " ## " stand words for the test:
  want=REGEX   its output holds this on both hypervisors (underscores stand for blanks)
  slow         it may take three minutes
  deadly       stock Xen does not outlive it: it runs on ours alone, which does (works or is refused)
Guests that are there: one (runs, with an interface), two (paused, two vcpus). /root/three.cfg is a third.
Lines that begin with "-" are steps between them: what they say is not compared.
"""

COMMANDS = r"""
xl info ## want=xen_scheduler
xl info -n ## want=cpu_topology
xl info xen_version
xl info nonsense
xl list ## want=Domain-0
xl list -l ## slow
xl list -Z
xl list -v
xl list -c
xl list -n
xl list one
xl list nosuch
xl list -l two
xl vm-list
xl uptime
xl uptime -s one
xl claims
xl sharing
xl sharing one
xl domid one
xl domid nosuch
xl domname 0
xl domname 4242
xl vcpu-list
xl vcpu-list one
xl vcpu-list nosuch
xl top -h
xentop -b -i 1 ## want=Domain-0
xentop -b -f -n -x -v -i 1
xl dmesg ## want=.
xl getenforce
xl setenforce 0
xl loadpolicy /etc/hostname
xl devd -h
xl help ## want=sched-credit2
xl -N create /root/three.cfg
xl -vvv info
xl nonsense
xl pause one
xl unpause one
xl pause 4242
xl unpause 0
xl rename two zwei
xl rename zwei two
xl rename two one
xl rename Domain-0 other
- xl rename other Domain-0
xl mem-max one 96
xl mem-max one 128
xl mem-max nosuch 96
xl mem-max one banana
xl mem-max one 99999999
xl mem-set one 96
xl mem-set two 64
xl mem-set nosuch 96
xl vcpu-pin one 0 0
xl vcpu-pin one 0 1 0
xl vcpu-pin one all all
xl vcpu-pin one all all all
xl vcpu-pin -f two 1 1
xl vcpu-pin two 9 0
xl vcpu-pin one 0 99
xl vcpu-pin Domain-0 0 all
xl vcpu-set two 1
xl vcpu-set two 2
xl vcpu-set one 99
xl vcpu-set nosuch 1
xl button-press one power
xl button-press one sleep
xl trigger one nmi 0
xl trigger one reset
xl trigger one init
xl trigger one power
xl trigger one sleep
xl trigger one s3resume
xl trigger one banana
xl sysrq one h
xl sysrq nosuch h
xl debug-keys 0 ## want=^$
xl debug-keys d
xl debug-keys e
xl debug-keys g
xl debug-keys h
xl debug-keys H
xl debug-keys i
xl debug-keys M
xl debug-keys m
xl debug-keys n
xl debug-keys q
xl debug-keys r
xl debug-keys s
xl debug-keys t
xl debug-keys u
xl debug-keys v
xl debug-keys z
xl debug-keys Q
xl debug-keys a
xl debug-keys c
xl debug-keys S
xl debug-keys V
xl debug-keys O
xl debug-keys P
xl debug-keys x
xl debug-keys A
xl debug-keys w
xl debug-keys '*' ## slow
xl debug-keys !
xl debug-keys hq
- xl dmesg -c >/dev/null; xl debug-keys h; xl debug-keys q; xl debug-keys r; xl debug-keys t
xl dmesg ## want=(?i)vcpu
xl dmesg -c
xl sched-credit
xl sched-credit -s
xl sched-credit -d one
xl sched-credit -d one -w 512
xl sched-credit2 ## want=Domain-0
xl sched-credit2 -d one ## want=256
xl sched-credit2 -d one -w 512
xl sched-credit2 -d one ## want=512
xl sched-credit2 -d one -c 50
xl sched-credit2 -d one -c 0
xl sched-credit2 -d one -w 0
xl sched-credit2 -d one -w 65535
xl sched-credit2 -d one -w 65536
xl sched-credit2 -d one -c 101
xl sched-credit2 -d one -c 65535
xl sched-credit2 -d one -w 256 -c 0
xl sched-credit2 -d Domain-0 -w 300
xl sched-credit2 -d Domain-0 -w 256
xl sched-credit2 -d nosuch
xl sched-credit2 -s ## want=ratelimit
xl sched-credit2 -s -r 2000
xl sched-credit2 -s ## want=2000
xl sched-credit2 -s -r 50
xl sched-credit2 -s -r 600000
xl sched-credit2 -s -r 0
xl sched-credit2 -s -r 1000
xl sched-credit2 -p Pool-0
xl sched-credit2 -p nosuch
xl sched-rtds
xl sched-rtds -d one
xl sched-rtds -d one -v all -p 10000 -b 2500
xl set-parameters ept=exec-sp=1
xl set-parameters loglvl=info
xl set-parameters gnttab=max-ver:1
xl set-parameters nonsense=1
xl set-parameters pv-l1tf=no
xl cpupool-list ## want=Pool-0
xl cpupool-list -c ## want=Pool-0
xl cpupool-list nosuch
xl cpupool-cpu-remove Pool-0 1
xl cpupool-list ## want=Pool-0.*1
- echo 'name="test" sched="credit2" cpus=["1"]' | tr ' ' '\n' >/root/pool.cfg
xl cpupool-create /root/pool.cfg
xl cpupool-list -c
xl cpupool-migrate one test
xl cpupool-list test
xl sched-credit2 -p test
xl cpupool-destroy test
xl cpupool-migrate one Pool-0
xl cpupool-rename test other
xl cpupool-destroy other
xl cpupool-cpu-add Pool-0 1
xl cpupool-list ## want=Pool-0.*2
xl cpupool-cpu-remove Pool-0 99
xl cpupool-cpu-add Pool-0 99
xl cpupool-cpu-add nosuch 1
xl cpupool-destroy Pool-0
xl cpupool-rename Pool-0 Pool-0
xl cpupool-create name=\"credit\" sched=\"credit\"
xl cpupool-create name=\"rt\" sched=\"rtds\"
xl cpupool-create name=\"nul\" sched=\"null\"
xl cpupool-create name=\"bad\" sched=\"banana\"
xl cpupool-list
xl cpupool-destroy credit
xl cpupool-destroy rt
xl cpupool-destroy nul
xl cpupool-migrate Domain-0 Pool-0
xl cpupool-migrate nosuch Pool-0
xl cpupool-numa-split
xl cpupool-list -c
xl cpupool-rename Pool-node0 Pool-0
xl network-list one
xl network-list nosuch
xl network-attach two bridge=xenbr0 mac=00:16:3e:77:99:01 script=/bin/true
xl network-detach two 0
xl network-detach two 7
xl block-list one
xl block-list nosuch
xl block-attach two phy:/dev/vdb xvdb r script=/bin/true
xl block-list two
xl block-detach two xvdb
xl block-detach two xvdz
xl channel-list one
xl vtpm-list one
xl vkb-list one
xl vdispl-list one
xl vsnd-list one
xl usb-list one
xl vtpm-attach two backend=Domain-0
xl vkb-attach two
xl vdispl-attach two
xl vsnd-attach two
xl usbctrl-attach two version=2 ports=2
xl usbctrl-detach two 0
xl usbdev-attach two hostbus=1 hostaddr=1
xl cd-insert one xvdc /dev/null
xl cd-eject one xvdc
xl pci-list one
xl pci-assignable-list
xl pci-assignable-add 0000:00:00.0
xl pci-assignable-remove 0000:00:00.0
xl pci-attach one 0000:00:1f.7
xl pci-detach one 0000:00:1f.7
xl psr-hwinfo
xl psr-hwinfo --cmt
xl psr-cmt-attach one
xl psr-cmt-detach one
xl psr-cmt-show cache-occupancy one
xl psr-cat-set one 0xff
xl psr-cat-show
xl psr-mba-set one 10
xl psr-mba-show
xl qemu-monitor-command one info
xl vncviewer nosuch
xl console nosuch
xl dump-core two /root/core && test -s /root/core ## slow
- rm -f /root/core
xl save nosuch /root/save
xl save -p two /root/save ## slow
xl save -c two /root/save ## slow
xl restore /etc/hostname
xl migrate one nowhere.invalid ## slow
xl migrate -s /bin/false one nowhere.invalid ## slow
xl remus one nowhere.invalid ## slow
xl create -n /root/three.cfg
xl create -p /root/three.cfg ## slow
xl create -p /root/three.cfg
xl create /root/nosuch.cfg
xl create -d -n /root/three.cfg
xl config-update three /root/three.cfg
xl shutdown three
xl reboot three
xl destroy three
xl destroy three
xl destroy 0
xl shutdown nosuch
xl create -p /root/three.cfg 'extra="console=hvc0 single"' 'on_poweroff="preserve"' ## slow
xl unpause three
xl destroy three
xl create -p /root/three.cfg 'vcpus=2' 'maxvcpus=4' 'cpus="1"' 'cpu_weight=512' 'cap=30' ## slow
xl vcpu-list three ## want=three
xl sched-credit2 -d three ## want=512
xl destroy three
xl create -p /root/three.cfg 'vcpus=4' 'vnuma=[["pnode=0","size=48","vcpus=0-1","vdistances=10,20"],["pnode=0","size=48","vcpus=2-3","vdistances=20,10"]]' ## slow
xl destroy three
xl create -p /root/three.cfg 'type="pvh"' ## slow
xl create -p /root/three.cfg 'type="hvm"' ## slow
xl create -p /root/three.cfg 'passthrough="enabled"' ## slow
xl create -p /root/three.cfg 'tsc_mode="always_emulate"' ## slow
xl destroy three
xl create -p /root/three.cfg 'tsc_mode="native"' ## slow
xl destroy three
xl create -p /root/three.cfg 'pool="nosuch"' ## slow
xl create -p /root/three.cfg 'max_grant_frames=4' 'max_maptrack_frames=4' 'event_channels=127' ## slow
xl destroy three
xl create -p /root/three.cfg 'max_grant_version=2' ## slow
xl destroy three
xl create -p /root/three.cfg 'e820_host=1' ## slow
xl destroy three
xl create -p /root/three.cfg 'nested=0' 'claim_mode=1' ## slow
xl destroy three
xl create -p /root/three.cfg 'memory=999999' ## slow
xl destroy three
xl create -p /root/three.cfg memory=$(($(xl info free_memory) - 15)) ## slow
xl destroy three
xl create -p /root/three.cfg 'kernel="/etc/hostname"' ## slow
xl destroy three
xl create -p /root/three.cfg 'iomem=["fee00,1"]' ## slow
xl destroy three
xl create -p /root/three.cfg 'ioports=["2f8-2ff"]' ## slow
xl destroy three
xl create -p /root/three.cfg 'irqs=[3]' ## slow
xl destroy three
xl create -p /root/three.cfg 'nomigrate=1' ## slow
xl destroy three
xl create -p /root/three.cfg 'max_grant_frames=100000' ## slow
xl create -p /root/three.cfg 'max_maptrack_frames=1025' ## slow
xl destroy three
xenhypfs tree ## want=buildinfo
xenhypfs ls / ## want=params
xenhypfs ls /buildinfo ## want=compileinfo
xenhypfs ls /buildinfo/version
xenhypfs ls /buildinfo/compileinfo
xenhypfs ls /params
xenhypfs ls /cpupool
xenhypfs ls /cpupool/0
xenhypfs cat /buildinfo/version/major ## want=4
xenhypfs cat /buildinfo/version/minor ## want=17
xenhypfs cat /buildinfo/version/extra
xenhypfs cat /buildinfo/compileinfo/compiler
xenhypfs cat /buildinfo/changeset
xenhypfs cat /buildinfo/config
xenhypfs cat -b /buildinfo/config | head -c 4 | wc -c
xenhypfs cat /cpupool/0/sched-gran ## want=cpu
xenhypfs cat /params/gnttab_max_frames
xenhypfs cat /params/ept
xenhypfs cat /params
xenhypfs cat /nosuch
xenhypfs cat /buildinfo/version/major/deeper
xenhypfs ls /buildinfo/changeset
xenhypfs write /buildinfo/version/major 5
xenhypfs write /params/nosuch 1
xenhypfs write /params/gnttab_max_frames 64
xenhypfs write /params/gnttab_max_frames banana
xenhypfs write /params/gnttab_max_maptrack_frames 1024
xenhypfs write /params/rcu-idle-timer-period-ms 10
xenhypfs write /cpupool/0/sched-gran cpu
xenhypfs write /cpupool/0/sched-gran core
xenhypfs write /params 1
xenhypfs
xen-cpuid ## want=KEY
xen-cpuid -d
xen-cpuid -i
xen-cpuid -p ## want=policy
xen-cpuid -h
xen-detect ## want=Xen
xen-detect -N
xen-detect -P
xen-diag
xen-diag gnttab_query_size 0
xen-diag gnttab_query_size 4242
xen-diag nonsense
xen-hptool
xen-hptool help
xen-hptool cpu-offline 1
xen-hptool cpu-online 1
xen-hptool cpu-offline 0
xen-hptool cpu-online 0
xen-hptool cpu-online 1
xen-hptool cpu-offline 99
xen-hptool cpu-online 99
xen-hptool smt-enable
xen-hptool smt-disable
xen-hptool smt-enable
xen-hptool mem-status 0x100
xen-hptool mem-status 0x10
xen-hptool mem-status 0xffffffff
xen-hptool mem-online 0x100
xen-hptool mem-online 0xffffffff
xen-hptool mem-offline 0xffffffff
xen-livepatch list
xen-livepatch upload test /etc/hostname
xen-livepatch apply nosuch
xen-livepatch revert nosuch
xen-livepatch unload nosuch
xen-livepatch help
xen-lowmemd -h & sleep 1; kill $!
xen-mceinj -h
xen-mceinj -c 0 -p 0x1000 -t 0 ## deadly
xen-mceinj -t 1 ## deadly
xen-mceinj -l
xen-memshare info ## want=used
xen-memshare enable
xen-memshare debug
xen-memshare nominate 1 1
xen-memshare share 1 1 1 2 1 1
xen-memshare unshare 1 1
xen-mfndump
xen-mfndump dump-m2p | tail -n 1 ## slow
xen-mfndump dump-p2m 1 | head -n 1 ## slow
xen-mfndump dump-ptes 1 0x100
xen-mfndump dump-ptes 0 0x100
xen-mfndump lookup-pte 0 0x100
xen-mfndump memcmp-mfns 0 0x100 0 0x100
xen-ucode /etc/hostname
xen-ucode show-cpu-info
xen-vmtrace 1 0
xen-access 1 write
xen-hvmctx 1
xen-hvmcrash 1
xen-kdd -h
xenpaging -h
xencov
xencov read
xencov reset
xenctx 1 ## want=rip
xenctx -a 1
xenctx -C 1
xenctx 4242
xenctx 0
xenctx -k ffffffff81000000 1 0
xenlockprof
xenlockprof -r
xenperf
xenperf -r
xenperf -f
xenpm
xenpm help
xenpm get-cpuidle-states ## want=cpu_id
xenpm get-cpuidle-states 0
xenpm get-cpuidle-states 99
xenpm get-cpufreq-states
xenpm get-cpufreq-states 0
xenpm get-cpufreq-average
xenpm get-cpufreq-para
xenpm get-cpufreq-para 0
xenpm get-cpu-topology ## want=CPU0
xenpm get-vcpu-migration-delay
xenpm set-vcpu-migration-delay 1000
xenpm set-scaling-maxfreq 0 1000000
xenpm set-scaling-minfreq 0 1000000
xenpm set-scaling-governor 0 performance
xenpm set-scaling-governor performance
xenpm set-scaling-speed 0 1000000
xenpm set-sampling-rate 0 10000
xenpm set-up-threshold 0 80
xenpm set-sched-smt enable
xenpm set-sched-smt disable
xenpm set-sched-smt banana
xenpm set-max-cstate 1
xenpm set-max-cstate 1 1
xenpm set-max-cstate unlimited
xenpm set-max-cstate 0
xenpm set-max-cstate unlimited
xenpm enable-turbo-mode
xenpm enable-turbo-mode 0
xenpm disable-turbo-mode 0
xenpm start 1
xentrace_setsize 64
xentrace -M 1 -e 0x0002f000 -T 1 /root/trace; test -s /root/trace ## slow
xentrace -D -S 32 -e all -T 1 /root/trace; test -s /root/trace ## slow
xenalyze --summary /root/trace 2>&1 | head -n 40 ## slow
xentrace_format /dev/null </root/trace 2>&1 | head -n 1
xenwatchdogd 300 60 & sleep 3; pkill -USR1 xenwatchdogd
xenconsole --help
xenconsole nosuch
xenstore-ls / ## want=local
xenstore-ls -f /local/domain/0 ## want=name
xenstore-ls -p /local
xenstore-list /
xenstore-list -p /local/domain
xenstore-list /nosuch
xenstore-read /local/domain/0/name ## want=Domain-0
xenstore-read -p /local/domain/0/name
xenstore-read /nosuch
xenstore-write /test/a 1 /test/b 2
xenstore-read /test/a /test/b ## want=1
xenstore-exists /test/a
xenstore-exists /test/nosuch
xenstore-chmod /test/a r0 b1
xenstore-chmod -r /test n0
xenstore-chmod /test/a z0
xenstore-chmod /test/a n99999
xenstore-chmod /test/a n0 r77 b99999; xenstore-ls -p /test ## want=n0,r77,b99999
xenstore-write @x 1
xenstore-rm @releaseDomain
xenstore-write /t/longest 1 /t/b 1 /t/middle 1; echo $(xenstore-list /t); xenstore-rm /t ## want=longest_b_middle
xenstore-watch -n 1 /test
xenstore-rm /test/a
xenstore-rm -t /test/b
xenstore-rm /test
xenstore-rm /nosuch
xenstore-write /test x; xenstore-rm /test
xenstore ls /tool
xenstore-control help
xenstore-control check
xenstore-control log on
xenstore-control log off
xenstore-control memreport
xenstore-control quota
xenstore-control nonsense
init-xenstore-domain --help
flask-getenforce
flask-setenforce 0
flask-get-bool -a
flask-loadpolicy /etc/hostname
flask-set-bool x 1
flask-label-pci 0000:00:00.0 x
lsevtchn 0 ## want=VCPU
lsevtchn 1
lsevtchn 4242
readnotes /srv/guests/vmlinux ## want=GUEST_OS
readnotes /etc/hostname
test-cpu-policy ## want=Done
test-resource
test-tsx
test-paging-mempool
test-xenstore -r 1 ## slow
depriv-fd-checker
gdbsx -c 1 64
gdbsx -a 1 64 9999
vchan-socket-proxy
libxl-save-helper
verify-stream-v2 /etc/hostname
convert-legacy-stream --help
xen-init-dom0
xen toolstack
xenpvnetboot --help
pygrub --help
xendomains status
xencov_split /dev/null
xl sysrq one s
- xl destroy two
xl shutdown -w -a ## slow
xl list ## want=Domain-0
"""
