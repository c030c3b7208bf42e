/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of a migration: who may make them, and what they may ask for. See migrate.h. */
#include "migrate.h"

#include "conf.h"
#include "datatypes.h"
#include "domain.h"
#include "viraccessapicheck.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virlog.h"
#include "virtypedparam.h"
#include "xylem.h"

VIR_LOG_INIT("xylem.migrate");

/* Percent; as libvirt's QEMU driver does, which leaves it to QEMU. */
#define THROTTLE_INITIAL 20

/* Refuses by name what is not to be had here. */
static int check_flags(unsigned int flags)
{
	static const struct {
		unsigned int flag;
		const char *name;
	} others[] = {
		{ VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC |
		          VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES,
		  "copying of disks (--copy-storage-...)" },
		{ VIR_MIGRATE_COMPRESSED, "compression (--compressed)" },
		{ VIR_MIGRATE_RDMA_PIN_ALL, "RDMA (--rdma-pin-all)" },
		{ VIR_MIGRATE_POSTCOPY | VIR_MIGRATE_POSTCOPY_RESUME, "post-copy (--postcopy...)" },
		{ VIR_MIGRATE_TLS, "TLS of its own (--tls): --p2p --tunnelled goes through libvirt's" },
		{ VIR_MIGRATE_PARALLEL, "parallel connections (--parallel)" },
		{ VIR_MIGRATE_ZEROCOPY, "zero-copy (--zerocopy)" },
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(others); i++) {
		if (!(flags & others[i].flag))
			continue;
		virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "migration here has no %s", others[i].name);
		return -1;
	}
	virCheckFlags(MIGRATE_FLAGS, -1);
	if ((flags & VIR_MIGRATE_OFFLINE) &&
	    (!(flags & VIR_MIGRATE_PERSIST_DEST) || (flags & (VIR_MIGRATE_TUNNELLED | VIR_MIGRATE_LIVE)))) {
		virReportError(
		        VIR_ERR_INVALID_ARG, "%s",
		        "an offline migration has to be --persistent, and is neither --live nor --tunnelled");
		return -1;
	}
	return 0;
}

static int take_percent(virTypedParameterPtr params, int count, const char *name, unsigned int *percent)
{
	int value = 0, found = virTypedParamsGetInt(params, count, name, &value);

	if (found <= 0)
		return found;
	if (value < 1 || value > 99) {
		virReportError(VIR_ERR_INVALID_ARG, "%s=%d is outside 1 to 99 percent", name, value);
		return -1;
	}
	*percent = (unsigned int)value;
	return 0;
}

/* At the source: libvirt tells a destination of the percentages, and not that they are wanted. */
static int complete_throttle(struct send_limits *limits, unsigned int flags)
{
	if (!(flags & VIR_MIGRATE_AUTO_CONVERGE)) {
		if (!limits->throttle_initial && !limits->throttle_increment)
			return 0;
		virReportError(
		        VIR_ERR_INVALID_ARG, "the parameters \"%s\" and \"%s\" are for --auto-converge",
		        VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT);
		return -1;
	}
	if (!(flags & VIR_MIGRATE_LIVE)) {
		virReportError(VIR_ERR_INVALID_ARG, "%s",
		               "--auto-converge is for --live: a guest that is suspended changes nothing");
		return -1;
	}
	if (!limits->throttle_initial)
		limits->throttle_initial = THROTTLE_INITIAL;
	return 0;
}

