#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes configure from a checkout; a release tarball already has it.
set -e
cd "$(dirname "$0")"
exec autoreconf -fi
