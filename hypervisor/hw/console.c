/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console: a 16550 serial port, a VGA text screen until dom0 takes it, and a ring of what was printed
 * last. console= names the outputs; com1= configures the port ("115200,8n1", "auto" keeps the firmware's
 * rate, then ",base,irq"), and without it the port is not touched: dom0 may use it.
 */
#include "hw/console.h"
#include "hw/acpi.h"
#include "hw/bootmem.h"
#include "hw/cpu.h"
#include "hw/device_map.h"
#include "hw/irq.h"
#include "hw/lock.h"
#include "hw/mem.h"
#include "hw/options.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/string.h"

#define UART_DATA  0
#define UART_IER   1
#define UART_FCR   2
#define UART_LCR   3
#define UART_MCR   4
#define UART_LSR   5
#define LSR_DATA   1u
#define LSR_EMPTY  0x20u
#define UART_CLOCK 115200
/* A port that takes no byte for so many polls (about 0.1 s) is left alone. */
#define SEND_POLLS  100000

#define WRITE_MAX   256

#define VGA_COLUMNS 80
#define VGA_ROWS    25
#define VGA_GREY    0x0700

static spinlock_t lock = SPINLOCK(RANK_CONSOLE);
static bool no_locks;

/* ---- ring ---- */

static char early_ring[16384];
static char *ring = early_ring;
static uint32_t ring_size = sizeof(early_ring), ring_head, ring_start; /* running counts */

static void ring_put(char c)
{
	ring[ring_head++ & (ring_size - 1)] = c;
	if (ring_head - ring_start > ring_size)
		ring_start = ring_head - ring_size;
}

/* ---- serial ---- */

static uint16_t uart_base; /* 0: not in use */
static unsigned uart_irq;
static bool uart_dead;

static void uart_put(char c)
{
	unsigned polls = 0;

	if (!uart_base || uart_dead)
		return;
	while (!(port_in(uart_base + UART_LSR, 1) & LSR_EMPTY))
		if (++polls > SEND_POLLS) {
			uart_dead = true;
			return;
		}
	port_out(uart_base + UART_DATA, 1, (uint8_t)c);
}

/* "8n1": data bits, parity (n o e m s), stop bits; the line control register. */
static uint8_t line_control(const char *s)
{
	uint8_t lcr = 3;

	if (s[0] >= '5' && s[0] <= '8')
		lcr = (uint8_t)(s[0] - '5');
	if (s[0] && s[1]) {
		static const char parity[] = "noems";
		static const uint8_t bits[] = { 0, 1, 3, 5, 7 };
		const char *p = strchr(parity, s[1]);

		if (p && *p)
			lcr |= (uint8_t)(bits[p - parity] << 3);
		if (s[2] == '2')
			lcr |= 4;
	}
	return lcr;
}

static void uart_init(const char *opt)
{
	char item[32];
	uint64_t baud = 0, base = 0x3f8, irq = 4;
	uint8_t lcr = 3;
	uint16_t divisor;

	if (!option_next_item(&opt, ',', item, sizeof(item)) || !*item)
		return;
	if (strcmp(item, "auto") && !option_number(item, &baud))
		return;
	if (option_next_item(&opt, ',', item, sizeof(item)))
		lcr = line_control(item);
	if (option_next_item(&opt, ',', item, sizeof(item)) && *item && !option_number(item, &base))
		return;
	if (option_next_item(&opt, ',', item, sizeof(item)) && *item && !option_number(item, &irq))
		return;
	uart_base = (uint16_t)base;
	uart_irq = (unsigned)irq;
	port_out(uart_base + UART_IER, 1, 0);
	if (baud) {
		divisor = (uint16_t)MAX(UART_CLOCK / baud, 1ull);
		port_out(uart_base + UART_LCR, 1, 0x80 | lcr);
		port_out(uart_base + UART_DATA, 1, divisor & 0xff);
		port_out(uart_base + UART_IER, 1, divisor >> 8);
	}
	port_out(uart_base + UART_LCR, 1, lcr);
	port_out(uart_base + UART_FCR, 1, 0x07); /* FIFOs on and empty, interrupt at each byte */
	port_out(uart_base + UART_MCR, 1, 0x0b); /* DTR, RTS, OUT2: the interrupt line */
	/* No port there: all lines read as ones. */
	if (port_in(uart_base + UART_LSR, 1) == 0xff)
		uart_base = 0;
}

uint16_t console_serial_port(void)
{
	return uart_base;
}

/* ---- VGA ---- */

static volatile uint16_t *vga; /* NULL: not ours */
static unsigned vga_x, vga_y;

static void vga_scroll(void)
{
	for (unsigned i = 0; i < VGA_COLUMNS * (VGA_ROWS - 1); i++)
		vga[i] = vga[i + VGA_COLUMNS];
	for (unsigned i = 0; i < VGA_COLUMNS; i++)
		vga[VGA_COLUMNS * (VGA_ROWS - 1) + i] = VGA_GREY | ' ';
	vga_y = VGA_ROWS - 1;
}

