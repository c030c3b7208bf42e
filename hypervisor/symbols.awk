# SPDX-License-Identifier: GPL-2.0-or-later
# From "nm -n": the sorted table of functions that panic() finds names in (hw/symbols.c).
BEGIN {
	print "\t.section .rodata.symbols, \"a\"\n\t.balign 8"
	print "\t.globl symbol_table, symbol_names, symbol_count"
	print "\t.hidden symbol_table, symbol_names, symbol_count\nsymbol_table:"
}
$2 ~ /^[tT]$/ && $3 !~ /^\./ {
	printf "\t.quad 0x%s, %d\n", $1, offset
	names[count++] = $3
	offset += length($3) + 1
}
END {
	print "symbol_names:"
	for (i = 0; i < count; i++)
		printf "\t.asciz \"%s\"\n", names[i]
	printf "\t.balign 8\nsymbol_count:\n\t.quad %d\n", count
	print "\t.section .note.GNU-stack, \"\", @progbits"
}
