/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes xenstored's core with what hostile guests may send.
 *
 * The input is a script: each record names a connection (two guests, dom0), a request, a transaction and a
 * payload, which comes from the input as it is, or is made of short words so that requests hit existing
 * nodes. Records may also be raw bytes for a connection, reads of its output, deaths and births. After each
 * script the store is recounted. With libFuzzer: clang -fsanitize=fuzzer,address -DLIBFUZZER; without: random
 * scripts from main().
 */
#include "../unit/xenstored_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t take_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static size_t words(struct input *in, char *out, size_t max)
{
	static const char *const word[] = {
		"/local/domain/1", "/local/domain/2",  "/a", "/b", "x",  "|",    "|n1|", "|b2|r0|",
		"@releaseDomain",  "@introduceDomain", "|T", "T|", "F|", "data", "/",    "|0|"
	};
	size_t len = 0;
	uint32_t count = take_byte(in) % 8;

	while (count--) {
		const char *w = word[take_byte(in) % G_N_ELEMENTS(word)];

		for (; *w && len < max; w++)
			out[len++] = *w == '|' ? '\0' : *w;
	}
	return len;
}

static void one_request(struct input *in, struct conn *c)
{
	char payload[XENSTORE_PAYLOAD_MAX];
	struct xsd_sockmsg hdr = { .type = take_byte(in) % (XS_TYPE_COUNT + 2), .tx_id = take_byte(in) % 4 };
	uint32_t how = take_byte(in);

	if (how & 1) {
		hdr.len = words(in, payload, sizeof(payload));
	} else {
		hdr.len = MIN(in->left, (how >> 1) * 8);
		memcpy(payload, in->at, hdr.len);
		in->at += hdr.len;
		in->left -= hdr.len;
	}
	feed(c, &hdr, sizeof(hdr), 7);
	feed(c, payload, hdr.len, 100);
}

static struct conn *connection(struct store *s, struct conn *tools, unsigned int which)
{
	struct domain *d;

	if (which == 0)
		return tools;
	d = domain_find(s, which);
	return d && d->conn ? d->conn : guest(s, which);
}

/* Does what the bytes say as clients do it. */
static bool leaves_sound(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct store *s = store_new(&fake_host);
	struct conn *tools = conn_new(s, s->dom0, true, "tools", NULL);
	g_autofree char *wrong = NULL;

	s->quotas.events = 8;
	guest(s, 1);
	guest(s, 2);
	guest_home(tools, 1);
	guest_home(tools, 2);
	while (in.left) {
		uint32_t op = take_byte(&in);
		struct conn *c = connection(s, tools, op % 3);

		switch (op / 3 % 8) {
		case 0:
			drain(c);
			break;
		case 1:
			if (c->out_first)
				conn_output_done(c, 1 + take_byte(&in) %
				                                    (c->out_first->len - c->out_first->sent));
			break;
		case 2:
			if (c != tools && take_byte(&in) < 64)
				domain_gone(s, c->dom);
			break;
		case 3: {
			size_t n = MIN(in.left, (size_t)take_byte(&in) % 40);

			n = MIN(n, in.left);
			if (n && feed(c, in.at, n, 3) && c != tools)
				conn_reset(c);
			else if (c == tools)
				c->in_have = 0;
			in.at += n;
			in.left -= n;
			break;
		}
		default:
			one_request(&in, c);
			if (c->reply_count > 64)
				drain(c);
		}
	}
	wrong = store_check(s);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	conn_free(tools);
	store_free(s);
	return !wrong;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!leaves_sound(data, size))
		abort();
	return 0;
}

#ifndef LIBFUZZER
int main(void)
{
	uint8_t script[600];
	uint64_t x = 88172645463325252ULL;
	bool sound = true;

	for (int run = 0; run < 20000; run++) {
		for (size_t i = 0; i < sizeof(script); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			script[i] = x >> 24;
		}
		sound = leaves_sound(script, 1 + x % sizeof(script)) && sound;
	}
	ok(sound, "20,000 random scripts left the store sound");
	return tap_end();
}
#endif