static void vga_put(char c)
{
	if (!vga)
		return;
	if (c == '\r') {
		vga_x = 0;
		return;
	}
	if (c == '\n' || vga_x == VGA_COLUMNS) {
		vga_x = 0;
		if (++vga_y == VGA_ROWS)
			vga_scroll();
	}
	if (c != '\n')
		vga[vga_y * VGA_COLUMNS + vga_x++] = VGA_GREY | (uint8_t)c;
}

void console_release_vga(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	vga = NULL;
	spin_unlock_irqrestore(&lock, flags);
}

/* ---- output ---- */

static void write_piece(const char *text, size_t n)
{
	uint64_t flags = no_locks ? 0 : spin_lock_irqsave(&lock);

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			uart_put('\r');
		uart_put(text[i]);
		vga_put(text[i]);
		ring_put(text[i]);
	}
	if (!no_locks)
		spin_unlock_irqrestore(&lock, flags);
}

/* In pieces that end with a line or after WRITE_MAX bytes: a real port takes 87 us per byte, with interrupts off. */
void console_write(const char *text, size_t n)
{
	while (n) {
		size_t piece = 0;

		while (piece < n && piece < WRITE_MAX && (!piece || text[piece - 1] != '\n'))
			piece++;
		write_piece(text, piece);
		text += piece;
		n -= piece;
	}
}

uint32_t console_ring_read(char *buf, uint32_t n, uint32_t *index)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	uint32_t at = *index, count = 0;

	/* Outside of what is kept (lost, or a count that never was): from the oldest byte on. */
	if (at - ring_start > ring_head - ring_start)
		at = ring_start;
	while (count < n && at != ring_head)
		buf[count++] = ring[at++ & (ring_size - 1)];
	*index = at;
	spin_unlock_irqrestore(&lock, flags);
	return count;
}

void console_ring_clear(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	ring_start = ring_head;
	spin_unlock_irqrestore(&lock, flags);
}

void console_panic_mode(void)
{
	no_locks = true;
	uart_dead = false;
	/* dom0 has the screen, but it will not use it any more. */
	if (options.console_vga)
		vga = device_map(MADDR(0xb8000), VGA_COLUMNS * VGA_ROWS * 2);
}

/* ---- input ---- */

static char input[256];
static unsigned input_head, input_tail;
static void (*input_handler)(void);

static void uart_interrupt(unsigned irq, void *data)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	unsigned limit = 64;

	(void)data;
	while (limit-- && (port_in(uart_base + UART_LSR, 1) & LSR_DATA)) {
		char c = (char)port_in(uart_base + UART_DATA, 1);

		/* Full: nobody reads; the newest bytes are dropped. */
		if (input_head - input_tail < sizeof(input))
			input[input_head++ % sizeof(input)] = c;
	}
	spin_unlock_irqrestore(&lock, flags);
	irq_eoi(irq);
	if (input_handler)
		input_handler();
}

size_t console_read(char *buf, size_t n)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	size_t count = 0;

	while (count < n && input_tail != input_head)
		buf[count++] = input[input_tail++ % sizeof(input)];
	spin_unlock_irqrestore(&lock, flags);
	return count;
}

void console_on_input(void (*handler)(void))
{
	input_handler = handler;
}

/* ---- bring-up ---- */

void console_early_init(const char *console_opt, const char *com1_opt)
{
	char item[16];

	while (option_next_item(&console_opt, ',', item, sizeof(item))) {
		if (!strncmp(item, "com1", 4))
			uart_init(com1_opt);
		else if (!strcmp(item, "vga"))
			vga = device_map(MADDR(0xb8000), VGA_COLUMNS * VGA_ROWS * 2);
	}
	for (unsigned y = 0; vga && y < VGA_ROWS; y++)
		vga_scroll();
	vga_x = vga_y = 0;
}

void console_late_init(void)
{
	uint32_t size = sizeof(early_ring);
	char *bigger;

	if (vga)
		vga = device_map(MADDR(0xb8000), VGA_COLUMNS * VGA_ROWS * 2);
	while (size < options.conring_bytes && size < 1u << 24)
		size *= 2;
	if (size == sizeof(early_ring))
		return;
	bigger = mfn_map_own(boot_alloc(size >> PAGE_SHIFT, 1));
	for (uint32_t i = ring_start; i != ring_head; i++)
		bigger[i & (size - 1)] = ring[i & (ring_size - 1)];
	ring = bigger;
	ring_size = size;
}

void console_input_init(void)
{
	struct acpi_override line = acpi_isa_irq(uart_irq);

	if (!uart_base)
		return;
	if (irq_bind(line.gsi, uart_interrupt, NULL)) {
		log_warn("console: interrupt %u of com1 is taken; no input", line.gsi);
		return;
	}
	port_out(uart_base + UART_IER, 1, 1);
}