static int take_params(virTypedParameterPtr params, int count, unsigned int flags, struct migrate_params *p)
{
	memset(p, 0, sizeof(*p));
	if (check_flags(flags) < 0 ||
	    virTypedParamsValidate(
	            params, count, VIR_MIGRATE_PARAM_DEST_XML, VIR_TYPED_PARAM_STRING,
	            VIR_MIGRATE_PARAM_DEST_NAME, VIR_TYPED_PARAM_STRING, VIR_MIGRATE_PARAM_PERSIST_XML,
	            VIR_TYPED_PARAM_STRING, VIR_MIGRATE_PARAM_URI, VIR_TYPED_PARAM_STRING,
	            VIR_MIGRATE_PARAM_LISTEN_ADDRESS, VIR_TYPED_PARAM_STRING, VIR_MIGRATE_PARAM_BANDWIDTH,
	            VIR_TYPED_PARAM_ULLONG, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, VIR_TYPED_PARAM_INT,
	            VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, VIR_TYPED_PARAM_INT, NULL) < 0 ||
	    virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_DEST_XML, &p->dest_xml) < 0 ||
	    virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_DEST_NAME, &p->dest_name) < 0 ||
	    virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_PERSIST_XML, &p->persist_xml) < 0 ||
	    virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_URI, &p->uri) < 0 ||
	    virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_LISTEN_ADDRESS, &p->listen) < 0 ||
	    virTypedParamsGetULLong(params, count, VIR_MIGRATE_PARAM_BANDWIDTH, &p->limits.bandwidth_mib) <
	            0 ||
	    take_percent(params, count, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL,
	                 &p->limits.throttle_initial) < 0 ||
	    take_percent(params, count, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT,
	                 &p->limits.throttle_increment) < 0)
		return -1;
	if (p->limits.bandwidth_mib && !(flags & VIR_MIGRATE_LIVE)) {
		virReportError(
		        VIR_ERR_INVALID_ARG, "%s",
		        "a bandwidth is for --live: a guest that is suspended is sent as fast as it can be");
		return -1;
	}
	if (!p->persist_xml || (flags & VIR_MIGRATE_PERSIST_DEST))
		return 0;
	virReportError(VIR_ERR_INVALID_ARG, "%s",
	               "a persistent definition (--persistent-xml) is for --persistent");
	return -1;
}

static void no_cookie(char **cookie, int *length)
{
	if (cookie)
		*cookie = NULL;
	if (length)
		*length = 0;
}

/* Who does not want it does not get it. */
static void give_cookie(char *mine, int mine_length, char **cookie, int *length)
{
	if (!cookie || !length) {
		g_free(mine);
		return;
	}
	*cookie = mine;
	*length = mine_length;
}

char *migrate_begin(virDomainPtr dom, virTypedParameterPtr params, int count, char **cookie,
                    int *cookie_length, unsigned int flags)
{
	struct migrate_params p;
	virDomainObj *vm;
	char *xml = NULL, *mine = NULL;
	int mine_length = 0;

	no_cookie(cookie, cookie_length);
	if (take_params(params, count, flags, &p) < 0 || complete_throttle(&p.limits, flags) < 0)
		return NULL;
	vm = domain_get(dom);
	if (!vm)
		return NULL;
	if (virDomainMigrateBegin3ParamsEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_refuse_dom0(vm, "migrated") == 0)
		xml = outgoing_begin(vm, dom->conn, &p, flags, &mine, &mine_length);
	give_cookie(mine, mine_length, cookie, cookie_length);
	virDomainObjEndAPI(&vm);
	return xml;
}

/* What both kinds of Prepare have in common. */
static int prepare(virConnectPtr conn, int (*acl)(virConnectPtr conn, virDomainDef *def), virStreamPtr stream,
                   virTypedParameterPtr params, int count, const char *cookie_in, int cookie_in_length,
                   char **cookie, int *cookie_length, char **uri_out, unsigned int flags)
{
	g_autoptr(virDomainDef) def = NULL;
	struct migrate_params p;
	char *mine = NULL;
	int mine_length = 0, ret;

	no_cookie(cookie, cookie_length);
	if (take_params(params, count, flags, &p) < 0)
		return -1;
	if (!p.dest_xml) {
		virReportError(VIR_ERR_INVALID_ARG, "the parameter \"%s\" is missing: which guest comes?",
		               VIR_MIGRATE_PARAM_DEST_XML);
		return -1;
	}
	def = incoming_parse(p.dest_xml, p.dest_name);
	if (!def || acl(conn, def) < 0)
		return -1;
	ret = incoming_prepare(conn, &def, &p, cookie_in, cookie_in_length, &mine, &mine_length, stream,
	                       uri_out, flags);
	give_cookie(mine, mine_length, cookie, cookie_length);
	return ret;
}

