#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The driver's tests under ThreadSanitizer, of objects that "make tsan" has made; $@: the programs.
set -u
# An archive, as in the build: a test may have functions of its own instead.
rm -f tsan.d/driver.a
for o in tsan.d/*.o; do
	case $o in *test.o | */played*.o | */tsan.o) ;; *) ${AR:-ar} rcs tsan.d/driver.a "$o" ;; esac
done
n=0
for t in "$@"; do
	n=$((n + 1))
	more='tsan.d/played.o tsan.d/tsan.o'
	case $t in
	drivertest | changetest) more="$more tsan.d/played_xylemd.o" ;;
	migratetest | migrateedgetest) more="$more tsan.d/played_guests.o" ;;
	esac
	log=tsan.d/$t.log
	# shellcheck disable=SC2086
	if $CC -fsanitize=thread -pie -rdynamic -o tsan.d/$t tsan.d/$t.o $more tsan.d/driver.a $TSAN_LIBS -ldl; then
		TSAN_OPTIONS="suppressions=$TSAN_SRC/tsan.supp exitcode=66" timeout 900 tsan.d/$t >$log 2>&1
		status=$?
	else
		status=link
	fi
	if [ $status = 0 ] && ! grep -q 'WARNING: ThreadSanitizer' $log; then
		echo "ok $n - $t: no race"
	else
		echo "not ok $n - $t: $(grep -c 'WARNING: ThreadSanitizer' $log) reports, status $status, see tests/xml/$log"
	fi
done
echo "1..$n"
