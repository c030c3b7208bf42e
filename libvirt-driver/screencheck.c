/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest's screen cannot be is refused here by its name (check.c for all else), and what it can be becomes xylemd's
 * words: one <graphics type='vnc'>, with the <video> and the <input>s that come with it.
 *
 * What Debian's QEMU for Xen lacks is not to be had: passwords (it has no DES) and TLS.
 */
#include "screencheck.h"
#include "check.h"

#include <arpa/inet.h>

#include "../libxenctrl/src/guestlimits.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_XEN

static bool is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static int check_listen(const virDomainGraphicsListenDef *listen)
{
	switch (listen->type) {
	case VIR_DOMAIN_GRAPHICS_LISTEN_TYPE_ADDRESS:
		if (listen->address && !is_address(listen->address))
			return conf_refuse("<graphics listen='%.64s'>: an address in figures is needed",
			                   listen->address);
		return 0;
	case VIR_DOMAIN_GRAPHICS_LISTEN_TYPE_SOCKET:
		if (!listen->socket || listen->socket[0] != '/' || strlen(listen->socket) > GUEST_SOCKET_MAX)
			return conf_refuse(
			        "<graphics><listen type='socket' socket=...>: an absolute path of at most %d "
			        "bytes is needed",
			        GUEST_SOCKET_MAX);
		return 0;
	default:
		return conf_refuse("<graphics><listen type='%s'>: only 'address' and 'socket' are supported",
		                   listen->type == VIR_DOMAIN_GRAPHICS_LISTEN_TYPE_NETWORK ? "network"
		                                                                           : "none");
	}
}

int check_graphics(const virDomainGraphicsDef *graphics)
{
	if (graphics->type != VIR_DOMAIN_GRAPHICS_TYPE_VNC)
		return conf_refuse("<graphics type='%s'>: a guest's screen is shown by 'vnc' only",
		                   virDomainGraphicsTypeToString(graphics->type));
	if (graphics->data.vnc.auth.passwd || graphics->data.vnc.auth.expires ||
	    graphics->data.vnc.auth.connected)
		return conf_refuse(
		        "<graphics type='vnc' passwd=...>: the host's QEMU has no DES, which passwords of VNC "
		        "need; let it listen where only trusted clients are, or on a socket");
	if (graphics->data.vnc.websocket)
		return conf_refuse("<graphics type='vnc' websocket=...>: not supported by this driver");
	if (graphics->data.vnc.keymap)
		return conf_refuse(
		        "<graphics type='vnc' keymap=...>: clients send keys, not letters; remove it");
	if (graphics->data.vnc.sharePolicy)
		return conf_refuse("<graphics type='vnc' sharePolicy=...>: not supported by this driver");
	if (graphics->data.vnc.powerControl == VIR_TRISTATE_BOOL_YES)
		return conf_refuse("<graphics type='vnc' powerControl=...>: not supported by this driver");
	if (graphics->nListens > 1)
		return conf_refuse("<graphics><listen>, the second: it listens in one place");
	if (!graphics->data.vnc.autoport && graphics->data.vnc.port > 0 &&
	    graphics->data.vnc.port < GUEST_VNC_PORT_MIN)
		return conf_refuse("<graphics type='vnc' port='%d'>: it is %d..%d", graphics->data.vnc.port,
		                   GUEST_VNC_PORT_MIN, GUEST_VNC_PORT_MAX);
	return graphics->nListens ? check_listen(&graphics->listens[0]) : 0;
}

/* libvirt writes how much memory it would have; how much it has, the guest's driver says. */
int check_video(const virDomainVideoDef *video)
{
	if (video->type != VIR_DOMAIN_VIDEO_TYPE_XEN)
		return conf_refuse("<video><model type='%s'>: only 'xen' is supported",
		                   virDomainVideoTypeToString(video->type));
	if (video->vram && video->vram != SCREEN_VRAM_KIB)
		return conf_refuse(
		        "<video><model vram='%u'>: the guest's driver says how much it uses; remove it",
		        video->vram);
	if (video->heads > 1)
		return conf_refuse("<video><model heads='%u'>: a screen has one", video->heads);
	if (video->accel || video->res || video->driver || video->ram || video->vram64 || video->vgamem)
		return conf_refuse("<video>: only <model type='xen'/> is supported");
	return 0;
}

/* libvirt's own Xen driver writes both into each definition, also where there is no screen. */
int check_input(const virDomainInputDef *input)
{
	if (input->bus != VIR_DOMAIN_INPUT_BUS_XEN ||
	    (input->type != VIR_DOMAIN_INPUT_TYPE_MOUSE && input->type != VIR_DOMAIN_INPUT_TYPE_KBD))
		return conf_refuse("<input type='%s'>: a screen has a mouse and a keyboard on the bus xen",
		                   virDomainInputTypeToString(input->type));
	return 0;
}

int check_screen(const virDomainDef *def)
{
	size_t i;

	if (def->ngraphics > 1)
		return conf_refuse("<graphics>, the second: a guest has one screen");
	if (def->nvideos > 1)
		return conf_refuse("<video>, the second: a guest has one screen");
	if (def->nvideos && !def->ngraphics)
		return conf_refuse("<video> without <graphics>: nobody would see it");
	for (i = 0; i < def->ngraphics; i++)
		if (check_graphics(def->graphics[i]) < 0)
			return -1;
	for (i = 0; i < def->nvideos; i++)
		if (check_video(def->videos[i]) < 0)
			return -1;
	for (i = 0; i < def->ninputs; i++)
		if (check_input(def->inputs[i]) < 0)
			return -1;
	return 0;
}

GVariant *conf_screens(const virDomainDef *def)
{
	const virDomainGraphicsDef *graphics = def->graphics[0];
	const virDomainGraphicsListenDef *listen = graphics->nListens ? &graphics->listens[0] : NULL;
	bool on_socket = listen && listen->type == VIR_DOMAIN_GRAPHICS_LISTEN_TYPE_SOCKET;
	GVariantBuilder list;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	g_variant_builder_open(&list, G_VARIANT_TYPE("a{sv}"));
	g_variant_builder_add(&list, "{sv}", "type", g_variant_new_string("vnc"));
	if (on_socket)
		g_variant_builder_add(&list, "{sv}", "socket", g_variant_new_string(listen->socket));
	else if (listen && listen->address)
		g_variant_builder_add(&list, "{sv}", "listen", g_variant_new_string(listen->address));
	if (!on_socket && !graphics->data.vnc.autoport && graphics->data.vnc.port > 0)
		g_variant_builder_add(&list, "{sv}", "port",
		                      g_variant_new_uint32((uint32_t)graphics->data.vnc.port));
	g_variant_builder_close(&list);
	return g_variant_builder_end(&list);
}
