/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The console of a guest: a stream to the pseudo-terminal that xenconsoled keeps for it and names in the
 * store. The name is read anew each time: it changes with each domain of the guest and with each xenconsoled, and
 * what had it before may be somebody else's terminal by now.
 */
#include "xylem.h"

#include "virfile.h"

VIR_LOG_INIT("xylem.console");

#define TTY_WAIT_MS 5000
#define TTY_POLL_MS 50

/* The name and an open descriptor, or -1 and NULL with the library's message. */
static char *open_tty(unsigned int domid, unsigned int wait_ms, int *fd)
{
	unsigned int waited = 0;
	char *found, *tty;

	/* Not yet there, or that of an xenconsoled which is being started again. */
	while (!(found = xyl_console_tty(xylem->store, domid, fd)) && (errno == ENOENT || errno == ESTALE) &&
	       waited < wait_ms) {
		g_usleep(TTY_POLL_MS * 1000);
		waited += TTY_POLL_MS;
	}
	tty = g_strdup(found);
	free(found);
	return tty;
}

/* -1: there is none; otherwise a descriptor which keeps the name's meaning until it is closed. */
static int find_tty(virDomainObj *vm, unsigned int wait_ms)
{
	unsigned int domid = (unsigned int)vm->def->id;
	g_autofree char *tty = NULL;
	virDomainChrDef *console;
	int fd = -1;

	if (!vm->def->nconsoles || vm->def->consoles[0]->source->type != VIR_DOMAIN_CHR_TYPE_PTY)
		return -1;
	virObjectUnlock(vm);
	tty = open_tty(domid, wait_ms, &fd);
	virObjectLock(vm);
	if (vm->def->id != (int)domid || !vm->def->nconsoles) {
		VIR_FORCE_CLOSE(fd);
		return -1;
	}
	console = vm->def->consoles[0];
	g_free(console->source->data.file.path);
	console->source->data.file.path = g_steal_pointer(&tty);
	return fd;
}

void console_find_tty(virDomainObj *vm, unsigned int wait_ms)
{
	int fd = find_tty(vm, wait_ms);

	VIR_FORCE_CLOSE(fd);
}

static bool names_console(const virDomainChrDef *console, const char *device)
{
	return !device || STREQ(device, "console0") || STREQ(device, "serial0") ||
	       STREQ_NULLABLE(device, console->info.alias);
}

int console_open(virDomainPtr dom, const char *device, virStreamPtr stream, unsigned int flags)
{
	struct domain_private *priv;
	virDomainChrDef *console;
	virDomainObj *vm;
	int ret = -1, tty = -1;

	virCheckFlags(VIR_DOMAIN_CONSOLE_FORCE | VIR_DOMAIN_CONSOLE_SAFE, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainOpenConsoleEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_refuse_dom0(vm, "opened a console to") < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	tty = find_tty(vm, TTY_WAIT_MS);
	if (virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	console = vm->def->nconsoles ? vm->def->consoles[0] : NULL;
	if (!console || !names_console(console, device)) {
		virReportError(VIR_ERR_INVALID_ARG, "domain %s has no console '%s'", vm->def->name,
		               NULLSTR(device));
		goto cleanup;
	}
	if (tty < 0) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s: %s", vm->def->name, xyl_error());
		goto cleanup;
	}
	/* The name is opened again here; it cannot be given to another terminal while ours is open. */
	priv = vm->privateData;
	ret = virChrdevOpen(priv->chrdevs, console->source, stream, (flags & VIR_DOMAIN_CONSOLE_FORCE) != 0);
	if (ret == 1) {
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "Active console session exists for this domain (%s); --force ends it",
		               vm->def->name);
		ret = -1;
	}
cleanup:
	VIR_FORCE_CLOSE(tty);
	virDomainObjEndAPI(&vm);
	return ret;
}
