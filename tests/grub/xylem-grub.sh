#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# xylem-grub against menus of several shapes, in a folder of its own.
set -u
tool=$(cd "${srcdir:-$(dirname "$0")}/../../tools" && pwd)/xylem-grub
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
number=0
export XYLEM_GRUB_BOOT="$dir/boot" XYLEM_GRUB_CMDLINE="$dir/cmdline" XYLEM_GRUB_SYNC=true

# check NAME COMMAND...: one TAP line for a command's success.
check()
{
	number=$((number + 1))
	name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $number - $name"
	else
		sed 's/^/# /' "$dir/out" "$dir/boot/grub/menu.lst"
		echo "not ok $number - $name"
	fi
}

fails()
{
	! "$@"
}

fresh()
{
	rm -rf "$dir/boot"
	mkdir -p "$dir/boot/grub"
	: >"$dir/boot/xylem.gz"
	: >"$dir/boot/vmlinuz"
	: >"$dir/boot/vmlinuz.old"
	: >"$dir/boot/vmlinuz-6.1.0-9-amd64"
	: >"$dir/boot/initrd.img-6.1.0-9-amd64"
	: >"$dir/boot/vmlinuz-6.1.0-10-amd64"
	: >"$dir/boot/initrd.img-6.1.0-10-amd64"
	echo "BOOT_IMAGE=/boot/vmlinuz root=/dev/vda2 ro quiet" >"$dir/cmdline"
	cat >"$dir/boot/grub/menu.lst" <<'END'
# a comment that stays
default 1
timeout 5

### BEGIN AUTOMAGIC KERNELS LIST
title Linux A
root (hd0,1)
kernel /boot/vmlinuz root=/dev/vda2

title Linux B
root (hd0,1)
kernel /boot/vmlinuz.old root=/dev/vda2
END
	cp "$dir/boot/grub/menu.lst" "$dir/before"
}

grub()
{
	sh "$tool" "$@"
}

has()
{
	grep -qxF -- "$1" "$dir/boot/grub/menu.lst"
}

last_title()
{
	[ "$(grep '^title' "$dir/boot/grub/menu.lst" | tail -n 1)" = "$1" ]
}

same_as_before()
{
	cmp "$dir/before" "$dir/boot/grub/menu.lst"
}

echo 1..40
fresh
check "show fails where there is no entry" fails grub show
check "write succeeds" grub write
check "it stands behind the others" last_title "title Xylem, vmlinuz-6.1.0-10-amd64"
check "the newest kernel by version, with the running command line and a console" \
	has "module /boot/vmlinuz-6.1.0-10-amd64 root=/dev/vda2 ro quiet console=hvc0"
check "its RAM disk" has "module /boot/initrd.img-6.1.0-10-amd64"
check "the hypervisor with options" has "kernel /boot/xylem.gz dom0_mem=1024M"
check "GRUB's root of the first entry" has "root (hd0,1)"
check "the default still is Linux B" has "default 1"
check "comments stay" has "# a comment that stays"
check "written again, it is there once" sh -c "sh $tool write \
	&& [ \$(grep -c '^title Xylem' $dir/boot/grub/menu.lst) = 1 ]"
check "no default has moved" has "default 1"
check "show prints it" sh -c "sh $tool show | grep -q '^kernel /boot/xylem.gz'"
check "as the default" grub write --default --options "dom0_mem=2048M msi=false"
check "it is entry 2" has "default 2"
check "with the former default as fallback" has "fallback 1"
check "with its options" has "kernel /boot/xylem.gz dom0_mem=2048M msi=false"
: >"$dir/boot/vmlinuz-6.1.0-11-amd64"
check "a kernel hook" grub hook 6.1.0-11-amd64
check "follows the new kernel and keeps the options" sh -c \
	"grep -q '^module /boot/vmlinuz-6.1.0-11-amd64 root=' $dir/boot/grub/menu.lst && grep -q 'dom0_mem=2048M msi=false' $dir/boot/grub/menu.lst"
