/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each call of the driver's table by a client who may do nothing: it is refused, for a permission that libvirt's protocol asks of
 * it, before anything else is done. Then what a client sees who may see some domains and not others.
 *
 * The functions that ask an access manager stand here, in the place of libvirt's.
 */
#define xylem drivers_own /* what driver.c defines, and the test does not use */
#include "../../libvirt-driver/driver.c"
#undef xylem

#include <stdio.h>
#include <stdlib.h>

#include "../lib/tap.h"
#include "define.h"
#include "played_xylemd.h"
#include "viraccessmanager.h"

extern struct xylem_driver *xylem;

#define UUID "5f2b7e10-0000-4000-8000-000000000001"
#define XML_OF(name, uuid)                                                                                  \
	"<domain type='xen'><name>" name "</name><uuid>" uuid "</uuid><memory>65536</memory><vcpu>1</vcpu>" \
	"<os><type>linux</type><kernel>/k</kernel></os></domain>"
#define XML  XML_OF("hidden", UUID)
#define TEXT "hidden"

/* What was asked first since it was NULL: "domain:read" and the like. */
static char *asked;
static bool may_connect, may_see_shown;

static int answer(const char *object, const char *permission, bool yes)
{
	if (!asked)
		asked = g_strdup_printf("%s:%s", object, permission);
	if (yes)
		return 1;
	virReportError(VIR_ERR_ACCESS_DENIED, "%s:%s", object, permission);
	return 0;
}

int virAccessManagerCheckConnect(virAccessManager *manager G_GNUC_UNUSED, const char *driver G_GNUC_UNUSED,
                                 virAccessPermConnect permission)
{
	return answer("connect", virAccessPermConnectTypeToString(permission), may_connect);
}

int virAccessManagerCheckDomain(virAccessManager *manager G_GNUC_UNUSED, const char *driver G_GNUC_UNUSED,
                                virDomainDef *def, virAccessPermDomain permission)
{
	return answer("domain", virAccessPermDomainTypeToString(permission),
	              may_see_shown && STREQ(def->name, "shown"));
}

/* Those that no permission is needed for, or that libvirt itself asks for. */
static const char *const open_to_all[] = {
	"connectURIProbe", /* before there is a connection */
	"connectOpen",     "connectClose", "connectIsEncrypted", "connectIsSecure", "connectIsAlive",
};

/* The domain is in a file, or on its way: they are refused by what there is none of. */
static const char *const look_first[] = {
	"domainRestore",
	"domainRestoreFlags",
	"domainRestoreParams",
	"domainSaveImageGetXMLDesc",
	"domainSaveImageDefineXML",
	"domainMigrateFinish3Params",
};

static virDomainPtr dom;
static virDomainSnapshotPtr snapshot;
static virDomainCheckpointPtr checkpoint;
static uint64_t zeros[512];
static unsigned char uuid[VIR_UUID_BUFLEN];

static bool is_in(const char *const *list, size_t count, const char *slot)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (STREQ(slot, list[i]))
			return true;
	return false;
}

static bool has_word(const char *words, const char *word)
{
	g_auto(GStrv) list = g_strsplit(words, " ", -1);

	return g_strv_contains((const char *const *)list, word);
}

/* One that was called, and whether it says that it failed. */
static void judge(const char *slot, bool failed, const char *permissions)
{
	if (is_in(look_first, G_N_ELEMENTS(look_first), slot)) {
		tap_ok(failed && !asked, "%s finds nothing", slot);
		return;
	}
	tap_ok(failed && virGetLastErrorCode() == VIR_ERR_ACCESS_DENIED && asked &&
	               has_word(permissions, asked),
	       "%s needs %s", slot, permissions);
	if (!asked || !has_word(permissions, asked))
		printf("# %s asked for %s and answered \"%s\"\n", slot, asked ? asked : "nothing",
		       failed ? virGetLastErrorMessage() : "done");
}

/* A guest that comes has its definition among the parameters. */
static virTypedParameterPtr comes(int *made)
{
	virTypedParameterPtr params = NULL;
	int room = 0;

	*made = 0;
	if (virTypedParamsAddString(&params, made, &room, VIR_MIGRATE_PARAM_DEST_XML, XML) < 0)
		abort();
	return params;
}

