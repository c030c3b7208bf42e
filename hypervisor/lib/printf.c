/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Formatted text: %d %i %u %x %X %o %c %s %p %%, flags - 0 # + and space, width and precision (also *), and
 * the lengths hh h l ll z j t. No floating point, no %n, no wide characters: an unknown conversion is copied
 * as it stands.
 */
#include "lib/string.h"
#include "lib/types.h"

struct out {
	char *buf;
	size_t size, length; /* length counts what would have been written, as C says */
};

struct spec {
	bool left, zero, alternate, plus, space, upper;
	int width, precision; /* precision -1: not given */
	unsigned base;
};

static void put(struct out *o, char c)
{
	if (o->length + 1 < o->size)
		o->buf[o->length] = c;
	o->length++;
}

static void pad(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
	size_t n;

	if (!text)
		text = "(null)";
	n = strnlen(text, s->precision >= 0 ? (size_t)s->precision : SIZE_MAX / 2);
	if (!s->left)
		pad(o, ' ', s->width - (int)n);
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', s->width - (int)n);
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, char sign)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	int n = 0, zeros, prefix = (sign != 0) + (s->alternate && s->base == 16 && value ? 2 : 0);

	if (!value && s->precision != 0)
		text[n++] = '0';
	for (uint64_t v = value; v; v /= s->base)
		text[n++] = digits[v % s->base];
	zeros = MAX(s->precision - n, 0);
	if (s->zero && !s->left && s->precision < 0)
		zeros = MAX(s->width - n - prefix, 0);
	if (!s->left)
		pad(o, ' ', s->width - n - prefix - zeros);
	if (sign)
		put(o, sign);
	if (s->alternate && s->base == 16 && value) {
		put(o, '0');
		put(o, s->upper ? 'X' : 'x');
	}
	pad(o, '0', zeros);
	for (int i = n; i > 0; i--)
		put(o, text[i - 1]);
	if (s->left)
		pad(o, ' ', s->width - n - prefix - zeros);
}

/* A number after % or . in the format, or from the arguments; stops growing where it stops making sense. */
static const char *parse_count(const char *f, va_list *ap, int *count)
{
	if (*f == '*') {
		*count = va_arg(*ap, int);
		return f + 1;
	}
	for (*count = 0; *f >= '0' && *f <= '9'; f++)
		if (*count < 10000)
			*count = *count * 10 + (*f - '0');
	return f;
}

static const char *parse_spec(const char *f, va_list *ap, struct spec *s)
{
	*s = (struct spec){ .precision = -1, .base = 10 };
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '#')
			s->alternate = true;
		else if (*f == '+')
			s->plus = true;
		else if (*f == ' ')
			s->space = true;
		else
			break;
	}
	f = parse_count(f, ap, &s->width);
	if (s->width < 0) {
		s->left = true;
		s->width = -MAX(s->width, -10000);
	}
	if (*f == '.')
		f = parse_count(f + 1, ap, &s->precision);
	return f;
}

/* Lengths by the size of the argument: 1, 2, 4, 8 bytes. */
static const char *parse_length(const char *f, unsigned *bytes)
{
	*bytes = 4;
	if (*f == 'h') {
		*bytes = *++f == 'h' ? 1 : 2;
		return *bytes == 1 ? f + 1 : f;
	}
	while (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') {
		*bytes = 8;
		f++;
	}
	return f;
}

static int64_t take_signed(va_list *ap, unsigned bytes)
{
	if (bytes == 8)
		return va_arg(*ap, int64_t);
	if (bytes == 4)
		return va_arg(*ap, int);
	return bytes == 2 ? (int16_t)va_arg(*ap, int) : (int8_t)va_arg(*ap, int);
}

static uint64_t take_unsigned(va_list *ap, unsigned bytes)
{
	if (bytes == 8)
		return va_arg(*ap, uint64_t);
	if (bytes == 4)
		return va_arg(*ap, unsigned);
	return bytes == 2 ? (uint16_t)va_arg(*ap, unsigned) : (uint8_t)va_arg(*ap, unsigned);
}

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
	char sign = v < 0 ? '-' : s->plus ? '+' : s->space ? ' ' : 0;

	put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, sign);
}

/* One conversion; false where its letter is unknown. */
static bool convert(struct out *o, struct spec *s, char letter, unsigned bytes, va_list *ap)
{
	switch (letter) {
	case 'd':
	case 'i':
		put_signed(o, s, take_signed(ap, bytes));
		return true;
	case 'X':
		s->upper = true;
		/* fall through */
	case 'x':
		s->base = 16;
		put_number(o, s, take_unsigned(ap, bytes), 0);
		return true;
	case 'o':
		s->base = 8;
		/* fall through */
	case 'u':
		put_number(o, s, take_unsigned(ap, bytes), 0);
		return true;
	case 'p':
		s->base = 16;
		s->precision = 16;
		put_number(o, s, (uintptr_t)va_arg(*ap, void *), 0);
		return true;
	case 's':
		put_text(o, s, va_arg(*ap, const char *));
		return true;
	case 'c': {
		char c[2] = { (char)va_arg(*ap, int), 0 };

		s->precision = -1;
		put_text(o, s, c);
		return true;
	}
	case '%':
		put(o, '%');
		return true;
	default:
		return false;
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };
	struct spec s;
	va_list args;
	unsigned bytes;

	va_copy(args, ap);
	while (*fmt) {
		const char *start = fmt;

		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		fmt = parse_spec(fmt + 1, &args, &s);
		fmt = parse_length(fmt, &bytes);
		if (*fmt && convert(&o, &s, *fmt, bytes, &args))
			fmt++;
		else
			while (start < fmt)
				put(&o, *start++);
	}
	va_end(args);
	if (size)
		buf[MIN(o.length, size - 1)] = 0;
	return (int)o.length;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