ln -s /bin/sh "$dir/boot/vmlinuz-6.1.0-12-amd64"
check "a hook passes over a newer kernel that links out of /boot" grub hook 6.1.0-11-amd64
check "and takes the newest that GRUB can load" last_title "title Xylem, vmlinuz-6.1.0-11-amd64"
rm "$dir/boot/vmlinuz-6.1.0-11-amd64" "$dir/boot/vmlinuz-6.1.0-12-amd64"
check "a removal hook goes back" sh -c "sh $tool hook 6.1.0-11-amd64 &&
	grep -q '^module /boot/vmlinuz-6.1.0-10-amd64 root=' $dir/boot/grub/menu.lst"
check "it has its RAM disk again" has "module /boot/initrd.img-6.1.0-10-amd64"
: >"$dir/boot/xylem-debug.gz"
check "another hypervisor, and no RAM disk" grub write --xen "$dir/boot/xylem-debug.gz" --initrd none
: >"$dir/boot/vmlinuz-6.1.0-11-amd64" >"$dir/boot/initrd.img-6.1.0-11-amd64"
check "are kept by a kernel hook" sh -c "sh $tool hook 6.1.0-11-amd64 && grep -q '^kernel /boot/xylem-debug.gz' \
	$dir/boot/grub/menu.lst && ! grep -q '^module /boot/initrd' $dir/boot/grub/menu.lst"
check "by once" sh -c "sh $tool once && grep -q '^kernel /boot/xylem-debug.gz' $dir/boot/grub/menu.lst &&
	! grep -q '^module /boot/initrd' $dir/boot/grub/menu.lst"
rm "$dir/boot/xylem-debug.gz"
check "and by write, except for a hypervisor that is gone" sh -c "sh $tool write && grep -q '^kernel /boot/xylem.gz' \
	$dir/boot/grub/menu.lst && ! grep -q '^module /boot/initrd' $dir/boot/grub/menu.lst"
rm "$dir/boot/vmlinuz-6.1.0-11-amd64" "$dir/boot/initrd.img-6.1.0-11-amd64"
check "remove" grub remove
check "leaves the menu as it was" same_as_before
grub write >/dev/null
check "once" grub once
check "takes the saved default, which is ours" sh -c "grep -qx 'default saved' $dir/boot/grub/menu.lst &&
	[ \"\$(head -n 1 $dir/boot/grub/default)\" = 2 ]"
check "and saves the former default when it boots" has "savedefault 1"
grub remove >/dev/null
check "remove after once leaves the menu as it was" same_as_before
# The rest asks the hypervisor's own parser, where the hypervisor is built.
XYLEM_GRUB_CHECKER=$(pwd)/../../tools/xylem-options
[ -x "$XYLEM_GRUB_CHECKER" ] || XYLEM_GRUB_CHECKER=
export XYLEM_GRUB_CHECKER

# tells TEXT COMMAND...: the command's status, where it says so; else 3.
tells()
{
	text=$1
	shift
	"$@" >"$dir/told" 2>&1
	status=$?
	cat "$dir/told"
	grep -qF -- "$text" "$dir/told" || return 3
	return $status
}

refuses()
{
	tells "$@"
	[ $? = 1 ]
}

check_parsed()
{
	if [ -n "$XYLEM_GRUB_CHECKER" ]; then
		check "$@"
	else
		number=$((number + 1))
		echo "ok $number # SKIP $1: the hypervisor is not built"
	fi
}

check_parsed "a value that the hypervisor does not understand is refused by name" \
	refuses "option dom0_mem=bogus: its value is not understood" grub write --options "dom0_mem=bogus msi=false"
check_parsed "so is an option that it does not know" \
	refuses "option ucode is unknown" grub write --options "dom0_mem=512M ucode=scan"
check_parsed "whose --help tells what it is for" tells "usage: xylem-options" sh -c '"$XYLEM_GRUB_CHECKER" --help'
check_parsed "and a line that is too long" refuses "options of more than" \
	grub write --options "dom0_mem=512M $(printf '%01100d' 0)"
check "nothing is written" same_as_before
XYLEM_GRUB_CHECKER=/nonexistent grub write --options "dom0_mem=bogus" >/dev/null
check_parsed "what is kept from the entry is told" tells "option dom0_mem=bogus" grub write
grub remove >/dev/null
check "a missing hypervisor is refused" fails grub write --xen "$dir/boot/none.gz"
check "and changes nothing" same_as_before
