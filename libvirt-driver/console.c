/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The consoles and channels of a guest: a stream to the pseudo-terminal that xenconsoled keeps for one and names in the
 * store, or to the UNIX socket on which it listens. A terminal's name is read anew each time: it changes with each domain
 * of the guest and with each xenconsoled, and what had it before may be somebody else's terminal by now.
 */
#include "console.h"
#include "consolecheck.h"
#include "domain.h"
#include "xylem.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <xenctrl.h>

#include "datatypes.h"
#include "viraccessapicheck.h"
#include "virchrdev.h"
#include "virerror.h"
#include "virfdstream.h"
#include "virfile.h"
#include "virlog.h"
#include "virstring.h"

VIR_LOG_INIT("xylem.console");

#define TTY_WAIT_MS 5000
#define TTY_POLL_MS 50

/* The name and an open descriptor, or -1 and NULL with the library's message. */
static char *open_tty(unsigned int domid, size_t number, unsigned int wait_ms, int *fd)
{
	unsigned int waited = 0;
	char *found, *tty;

	/* Not yet there, or that of an xenconsoled which is being started again. */
	while (!(found = xyl_console_device_tty(xylem->store, domid, (uint32_t)number, fd)) &&
	       (errno == ENOENT || errno == ESTALE) && waited < wait_ms) {
		g_usleep(TTY_POLL_MS * 1000);
		waited += TTY_POLL_MS;
	}
	tty = g_strdup(found);
	free(found);
	return tty;
}

static bool has_tty(const virDomainDef *def, size_t number)
{
	const virDomainChrDef *chr = conf_console_at(def, number);

	return chr && chr->source->type == VIR_DOMAIN_CHR_TYPE_PTY;
}

/* -1: there is none; otherwise a descriptor which keeps the name's meaning until it is closed. */
static int find_tty(virDomainObj *vm, size_t number, unsigned int wait_ms)
{
	unsigned int domid = (unsigned int)vm->def->id;
	g_autofree char *tty = NULL;
	virDomainChrDef *chr;
	int fd = -1;

	if (!has_tty(vm->def, number))
		return -1;
	virObjectUnlock(vm);
	tty = open_tty(domid, number, wait_ms, &fd);
	virObjectLock(vm);
	if (vm->def->id != (int)domid || !has_tty(vm->def, number)) {
		VIR_FORCE_CLOSE(fd);
		return -1;
	}
	chr = conf_console_at(vm->def, number);
	g_free(chr->source->data.file.path);
	chr->source->data.file.path = g_steal_pointer(&tty);
	return fd;
}

static bool is_channel(const virDomainChrDef *chr)
{
	return chr->deviceType == VIR_DOMAIN_CHR_DEVICE_TYPE_CHANNEL;
}

static char *alias_of(const virDomainDef *def, size_t number)
{
	bool channel = is_channel(conf_console_at(def, number));

	return channel ? g_strdup_printf("channel%zu", number - MAX(def->nconsoles, 1))
	               : g_strdup_printf("console%zu", number);
}

void console_find_ttys(virDomainObj *vm, unsigned int wait_ms)
{
	size_t i;

	/* The lock is let go of in between, and the definition may be another one then. */
	for (i = 0; i < conf_console_count(vm->def); i++) {
		int fd = find_tty(vm, i, wait_ms);

		VIR_FORCE_CLOSE(fd);
	}
}

int console_complete(virDomainDef *def)
{
	size_t i;

	for (i = 0; i < conf_console_count(def); i++) {
		virDomainChrDef *chr = conf_console_at(def, i);

		if (!chr)
			continue;
		if (!chr->info.alias)
			chr->info.alias = alias_of(def, i);
		if (is_channel(chr) && chr->source->type == VIR_DOMAIN_CHR_TYPE_UNIX &&
		    !chr->source->data.nix.path) {
			if (g_mkdir_with_parents(CONF_CHANNEL_DIR, 0700) < 0) {
				virReportSystemError(errno, "cannot make %s", CONF_CHANNEL_DIR);
				return -1;
			}
			chr->source->data.nix.path = conf_channel_path(def, i);
			chr->source->data.nix.listen = true;
		}
	}
	return 0;
}

void console_forget_ttys(virDomainDef *def)
{
	size_t i;

	for (i = 0; i < conf_console_count(def); i++)
		if (has_tty(def, i))
			g_clear_pointer(&conf_console_at(def, i)->source->data.file.path, g_free);
}

