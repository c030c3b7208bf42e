/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The console of a guest: a stream to the pseudo-terminal that xenconsoled keeps for it and names in the
 * store.
 */
#include "xylem.h"

VIR_LOG_INIT("xylem.console");

#define TTY_WAIT_MS 5000
#define TTY_POLL_MS 50

static char *store_tty(unsigned int domid)
{
	char *value = xyl_store_readf(xylem->store, XYL_TX_NONE, "/local/domain/%u/console/tty", domid);
	char *tty = value && STRPREFIX(value, "/dev/") ? g_strdup(value) : NULL;

	free(value);
	return tty;
}

void console_find_tty(virDomainObj *vm, unsigned int wait_ms)
{
	unsigned int domid = (unsigned int)vm->def->id, waited = 0;
	g_autofree char *tty = NULL;
	virDomainChrDef *console;

	if (!vm->def->nconsoles || vm->def->consoles[0]->source->type != VIR_DOMAIN_CHR_TYPE_PTY ||
	    vm->def->consoles[0]->source->data.file.path)
		return;
	virObjectUnlock(vm);
	while (!(tty = store_tty(domid)) && waited < wait_ms) {
		g_usleep(TTY_POLL_MS * 1000);
		waited += TTY_POLL_MS;
	}
	virObjectLock(vm);
	if (!tty || vm->def->id != (int)domid || !vm->def->nconsoles)
		return;
	console = vm->def->consoles[0];
	g_free(console->source->data.file.path);
	console->source->data.file.path = g_steal_pointer(&tty);
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
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_CONSOLE_FORCE | VIR_DOMAIN_CONSOLE_SAFE, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainOpenConsoleEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_refuse_dom0(vm, "opened a console to") < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	console_find_tty(vm, TTY_WAIT_MS);
	if (virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	console = vm->def->nconsoles ? vm->def->consoles[0] : NULL;
	if (!console || !names_console(console, device)) {
		virReportError(VIR_ERR_INVALID_ARG, "domain %s has no console '%s'", vm->def->name,
		               NULLSTR(device));
		goto cleanup;
	}
	if (!console->source->data.file.path) {
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "domain %s has no terminal yet; is xenconsoled running?", vm->def->name);
		goto cleanup;
	}
	priv = vm->privateData;
	ret = virChrdevOpen(priv->chrdevs, console->source, stream, (flags & VIR_DOMAIN_CONSOLE_FORCE) != 0);
	if (ret == 1) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s",
		               "Active console session exists for this domain");
		ret = -1;
	}
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}
