#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# gen-headers.sh LIBVIRT_SOURCE OUT MULTIARCH_LIBDIR
#
# Writes into OUT the headers that libvirt's own build would generate and that a driver outside its tree needs:
# meson-config.h, configmake.h and the access-check prototypes. Nothing of libvirt is compiled.
set -e
src=$1 out=$2 libdir=$3
mkdir -p "$out"
version=$(sed -n "s/^  version: '\([0-9.]*\)',/\1/p" "$src/meson.build" | head -n 1)
test -n "$version" || { echo "gen-headers.sh: no version in $src/meson.build" >&2; exit 1; }
{
	echo '#define _GNU_SOURCE 1'
	for name in PACKAGE PACKAGE_NAME; do echo "#define $name \"libvirt\""; done
	for name in PACKAGE_VERSION VERSION; do echo "#define $name \"$version\""; done
	echo "$version" | awk -F. '{ print "#define LIBVIRT_VERSION_NUMBER", $1 * 1000000 + $2 * 1000 + $3 }'
	for name in WITH_LIBINTL_H WITH_NET_IF_H WITH_GETUID WITH_GETEUID WITH_GETGID WITH_GETEGID \
		WITH_STRUCT_IFREQ WITH_SUGGEST_ATTRIBUTE_FORMAT; do echo "#define $name 1"; done
} >"$out/meson-config.h"
{
	while read -r name value; do echo "#define $name \"$value\""; done <<-END
		BINDIR /usr/bin
		DATADIR /usr/share
		LIBDIR $libdir
		LIBEXECDIR /usr/lib/libvirt
		LOCALEDIR /usr/share/locale
		LOCALSTATEDIR /var
		MANDIR /usr/share/man
		PKGDATADIR /usr/share/libvirt
		PREFIX /usr
		RUNSTATEDIR /run
		SBINDIR /usr/sbin
		SYSCONFDIR /etc
	END
} >"$out/configmake.h"
perl "$src/src/rpc/gendispatch.pl" --mode=aclheader remote REMOTE "$src/src/remote/remote_protocol.x" \
	>"$out/viraccessapicheck.h"
