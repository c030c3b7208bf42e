/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few string functions there are; in a host build the C library's. */
#ifndef LIB_STRING_H
#define LIB_STRING_H
#if __STDC_HOSTED__
#include <string.h>
#include <stdio.h>
#else
#include "lib/types.h"
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
#endif
#endif
