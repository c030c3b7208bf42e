/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Migration: the calls, and what its files share. At each moment one copy of a guest can run:
 *
 * source (migrateout.c)                              destination (migratein.c)
 * 1. Begin: checks; definition and cookie
 *                                                    2. Prepare: checks, listens; a thread restores, paused and marked
 * 3. Perform: the memory is sent, the guest suspended
 *                                                    4. Finish: marks and locks are changed, it runs
 * 5. Confirm: the suspended one ends, or goes on
 *
 * What fails before the end of 3 has the source go on, and the destination's copy, which is marked, is destroyed, by its
 * libvirtd or by the next one. From then on the source's copy goes on only where it is certain that the other one does not
 * run: Finish has failed, or the connection on which the memory came says so (the outcome, below). In all other cases it
 * stays suspended, until somebody resumes or destroys it.
 *
 * The protocol is libvirt's third with parameters, cookie and stream are those of libvirt's own Xen driver
 * (src/libxl/libxl_migration.c of 9.0.0): a guest can come from there and go there.
 */
#ifndef XYLEM_MIGRATE_H
#define XYLEM_MIGRATE_H

#include "internal.h"
#include "domain_conf.h"
#include "xylem.h"

/* Ports for those who name none: libvirt's. */
#define MIGRATE_PORT_MIN 49152
#define MIGRATE_PORT_MAX 49215

#define MIGRATE_FLAGS                                                                                   \
	(VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_TUNNELLED | \
	 VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_PAUSED |                  \
	 VIR_MIGRATE_CHANGE_PROTECTION | VIR_MIGRATE_UNSAFE | VIR_MIGRATE_OFFLINE |                     \
	 VIR_MIGRATE_ABORT_ON_ERROR)

/* What a client asks for; NULL and 0 for what he does not. The strings are his. */
struct migrate_params {
	const char *dest_xml, *dest_name, *persist_xml, *uri, *listen;
	struct send_limits limits;
};

/* ---- migratecookie.c ---- */

/* What a source tells a destination of itself and of the guest. */
struct migrate_cookie {
	char *name;
	char *hostname;   /* for messages; NULL: not told, or nothing that could be shown */
	char *persistent; /* the definition to be kept at the destination; NULL: what runs */
	unsigned char uuid[VIR_UUID_BUFLEN];
	unsigned char host[VIR_UUID_BUFLEN]; /* all zero: not told */
	unsigned int stream_version;
	bool outcome; /* whoever wrote it tells, or understands, what became of the guest */
	bool zeros;   /* whoever wrote it restores streams that have no contents of pages of zeros */
};

/* libxl's stream, version 2. */
#define MIGRATE_STREAM_VERSION 2

void migrate_cookie_free(struct migrate_cookie *c);
typedef struct migrate_cookie migrate_cookie_t;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(migrate_cookie_t, migrate_cookie_free)
/* The guest's, of this host; persistent: or NULL. NULL with an error. */
struct migrate_cookie *migrate_cookie_new(const virDomainDef *def, const char *persistent);
char *migrate_cookie_format(const struct migrate_cookie *c);
/* From another host, which may have sent anything; NULL with an error. */
struct migrate_cookie *migrate_cookie_parse(const char *data, int length);

/*
 * The outcome: on the connection on which the memory came the destination says, in the other direction, that the guest is
 * about to run there ("starts"), that it does ("runs"), or that it does not and will not ("failed: WHY"), each a line; the
 * last one counts. A connection that ends without a message means that it never ran.
 */
enum outcome { OUTCOME_UNKNOWN, OUTCOME_STARTS, OUTCOME_RUNS, OUTCOME_FAILED };
/* why: what has failed; or NULL. Nobody may be listening. */
void migrate_outcome_tell(int stream, enum outcome outcome, const char *why);
/* Waits for "runs", "failed" or the connection's end, but not for longer than that. *why: NULL, or to be freed; printable. */
enum outcome migrate_outcome_hear(int stream, unsigned int wait_ms, char **why);

/* ---- migrateout.c: the source ---- */

/* All: locked; 0 or -1 with an error. */
/* Step 1; the definition for the destination, or NULL. *cookie: to be freed. */
char *outgoing_begin(virDomainObj *vm, virConnectPtr conn, const struct migrate_params *p, unsigned int flags,
                     char **cookie, int *cookie_length);
/* Step 3 for a client that does the rest himself. */
int outgoing_perform(virDomainObj *vm, virConnectPtr conn, const struct migrate_params *p, const char *cookie,
                     int cookie_length, unsigned int flags);