int migrate_prepare(virConnectPtr conn, virTypedParameterPtr params, int count, const char *cookie_in,
                    int cookie_in_length, char **cookie, int *cookie_length, char **uri_out,
                    unsigned int flags)
{
	return prepare(conn, virDomainMigratePrepare3ParamsEnsureACL, NULL, params, count, cookie_in,
	               cookie_in_length, cookie, cookie_length, uri_out, flags);
}

int migrate_prepare_tunnel(virConnectPtr conn, virStreamPtr stream, virTypedParameterPtr params, int count,
                           const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                           unsigned int flags)
{
	return prepare(conn, virDomainMigratePrepareTunnel3ParamsEnsureACL, stream, params, count, cookie_in,
	               cookie_in_length, cookie, cookie_length, NULL, flags);
}

int migrate_perform(virDomainPtr dom, const char *dest_uri, virTypedParameterPtr params, int count,
                    const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                    unsigned int flags)
{
	struct migrate_params p;
	virDomainObj *vm;
	int ret = -1;

	no_cookie(cookie, cookie_length);
	if (take_params(params, count, flags, &p) < 0 || complete_throttle(&p.limits, flags) < 0)
		return -1;
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainMigratePerform3ParamsEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_refuse_dom0(vm, "migrated") < 0)
		goto cleanup;
	if (flags & VIR_MIGRATE_PEER2PEER)
		ret = outgoing_peer(vm, dom->conn, dest_uri, &p, flags);
	else if (flags & VIR_MIGRATE_TUNNELLED)
		virReportError(VIR_ERR_INVALID_ARG, "%s", "a tunnel is for --p2p: libvirtd's own connection");
	else
		ret = outgoing_perform(vm, dom->conn, &p, cookie_in, cookie_in_length, flags);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

virDomainPtr migrate_finish(virConnectPtr conn, virTypedParameterPtr params, int count,
                            const char *cookie_in G_GNUC_UNUSED, int cookie_in_length G_GNUC_UNUSED,
                            char **cookie, int *cookie_length, unsigned int flags, int cancelled)
{
	struct migrate_params p;
	virDomainObj *vm;

	no_cookie(cookie, cookie_length);
	if (take_params(params, count, flags, &p) < 0)
		return NULL;
	vm = p.dest_name ? virDomainObjListFindByName(xylem->domains, p.dest_name) : NULL;
	if (!vm) {
		virReportError(
		        VIR_ERR_OPERATION_FAILED,
		        "no guest '%s' comes to this host, or does any more; libvirtd's log here says why",
		        p.dest_name ? p.dest_name : "");
		return NULL;
	}
	if (virDomainMigrateFinish3ParamsEnsureACL(conn, vm->def) < 0) {
		virDomainObjEndAPI(&vm);
		return NULL;
	}
	return incoming_finish(conn, vm, flags, cancelled);
}

int migrate_confirm(virDomainPtr dom, virTypedParameterPtr params, int count,
                    const char *cookie_in G_GNUC_UNUSED, int cookie_in_length G_GNUC_UNUSED,
                    unsigned int flags, int cancelled)
{
	struct migrate_params p;
	virDomainObj *vm;
	int ret = -1;

	if (take_params(params, count, flags, &p) < 0)
		return -1;
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainMigrateConfirm3ParamsEnsureACL(dom->conn, vm->def) == 0)
		ret = outgoing_confirm(vm, dom->conn, flags, cancelled);
	virDomainObjEndAPI(&vm);
	return ret;
}

int migrate_abort(virDomainObj *vm)
{
	return outgoing_abort(vm);
}

bool migrate_release(virDomainObj *vm)
{
	return outgoing_release(vm) || incoming_release(vm);
}

int migrate_check_images(const virDomainDef *def)
{
	size_t i;

	for (i = 0; i < def->ndisks; i++) {
		if (!conf_is_image(def->disks[i]))
			continue;
		virReportError(
		        VIR_ERR_OPERATION_UNSUPPORTED,
		        "%s: its disk %s is a %s image, which the QEMUs of both hosts would have open at once: "
		        "it cannot be migrated",
		        def->name, def->disks[i]->dst,
		        virStorageFileFormatTypeToString(def->disks[i]->src->format));
		return -1;
	}
	return 0;
}