/* ---- streams ---- */

static bool has_name(const virDomainDef *def, size_t number, const char *device)
{
	g_autofree char *alias = alias_of(def, number);
	const virDomainChrDef *chr = conf_console_at(def, number);

	return STREQ(device, alias) || STREQ_NULLABLE(device, chr->info.alias) ||
	       (is_channel(chr) && STREQ_NULLABLE(device, chr->target.name)) ||
	       (!number && STREQ(device, "serial0"));
}

/* Its number, or -1; without a name the first one. */
static ssize_t find(const virDomainDef *def, const char *device, bool channels)
{
	size_t i;

	for (i = 0; i < conf_console_count(def); i++) {
		const virDomainChrDef *chr = conf_console_at(def, i);

		if (chr && is_channel(chr) == channels && (!device || has_name(def, i, device)))
			return (ssize_t)i;
	}
	return -1;
}

/* The stream gets a connection of its own. libvirt's way to connect would wait for the socket, with the guest locked. */
static int open_socket(virDomainObj *vm, const char *path, virStreamPtr stream, bool force)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	VIR_AUTOCLOSE fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (force) {
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
		               "%s: %s: whoever is connected to a socket cannot be sent away", vm->def->name,
		               path);
		return -1;
	}
	if (fd < 0 || virStrcpyStatic(address.sun_path, path) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EAGAIN)
			virReportError(VIR_ERR_OPERATION_FAILED, "%s: %s: others wait for it already",
			               vm->def->name, path);
		else
			virReportSystemError(errno, "%s: %s", vm->def->name, path);
		return -1;
	}
	if (virFDStreamOpen(stream, fd) < 0)
		return -1;
	fd = -1;
	return 0;
}

static int open_terminal(virDomainObj *vm, size_t number, virStreamPtr stream, bool force)
{
	struct domain_private *priv = vm->privateData;
	VIR_AUTOCLOSE tty = find_tty(vm, number, TTY_WAIT_MS);
	int ret;

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	if (tty < 0) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s: %s", vm->def->name, xyl_error());
		return -1;
	}
	/* The name is opened again here; it cannot be given to another terminal while ours is open. */
	ret = virChrdevOpen(priv->chrdevs, conf_console_at(vm->def, number)->source, stream, force);
	if (ret == 1) {
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "Active console session exists for this domain (%s); --force ends it",
		               vm->def->name);
		ret = -1;
	}
	return ret;
}

static int open_stream(virDomainObj *vm, const char *device, bool channels, virStreamPtr stream, bool force)
{
	ssize_t number = find(vm->def, device, channels);
	const virDomainChrSourceDef *source;

	if (number < 0) {
		virReportError(VIR_ERR_INVALID_ARG, "domain %s has no %s '%s'", vm->def->name,
		               channels ? "channel" : "console", NULLSTR(device));
		return -1;
	}
	source = conf_console_at(vm->def, (size_t)number)->source;
	if (source->type == VIR_DOMAIN_CHR_TYPE_PTY)
		return open_terminal(vm, (size_t)number, stream, force);
	if (source->type == VIR_DOMAIN_CHR_TYPE_UNIX && source->data.nix.listen)
		return open_socket(vm, source->data.nix.path, stream, force);
	virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
	               "%s: '%s' is neither a pseudo-terminal nor a socket that is listened on",
	               vm->def->name, NULLSTR(device));
	return -1;
}

int console_open(virDomainPtr dom, const char *device, virStreamPtr stream, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_CONSOLE_FORCE | VIR_DOMAIN_CONSOLE_SAFE, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainOpenConsoleEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_refuse_dom0(vm, "opened a console to") == 0 && virDomainObjCheckActive(vm) == 0)
		ret = open_stream(vm, device, false, stream, (flags & VIR_DOMAIN_CONSOLE_FORCE) != 0);
	virDomainObjEndAPI(&vm);
	return ret;
}

int console_open_channel(virDomainPtr dom, const char *name, virStreamPtr stream, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_CHANNEL_FORCE, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainOpenChannelEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_refuse_dom0(vm, "opened a channel to") == 0 && virDomainObjCheckActive(vm) == 0)
		ret = open_stream(vm, name, true, stream, (flags & VIR_DOMAIN_CHANNEL_FORCE) != 0);
	virDomainObjEndAPI(&vm);
	return ret;
}