static int prepare_tunnel(virConnectPtr to, virStreamPtr st, virTypedParameterPtr unused G_GNUC_UNUSED,
                          int count G_GNUC_UNUSED, const char *cookie G_GNUC_UNUSED, int bytes G_GNUC_UNUSED,
                          char **cookie_out, int *bytes_out, unsigned int flags)
{
	int made, ret;
	virTypedParameterPtr params = comes(&made);

	ret = hypervisor_driver.domainMigratePrepareTunnel3Params(to, st, params, made, NULL, 0, cookie_out,
	                                                          bytes_out, flags);
	virTypedParamsFree(params, made);
	return ret;
}

static int prepare_params(virConnectPtr to, virTypedParameterPtr unused G_GNUC_UNUSED,
                          int count G_GNUC_UNUSED, const char *cookie G_GNUC_UNUSED, int bytes G_GNUC_UNUSED,
                          char **cookie_out, int *bytes_out, char **uri_out, unsigned int flags)
{
	int made, ret;
	virTypedParameterPtr params = comes(&made);

	ret = hypervisor_driver.domainMigratePrepare3Params(to, params, made, NULL, 0, cookie_out, bytes_out,
	                                                    uri_out, flags);
	virTypedParamsFree(params, made);
	return ret;
}

static void walk(void)
{
	virHypervisorDriver table = hypervisor_driver;
	int called = 0;

	table.domainMigratePrepare3Params = prepare_params;
	table.domainMigratePrepareTunnel3Params = prepare_tunnel;
#define SLOT(slot, failed, permissions, arguments)                                 \
	if (table.slot && !is_in(open_to_all, G_N_ELEMENTS(open_to_all), #slot)) { \
		memset(zeros, 0, sizeof(zeros));                                   \
		g_clear_pointer(&asked, g_free);                                   \
		virResetLastError();                                               \
		judge(#slot, table.slot arguments failed, permissions);            \
		called++;                                                          \
	}
#include "slots.h"
#undef SLOT
	tap_ok(called >= 141 && !xylemd.calls, "%d calls of the table; xylemd was asked for none", called);
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **infos)
{
	*infos = NULL;
	return 0;
}

/* Of two domains one is hidden: from lists, from numbers, and from whoever looks for it. */
static void test_hidden(void)
{
	virDomainStatsRecordPtr *records = NULL;
	virDomainPtr *domains = NULL;
	char *names[4] = { NULL };

	may_connect = may_see_shown = true;
	if (!define_xml(conn, XML_OF("shown", "5f2b7e10-0000-4000-8000-000000000002")))
		abort();
	tap_ok(hypervisor_driver.connectListAllDomains(conn, &domains, 0) == 1 &&
	               STREQ(virDomainGetName(domains[0]), "shown"),
	       "a list of all has what the client may see");
	tap_ok(hypervisor_driver.connectNumOfDefinedDomains(conn) == 1 &&
	               hypervisor_driver.connectListDefinedDomains(conn, names, 4) == 1 &&
	               STREQ(names[0], "shown"),
	       "so do lists of names, and numbers");
	tap_ok(!define_lookup_name(conn, "hidden") && virGetLastErrorCode() == VIR_ERR_ACCESS_DENIED &&
	               !define_lookup_uuid(conn, uuid) && virGetLastErrorCode() == VIR_ERR_ACCESS_DENIED,
	       "the other one is found neither by its name nor by its UUID");
	tap_ok(hypervisor_driver.connectGetAllDomainStats(conn, NULL, 0, VIR_DOMAIN_STATS_STATE, &records,
	                                                  0) == 1 &&
	               STREQ(virDomainGetName(records[0]->dom), "shown"),
	       "statistics of all are those of what the client may see");
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-access-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	virDomainDef *def;
	virDomainObj *vm;

	may_connect = true;
	if (!dir || !played_setup(dir)) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	/* Nobody may define it here. */
	def = virDomainDefParseString(XML, xylem->xmlopt, NULL, VIR_DOMAIN_DEF_PARSE_INACTIVE);
	dom = virGetDomain(conn, "hidden", def->uuid, PLAYED_DOMID);
	snapshot = virGetDomainSnapshot(dom, "snapshot");
	checkpoint = virGetDomainCheckpoint(dom, "checkpoint");
	memcpy(uuid, def->uuid, sizeof(uuid));
	def->id = PLAYED_DOMID;
	vm = virDomainObjListAdd(xylem->domains, &def, xylem->xmlopt, 0, NULL);
	virDomainObjEndAPI(&vm);
	may_connect = false;
	walk();
	test_hidden();
	return tap_end() || system(remove) ? 1 : 0;
}