/* All five steps, the others at the destination by a connection of our own. */
int outgoing_peer(virDomainObj *vm, virConnectPtr conn, const char *dest_uri, const struct migrate_params *p,
                  unsigned int flags);
int outgoing_confirm(virDomainObj *vm, virConnectPtr conn, unsigned int flags, bool cancelled);

/* What migratepeer.c needs of it: a migration of which the caller has the job; its parts as above. */
struct outgoing *outgoing_new(virDomainObj *vm, virConnectPtr conn, const char *to,
                              const struct send_limits *limits, unsigned int flags);
char *outgoing_describe(virDomainObj *vm, const struct migrate_params *p, unsigned int flags, char **cookie,
                        int *cookie_length);
/* The destination's answer to Prepare: whether it tells the outcome, and what it restores. */
int outgoing_take_cookie(struct outgoing *out, const char *cookie, int length);
/* Sends to "tcp://host:port", or to a descriptor, which stays the caller's. -1: the guest goes on. The caller has a slot.
 * These two unlock the object meanwhile; the caller keeps everybody else off it (outgoing_hold). */
void outgoing_hold(struct outgoing *out);
int outgoing_send(virDomainObj *vm, const char *uri, int fd);
/* Step 5 with what the destination said; lost: it could not be asked. */
int outgoing_decide(virDomainObj *vm, bool runs_there, bool lost);
/* Whatever it has come to: 0, and it ends with the guest here; -1, without an error: there is none that could be aborted.
 * Locked; unlocks meanwhile. */
int outgoing_abort(virDomainObj *vm);
/* Forgets it and ends the job. */
void outgoing_end(virDomainObj *vm);
/* Its guest was destroyed: what no call is at work on is over. Whether there was such a one; may unlock the object. */
bool outgoing_release(virDomainObj *vm);

/* ---- migratein.c: the destination ---- */

/* How long a source is waited for to connect; tests shorten it. */
extern unsigned int migrate_connect_ms;

/* The definition of a guest that comes, under that name or its own; NULL with an error. */
virDomainDef *incoming_parse(const char *xml, const char *name);
/* Step 2; stream: of a tunnel, or NULL. *def is taken. *uri_out, *cookie: to be freed. */
int incoming_prepare(virConnectPtr conn, virDomainDef **def, const struct migrate_params *p,
                     const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                     virStreamPtr stream, char **uri_out, unsigned int flags);
/* Step 4; takes the reference and the lock of vm. */
virDomainPtr incoming_finish(virConnectPtr conn, virDomainObj *vm, unsigned int flags, bool cancelled);
/* As outgoing_release(). */
bool incoming_release(virDomainObj *vm);

/* ---- migrate.c: the calls, and what others ask ---- */

/* Refuses a guest with disks that QEMU serves: at both hosts one would have the image open. 0, or -1 with an error. */
int migrate_check_images(const virDomainDef *def);

char *migrate_begin(virDomainPtr dom, virTypedParameterPtr params, int count, char **cookie,
                    int *cookie_length, unsigned int flags);
int migrate_prepare(virConnectPtr conn, virTypedParameterPtr params, int count, const char *cookie_in,
                    int cookie_in_length, char **cookie, int *cookie_length, char **uri_out,
                    unsigned int flags);
int migrate_prepare_tunnel(virConnectPtr conn, virStreamPtr stream, virTypedParameterPtr params, int count,
                           const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                           unsigned int flags);
int migrate_perform(virDomainPtr dom, const char *dest_uri, virTypedParameterPtr params, int count,
                    const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                    unsigned int flags);
virDomainPtr migrate_finish(virConnectPtr conn, virTypedParameterPtr params, int count, const char *cookie_in,
                            int cookie_in_length, char **cookie, int *cookie_length, unsigned int flags,
                            int cancelled);
int migrate_confirm(virDomainPtr dom, virTypedParameterPtr params, int count, const char *cookie_in,
                    int cookie_in_length, unsigned int flags, int cancelled);
/* The guest was destroyed, or is to be while it is built: no client's next call is waited for. Whether one was. Locked, no
 * job; may unlock. */
bool migrate_release(virDomainObj *vm);
/* Ends a migration from here, whatever it has come to: 0; -1, without an error: there is none that could be ended. Locked;
 * unlocks the object meanwhile. */
int migrate_abort(virDomainObj *vm);
/* What became of a migration that libvirtd, or xylemd, has not lived to see the end of. As save_recover(). */
void migrate_recover(virDomainObj *vm, unsigned long life);
/* Whether guests are coming at this moment. */
bool migrate_busy(void);

#endif
