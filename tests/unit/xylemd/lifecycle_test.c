/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xylemd's operations through its socket's interface, on a host that the test plays: each call in each state that a guest
 * can be in. What a call reports is compared with what has become of the guest: no call reports what has not happened.
 */
#include "lifecycle.h"

/* ---- states ---- */

enum state { OFF, BUILDING, RUNNING, PAUSED, STOPPED, TEARDOWN, REBUILDING, SAVING, SAVED, DYING, STATES };

static const char *const state_names[STATES] = {
	"off",     "being built",   "running",     "paused",          "stopped by itself",
	"between", "being rebuilt", "being saved", "saved, and kept", "being destroyed"
};

/* stream: of a save. */
static void reach(struct test_guest *g, enum state state, int stream)
{
	new_guest(g);
	if (state == OFF)
		return;
	if (state == BUILDING) {
		fake_gate(GATE_UNPACK, false);
		g->under_way = begin("Create", g_variant_new("(@a{sv}u)", configuration(g), 0));
		UNTIL(fake_waiting(GATE_UNPACK));
		return;
	}
	create(g, state == PAUSED);
	can_suspend(g);
	switch (state) {
	case SAVING:
	case SAVED:
		fake_gate(GATE_SAVE, state == SAVED);
		g->under_way = begin_save(g, stream);
		UNTIL(state == SAVING ? fake_waiting(GATE_SAVE) : g->under_way->done);
		break;
	case STOPPED:
		fake_stop(fake_find(g->id), XYL_SHUTDOWN_REBOOT);
		break;
	case TEARDOWN:
		fake_gate(GATE_GONE, false);
		fake_stop(fake_find(g->id), XYL_SHUTDOWN_REBOOT);
		scan_request();
		UNTIL(fake_waiting(GATE_GONE));
		break;
	case REBUILDING:
		fake_gate(GATE_UNPACK, false);
		fake_stop(fake_find(g->id), XYL_SHUTDOWN_REBOOT);
		scan_request();
		UNTIL(fake_waiting(GATE_UNPACK));
		break;
	case DYING:
		fake_gate(GATE_GONE, false);
		g->under_way = begin("Destroy", g_variant_new("(s)", g->uuid));
		UNTIL(fake_waiting(GATE_GONE));
		break;
	default:
		break;
	}
}

/* ---- what is called, and whether it is so afterwards ---- */

static GVariant *disk_of(const char *source, const char *type)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("disk"));
	g_variant_builder_add(&b, "{sv}", "vdev", g_variant_new_string("xvdb"));
	g_variant_builder_add(&b, "{sv}", "source", g_variant_new_string(source));
	g_variant_builder_add(&b, "{sv}", "type", g_variant_new_string(type));
	return g_variant_builder_end(&b);
}

static GVariant *disk_argument(void)
{
	return disk_of("/more", "file");
}

static GVariant *key_argument(const char *vdev)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("disk"));
	g_variant_builder_add(&b, "{sv}", "vdev", g_variant_new_string(vdev));
	return g_variant_builder_end(&b);
}

static GVariant *scheduler_argument(void)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "weight", g_variant_new_uint32(1000));
	g_variant_builder_add(&b, "{sv}", "cap", g_variant_new_uint32(50));
	return g_variant_builder_end(&b);
}

static GVariant *cpus(uint8_t map)
{
	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, &map, 1, 1);
}

#define IN(state) (1u << (state))
#define EACH      (IN(STATES) - 1)
/* It runs, or is going to by itself. */
#define LIVES  (IN(BUILDING) | IN(RUNNING) | IN(PAUSED) | IN(STOPPED) | IN(TEARDOWN) | IN(REBUILDING))
#define STEADY (IN(RUNNING) | IN(PAUSED))

static const struct method {
	const char *name;
	unsigned int good, refused; /* the states in which it is to be so; in others it may be either */
} methods[] = {
	{ "Create", IN(OFF), EACH & ~IN(OFF) },
	{ "Restore", IN(OFF), EACH & ~IN(OFF) },
	{ "Destroy", EACH & ~(IN(OFF) | IN(DYING)), IN(OFF) },
	{ "Shutdown", STEADY, IN(OFF) },
	{ "Reboot", STEADY, IN(OFF) },
	{ "Pause", LIVES, IN(OFF) },
	{ "Unpause", LIVES, IN(OFF) },
	{ "Save", STEADY, IN(OFF) | IN(SAVED) },
	{ "Resume", IN(SAVED), IN(OFF) | STEADY },
	{ "Dump", STEADY | IN(SAVING) | IN(SAVED), IN(OFF) },
	{ "Cancel", IN(SAVING), EACH & ~(IN(SAVING) | IN(DYING)) },
	{ "SetMemory", LIVES, IN(OFF) },
	{ "SetVcpus", LIVES, IN(OFF) },
	{ "SetScheduler", LIVES, IN(OFF) },
	{ "SetAffinity", LIVES, IN(OFF) },
	{ "SetLink", LIVES, IN(OFF) },
	{ "AttachDevice", LIVES, IN(OFF) },
	{ "DetachDevice", LIVES, IN(OFF) },
	{ "SetPolicy", LIVES, IN(OFF) },
	{ "SetOpaque", LIVES | IN(SAVING) | IN(SAVED), IN(OFF) },
	{ "ResizeDisk", LIVES, IN(OFF) },
	{ "ReleaseNic", STEADY, IN(OFF) },
};

/* One method in one state. */
struct trial {
	struct test_guest g;
	const char *method;
	uint32_t domid; /* the guest's domain when it is called; 0: it has none */
	int fd;         /* the call's stream or file */
};

static struct call *begin_method(const struct trial *t)
{
	const struct test_guest *g = &t->g;
	const char *method = t->method;

	if (!strcmp(method, "Create"))
		return begin(method, g_variant_new("(@a{sv}u)", configuration(g), 0));
	if (!strcmp(method, "Restore"))
		return begin_stream(method, g_variant_new("(@a{sv}hu)", configuration(g), 0, 0), t->fd);
	if (!strcmp(method, "Save"))
		return begin_save(g, t->fd);
	if (!strcmp(method, "Dump"))
		return begin_stream(method, g_variant_new("(shu)", g->uuid, 0, 0), t->fd);
	if (!strcmp(method, "SetOpaque"))
		return begin(method, g_variant_new("(ss)", g->uuid, "mine"));
	if (!strcmp(method, "ReleaseNic"))
		return begin(method, g_variant_new("(sus)", g->uuid, t->domid, MAC));
	if (!strcmp(method, "Shutdown"))
		return begin("Shutdown", g_variant_new("(ss)", g->uuid, "poweroff"));
	if (!strcmp(method, "Reboot"))
		return begin("Shutdown", g_variant_new("(ss)", g->uuid, "reboot"));
	if (!strcmp(method, "SetMemory"))
		return begin(method, g_variant_new("(st)", g->uuid, G_GUINT64_CONSTANT(98304)));
	if (!strcmp(method, "SetVcpus"))
		return begin(method, g_variant_new("(su)", g->uuid, 2));
	if (!strcmp(method, "SetScheduler"))
		return begin(method, g_variant_new("(s@a{sv})", g->uuid, scheduler_argument()));
	if (!strcmp(method, "SetAffinity"))
		return begin(method, g_variant_new("(su@ay)", g->uuid, 1, cpus(4)));
	if (!strcmp(method, "SetLink"))
		return begin(method, g_variant_new("(ssb)", g->uuid, MAC, FALSE));
	if (!strcmp(method, "ResizeDisk"))
		return begin(method, g_variant_new("(sst)", g->uuid, "xvda", G_GUINT64_CONSTANT(2097152)));
	if (!strcmp(method, "SetPolicy"))
		return begin(method, g_variant_new("(sss)", g->uuid, "poweroff", "preserve"));
	if (!strcmp(method, "AttachDevice"))
		return begin(method, g_variant_new("(s@a{sv})", g->uuid, disk_argument()));
	if (!strcmp(method, "DetachDevice"))
		return begin(method, g_variant_new("(s@a{sv})", g->uuid, key_argument("xvda")));
	return begin(method, g_variant_new("(s)", g->uuid));
}

static bool node_is(uint32_t domid, const char *leaf, const char *value)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/%s", domid, leaf);
	g_autofree char *found = fake_read(path);

	return !g_strcmp0(found, value);
}

static bool has_backend(uint32_t domid, uint32_t devid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/0/backend/vbd/%u/%u/state", domid, devid);
	g_autofree char *found = fake_read(path);

	return found != NULL;
}

static bool sectors_are(uint32_t domid, const char *value)
{
	g_autofree char *path = g_strdup_printf("/local/domain/0/backend/vbd/%u/51712/sectors", domid);
	g_autofree char *found = fake_read(path);

	return !g_strcmp0(found, value);
}

static bool journal_is_there(const struct test_guest *g)
{
	g_autofree char *path = g_build_filename(dir, g->uuid, NULL);

	return !access(path, F_OK);
}

static uint32_t journal_pool(const struct test_guest *g)
{
	g_autofree char *path = g_build_filename(dir, g->uuid, NULL);
	struct journal *journal = journal_load(path, NULL);
	uint32_t pool = journal ? journal->cpupool : ~0u;

	if (journal)
		journal_free(journal);
	return pool;
}

static enum policy_action journal_poweroff(const struct test_guest *g)
{
	g_autofree char *path = g_build_filename(dir, g->uuid, NULL);
	struct journal *journal = journal_load(path, NULL);
	enum policy_action action = journal ? journal->conf->on_poweroff : POLICY_DESTROY;

	if (journal)
		journal_free(journal);
	return action;
}

static bool opaque_is(const struct test_guest *g, const char *text)
{
	struct call *call = make("Get", g_variant_new("(s)", g->uuid));
	g_autoptr(GVariant) domain = call->good ? g_variant_get_child_value(call->answer, 0) : NULL;
	g_autoptr(GVariant) config =
	        domain ? g_variant_lookup_value(domain, "config", G_VARIANT_TYPE_VARDICT) : NULL;
	const char *opaque = "";
	bool is = config && g_variant_lookup(config, "opaque", "&s", &opaque) && !strcmp(opaque, text);

	end(call);
	return is;
}

static bool begins_with(int fd, const char *text)
{
	char found[64] = "";

	return pread(fd, found, sizeof(found) - 1, 0) >= 0 && g_str_has_prefix(found, text);
}

/* Whether what the method asks for is so. domid: the guest's domain, 0 when it has none. */
static bool has_happened(const struct trial *t, uint32_t domid)
{
	const struct fake_domain *d = &fake_domains[domid];
	const char *method = t->method;

	if (!strcmp(method, "Destroy"))
		return !domid && !journal_is_there(&t->g);
	if (!domid)
		return false;
	if (!strcmp(method, "Create") || !strcmp(method, "Restore"))
		return domid != t->domid && !d->pauses && !d->shutdown;
	if (!strcmp(method, "Save"))
		return d->shutdown && d->reason == XYL_SHUTDOWN_SUSPEND && begins_with(t->fd, FAKE_STREAM);
	/* As it was before a save: not a new one. */
	if (!strcmp(method, "Resume") || !strcmp(method, "Cancel"))
		return domid == t->domid && !d->shutdown && !d->pauses;
	if (!strcmp(method, "Dump"))
		return begins_with(t->fd, "core, ");
	if (!strcmp(method, "SetOpaque"))
		return opaque_is(&t->g, "mine");
	/* A new domain's interface waits for a release of its own. */
	if (!strcmp(method, "ReleaseNic"))
		return d->link_down == (domid != t->domid);
	if (!strcmp(method, "Shutdown"))
		return node_is(domid, "control/shutdown", "poweroff");
	if (!strcmp(method, "Reboot"))
		return node_is(domid, "control/shutdown", "reboot");
	if (!strcmp(method, "Pause"))
		return d->pauses == 1;
	if (!strcmp(method, "Unpause"))
		return !d->pauses;
	if (!strcmp(method, "SetMemory"))
		return node_is(domid, "memory/target", "98304") &&
		       d->max_kib == 98304 + GUEST_MEMORY_SLACK_KIB;
	if (!strcmp(method, "SetVcpus"))
		return node_is(domid, "cpu/1/availability", "online");
	if (!strcmp(method, "SetScheduler"))
		return d->weight == 1000 && d->cap == 50;
	if (!strcmp(method, "SetAffinity"))
		return d->affinity[1] == 4;
	if (!strcmp(method, "SetLink"))
		return d->link_down;
	if (!strcmp(method, "ResizeDisk"))
		return sectors_are(domid, "4096");
	if (!strcmp(method, "SetPolicy"))
		return journal_poweroff(&t->g) == POLICY_PRESERVE;
	if (!strcmp(method, "AttachDevice"))
		return has_backend(domid, 202 << 8 | 16);
	return !has_backend(domid, 202 << 8); /* DetachDevice */
}

static bool holds_after_reboot(const char *method)
{
	return g_str_has_prefix(method, "Set") || g_str_has_suffix(method, "Device");
}

static void open_gates(void)
{
	for (int gate = 0; gate < GATES; gate++)
		fake_gate((enum gate)gate, true);
}

/* A save that is kept goes on as soon as it is resumed. */
static void let_run(const struct trial *t)
{
	end(make("Resume", g_variant_new("(s)", t->g.uuid)));
	settle(&t->g);
}

static void try_in_state(const struct method *m, enum state state)
{
	struct trial t = { .method = m->name, .fd = scratch() };
	int saved = scratch();
	struct call *call;
	uint32_t domid;
	bool was_so, is_so;

	if (!strcmp(m->name, "Restore") &&
	    (write(t.fd, FAKE_STREAM, strlen(FAKE_STREAM)) < 0 || lseek(t.fd, 0, SEEK_SET)))
		exit(1);
	hold = !strcmp(m->name, "ReleaseNic");
	reach(&t.g, state, saved);
	t.domid = fake_find(t.g.id);
	was_so = has_happened(&t, t.domid);
	call = begin_method(&t);
	/* It has reached xylemd before anything goes on. */
	end(make("List", NULL));
	open_gates();
	UNTIL(call->done);
	settle(&t.g);
	domid = fake_find(t.g.id);
	is_so = has_happened(&t, domid);
	if (call->good)
		tap_ok(is_so && !(m->refused & IN(state)), "%s of a guest that is %s: reported, and so it is",
		       m->name, state_names[state]);
	else
		tap_ok(!(m->good & IN(state)) && (!is_so || was_so || domid != t.domid),
		       "%s of a guest that is %s: refused (%s)", m->name, state_names[state], call->error);
	if (call->good && holds_after_reboot(m->name) && domid) {
		if (fake_domains[domid].shutdown)
			let_run(&t);
		fake_stop(domid, XYL_SHUTDOWN_REBOOT);
		settle(&t.g);
		UNTIL(fake_find(t.g.id) && fake_find(t.g.id) != domid);
		settle(&t.g);
		tap_ok(has_happened(&t, fake_find(t.g.id)) && g_atomic_int_get(&fake_image_patient),
		       "%s of a guest that was %s: it holds after a reboot", m->name, state_names[state]);
	}
	end(call);
	if (t.g.under_way) {
		UNTIL(t.g.under_way->done);
		if (!strcmp(m->name, "Cancel") && state == SAVING)
			tap_ok(!t.g.under_way->good &&
			               !g_strcmp0(t.g.under_way->error, "org.xylem.Error.Cancelled") &&
			               !begins_with(saved, FAKE_STREAM),
			       "and the save says that it was cancelled");
		end(t.g.under_way);
	}
	end(make("Destroy", g_variant_new("(s)", t.g.uuid)));
	settle(&t.g);
	hold = false;
	close(t.fd);
	close(saved);
}

static void test_calls_in_states(void)
{
	for (int state = 0; state < STATES; state++)
		for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
			try_in_state(&methods[i], (enum state)state);
}

/* The rebuild may take long, or fail. */
static void test_unpause_then_reboot(void)
{
	struct test_guest g;
	struct call *call;

	new_guest(&g);
	end(make("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0)));
	end(make("Pause", g_variant_new("(s)", g.uuid)));
	fake_gate(GATE_BUILD, false);
	fake_reboots_at_once = true;
	call = begin("Unpause", g_variant_new("(s)", g.uuid));
	UNTIL(fake_domains[fake_find(g.id)].shutdown);
	scan_request();
	UNTIL(fake_waiting(GATE_BUILD));
	end(make("List", NULL));
	tap_ok(call->done && call->good,
	       "Unpause of a guest that reboots at once does not wait for its rebuild");
	open_gates();
	UNTIL(call->done);
	settle(&g);
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* A backend may take long, and thousands of guests start at once. */
static void test_kernel_let_go(void)
{
	struct test_guest g;
	struct call *call;

	fake_gate(GATE_BUILD, false);
	fake_gate(GATE_BACKEND, false);
	new_guest(&g);
	call = begin("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
	UNTIL(fake_waiting(GATE_BUILD));
	tap_ok(g_atomic_int_get(&fake_unpacked) == 2,
	       "a guest's kernel and ramdisk are there when it is built");
	fake_gate(GATE_BUILD, true);
	UNTIL(fake_waiting(GATE_BACKEND));
	tap_ok(!g_atomic_int_get(&fake_unpacked) && !call->done,
	       "and let go before the first of its backends is waited for");
	open_gates();
	UNTIL(call->done);
	tap_ok(call->good && !g_atomic_int_get(&fake_unpacked), "it starts all the same");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* What attaching gives back, also without a frontend, which is not waited for. */
static void test_attach_without_frontend(void)
{
	gint64 begun = g_get_monotonic_time();
	struct test_guest g;
	struct call *call;
	GVariant *made = NULL;
	const char *device = "";

	fake_frontends = false;
	new_guest(&g);
	create(&g, false);
	call = make("AttachDevice", g_variant_new("(s@a{sv})", g.uuid, disk_argument()));
	if (call->good)
		made = g_variant_get_child_value(call->answer, 0);
	tap_ok(made && g_variant_lookup(made, "device", "&s", &device) && !strcmp(device, "/dev/loop7"),
	       "attaching gives the device as it became");
	tap_ok(g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC,
	       "and does not wait for a frontend that is not there");
	g_clear_pointer(&made, g_variant_unref);
	end(call);
	call = make("DetachDevice", g_variant_new("(s@a{sv})", g.uuid, key_argument("xvdb")));
	tap_ok(call->good && g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC, "nor does detaching");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	fake_frontends = true;
}

/* Where the store does not tell a backend's state, it has not let go. */
static void test_detach_while_store_fails(void)
{
	struct test_guest g;
	struct call *call;

	new_guest(&g);
	create(&g, false);
	end(make("AttachDevice", g_variant_new("(s@a{sv})", g.uuid, disk_argument())));
	g_atomic_pointer_set(&fake_unread, "/51728/state");
	call = make("DetachDevice", g_variant_new("(s@a{sv})", g.uuid, key_argument("xvdb")));
	tap_ok(!call->good, "a disk is not detached while the store fails (%s)",
	       call->good ? "it is" : call->error);
	g_atomic_pointer_set(&fake_unread, NULL);
	end(call);
	call = make("DetachDevice", g_variant_new("(s@a{sv})", g.uuid, key_argument("xvdb")));
	tap_ok(call->good, "and is still there to be detached afterwards");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

static void attach_to(const struct test_guest *g, const char *unread, bool good, const char *what)
{
	struct call *call;

	fake_unread = unread;
	call = make("AttachDevice", g_variant_new("(s@a{sv})", g->uuid, disk_of("/dev/other", "block")));
	fake_unread = NULL;
	tap_ok(call->good == good && (good || !strcmp(call->error, "org.xylem.Error.Device")), "%s (%s)",
	       what, good ? "attached" : call->error);
	end(call);
	if (good)
		end(make("DetachDevice", g_variant_new("(s@a{sv})", g->uuid, key_argument("xvdb"))));
}

/* A disk of another toolstack's domain; what the store does not tell of may be the same one. */
static void test_disk_of_a_foreign_domain(void)
{
	struct test_guest g;

	new_guest(&g);
	create(&g, false);
	attach_to(&g, NULL, true, "nobody else has the disk");
	attach_to(&g, "/backend/vbd", false, "no list of domains with disks");
	fake_write("/local/domain/0/backend/vbd/77/51712/physical-device", "7:8");
	fake_write("/local/domain/0/backend/vbd/77/51712/mode", "w");
	attach_to(&g, NULL, true, "a foreign domain has another disk");
	attach_to(&g, "/vbd/77", false, "no list of that one's disks");
	attach_to(&g, "/physical-device", false, "no number of its disk");
	fake_write("/local/domain/0/backend/vbd/77/51712/physical-device", "7:7");
	attach_to(&g, NULL, false, "it has that one");
	fake_write("/local/domain/0/backend/vbd/77/51712/physical-device", "");
	fake_write("/local/domain/0/backend/vbd/77/51712/mode", "");
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* As many guests as there are threads whose backends do not let go: others are served all the same. */
static void test_stuck_teardowns(void)
{
	struct test_guest stuck[OPERATIONS_RUNNING_MAX + 6], g;
	struct call *calls[G_N_ELEMENTS(stuck)], *call;

	for (size_t i = 0; i < G_N_ELEMENTS(stuck); i++) {
		new_guest(&stuck[i]);
		create(&stuck[i], false);
	}
	fake_gate(GATE_GONE, false);
	for (size_t i = 0; i < G_N_ELEMENTS(stuck); i++)
		calls[i] = begin("Destroy", g_variant_new("(s)", stuck[i].uuid));
	UNTIL(fake_waiting(GATE_GONE) >= OPERATIONS_RUNNING_MAX);
	new_guest(&g);
	call = begin("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
	UNTIL(call->done);
	tap_ok(call->good, "%d stuck teardowns do not keep another guest from starting",
	       (int)G_N_ELEMENTS(stuck));
	end(call);
	fake_gate(GATE_GONE, true);
	for (size_t i = 0; i < G_N_ELEMENTS(stuck); i++) {
		UNTIL(calls[i]->done);
		end(calls[i]);
	}
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* A store that fails does not mean that there is nothing to take down. */
static void test_store_fails_at_teardown(void)
{
	static const char *const unread[] = { "/backend/vbd/", "/local/domain/" };
	struct test_guest g;

	for (size_t i = 0; i < G_N_ELEMENTS(unread); i++) {
		g_autofree char *path = NULL, *left = NULL, *node = NULL;
		struct call *call;
		uint32_t domid;
		bool waited;

		new_guest(&g);
		create(&g, false);
		domid = fake_find(g.id);
		node = g_strdup_printf("/local/domain/0/backend/vbd/%u/51712/state", domid);
		path = g_strdup_printf("%s%u", unread[i], domid);
		g_atomic_int_set(&fake_refusals, 0);
		g_atomic_pointer_set(&fake_unread, path);
		call = begin("Destroy", g_variant_new("(s)", g.uuid));
		UNTIL(g_atomic_int_get(&fake_refusals) >= 5 || call->done);
		fake_lock();
		waited = !call->done && fake_domains[domid].dying;
		fake_unlock();
		left = fake_read(node);
		tap_ok(waited && left, "a guest's domain is dead, its teardown waits for the store (%s)",
		       path);
		g_atomic_pointer_set(&fake_unread, NULL);
		UNTIL(call->done);
		g_free(left);
		left = fake_read(node);
		tap_ok(call->good && !left && !fake_find(g.id), "and ends when the store answers");
		end(call);
	}
}

/* One guest maps a page that another granted it, and keeps it: the other one's domain never goes. */
static void test_held_memory(void)
{
	gint64 begun = g_get_monotonic_time();
	struct test_guest g;
	struct call *call;

	new_guest(&g);
	create(&g, false);
	fake_held = true;
	call = make("Destroy", g_variant_new("(s)", g.uuid));
	tap_ok(call->good && g_get_monotonic_time() - begun < 30 * G_USEC_PER_SEC,
	       "a guest whose memory another one keeps is destroyed");
	end(call);
	call = make("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
	tap_ok(call->good && fake_find(g.id), "and can be started again");
	end(call);
	call = make("Get", g_variant_new("(s)", g.uuid));
	tap_ok(call->good, "and is found by its UUID");
	end(call);
	fake_held = false;
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	tap_ok(!fake_find(g.id), "and destroyed again, where nobody keeps it");
	fake_lock();
	for (unsigned i = 1; i < FAKE_DOMAINS; i++)
		fake_domains[i].there = fake_domains[i].there && !fake_domains[i].dying;
	fake_unlock();
}

/* A guest that was found running and whose disk does not answer keeps nobody from being served. */
static void test_adopt_dead_disk(void)
{
	struct test_guest g, other;
	struct guest *guest;
	struct call *call;

	new_guest(&g);
	create(&g, false);
	guest = guest_by_uuid(g.uuid);
	/* As if xylemd had been killed: the tables forget the guest, its journal and domain stay. */
	guest_unregister(guest);
	guest_unref(guest);
	fake_gate(GATE_ADOPT, false);
	scan_adopt_all();
	UNTIL(fake_waiting(GATE_ADOPT));
	call = make("Get", g_variant_new("(s)", g.uuid));
	tap_ok(call->good, "a guest on a dead disk is adopted, and shown");
	end(call);
	new_guest(&other);
	create(&other, false);
	tap_ok(fake_find(other.id) != 0, "another one is started meanwhile");
	call = make("Shutdown", g_variant_new("(ss)", g.uuid, "poweroff"));
	tap_ok(call->good, "and the first can be asked to shut down");
	end(call);
	fake_gate(GATE_ADOPT, true);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	end(make("Destroy", g_variant_new("(s)", other.uuid)));
}

/* A guest is named by its UUID; its number, which a reboot changes, is refused. */
static void test_names(void)
{
	g_autofree char *number = NULL;
	struct test_guest g;
	struct call *call;

	new_guest(&g);
	create(&g, false);
	number = g_strdup_printf("%u", fake_find(g.id));
	call = make("Destroy", g_variant_new("(s)", number));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.InvalidArgument") && fake_find(g.id),
	       "a guest's number does not name it");
	end(call);
	call = make("Destroy", g_variant_new("(s)", "0"));
	tap_ok(!call->good, "domain 0 is not destroyed");
	end(call);
	call = make("Destroy", g_variant_new("(s)", "ab000000-0000-0000-0000-0000000fffff"));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.NotFound"), "an unknown UUID");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* Whoever moved a guest to a CPU pool finds it there after its reboots. */
static void test_cpupool(void)
{
	struct test_guest g;
	uint32_t domid, again;

	new_guest(&g);
	create(&g, false);
	domid = fake_find(g.id);
	tap_ok(!fake_domains[domid].cpupool, "a new guest is in Pool-0");
	fake_lock();
	fake_domains[domid].cpupool = 3;
	fake_unlock();
	for (int i = 0; i < 2; i++) {
		fake_stop(domid, XYL_SHUTDOWN_REBOOT);
		settle(&g);
		UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
		settle(&g);
		again = fake_find(g.id);
		tap_ok(fake_domains[again].cpupool == 3, "moved to another one, it is there after reboot %d",
		       i + 1);
		domid = again;
	}
	/* Should xylemd be killed before there is a new domain: the next one reads it. */
	fake_gate(GATE_UNPACK, false);
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	scan_request();
	UNTIL(fake_waiting(GATE_UNPACK));
	tap_ok(journal_pool(&g) == 3, "the journal says so meanwhile");
	open_gates();
	settle(&g);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* An interface that a client sets up first is down until it says so, in each life of the guest. */
static void test_held_nic(void)
{
	struct test_guest g;
	struct call *call;
	uint32_t domid;

	hold = true;
	new_guest(&g);
	create(&g, false);
	hold = false;
	domid = fake_find(g.id);
	for (int life = 0; life < 2; life++) {
		tap_ok(fake_domains[domid].link_down, "a held interface is down at first, life %d", life);
		end(make("SetLink", g_variant_new("(ssb)", g.uuid, MAC, TRUE)));
		tap_ok(fake_domains[domid].link_down, "also where somebody wants its link up");
		call = make("ReleaseNic", g_variant_new("(sus)", g.uuid, domid + 1, MAC));
		tap_ok(!call->good && fake_domains[domid].link_down,
		       "a release of another domain is none of this one");
		end(call);
		end(make("ReleaseNic", g_variant_new("(sus)", g.uuid, domid, MAC)));
		tap_ok(!fake_domains[domid].link_down, "and up when its client has set it up");
		end(make("SetLink", g_variant_new("(ssb)", g.uuid, MAC, FALSE)));
		tap_ok(fake_domains[domid].link_down, "then its link is anybody's");
		end(make("SetLink", g_variant_new("(ssb)", g.uuid, MAC, TRUE)));
		fake_stop(domid, XYL_SHUTDOWN_REBOOT);
		settle(&g);
		UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
		settle(&g);
		domid = fake_find(g.id);
	}
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* The policy of a running guest is what was said last, and what is none is refused by name. */
static void test_policy(void)
{
	static const char *const bad[][2] = { { "reboot", "soft-reset" },
		                              { "lockfailure", "destroy" },
		                              { "", "" } };
	struct test_guest g;
	uint32_t domid;

	new_guest(&g);
	create(&g, false);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct call *call = make("SetPolicy", g_variant_new("(sss)", g.uuid, bad[i][0], bad[i][1]));

		tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.InvalidArgument"),
		       "policy %s %s is refused", bad[i][0], bad[i][1]);
		end(call);
	}
	end(make("SetPolicy", g_variant_new("(sss)", g.uuid, "reboot", "destroy")));
	domid = fake_find(g.id);
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	scan_request();
	UNTIL(!journal_is_there(&g));
	tap_ok(!fake_find(g.id), "a guest whose policy has become \"destroy\" does not reboot");
}

/* A disk that would shrink, or cannot be written, or is none. */
static void test_resize(void)
{
	static const struct {
		const char *vdev;
		guint64 bytes;
		const char *error;
	} bad[] = { { "xvda", 512, "InvalidArgument" },
		    { "xvda", 2097153, "InvalidArgument" },
		    { "xvda", 0, "InvalidArgument" },
		    { "xvda", ~G_GUINT64_CONSTANT(511), "InvalidArgument" },
		    { "xvdz", 2097152, "NotFound" } };
	struct test_guest g;

	new_guest(&g);
	create(&g, false);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct call *call =
		        make("ResizeDisk", g_variant_new("(sst)", g.uuid, bad[i].vdev, bad[i].bytes));

		tap_ok(!call->good && call->error && g_str_has_suffix(call->error, bad[i].error),
		       "%s of %" G_GUINT64_FORMAT " bytes: %s", bad[i].vdev, bad[i].bytes, bad[i].error);
		end(call);
	}
	tap_ok(!sectors_are(fake_find(g.id), "1"), "the guest is not told");
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* What can be told without unpacking a kernel is told without: memory, and what kind of files those are. */
static void test_cheap_refusals(void)
{
	static const char *const images[] = { "kernel", "ramdisk", NULL };
	uint64_t had = fake_free_pages;
	struct test_guest g;

	fake_gate(GATE_UNPACK, false);
	for (int i = 0; i < 3; i++) {
		struct call *call;

		new_guest(&g);
		fake_bad_image = images[i];
		fake_free_pages = images[i] ? had : 1;
		call = begin("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
		UNTIL(call->done || fake_waiting(GATE_UNPACK));
		tap_ok(call->done && !call->good && strstr(call->error, images[i] ? "Kernel" : "NoMemory"),
		       "%s: refused before a kernel is unpacked%s%s", images[i] ? images[i] : "memory",
		       call->done ? ": " : "", call->done ? call->error : "");
		fake_bad_image = NULL;
		if (!call->done) {
			open_gates();
			UNTIL(call->done);
			end(make("Destroy", g_variant_new("(s)", g.uuid)));
		}
		end(call);
	}
	fake_free_pages = had;
	open_gates();
}

/* Each message of the log, so that a test's output is not mixed with it. */
/* What was at work for long has ended a moment ago: the next call is not one too many. */
static void test_after_stuck_call(void)
{
	struct test_guest slow, g;
	struct call *building, *call;

	new_guest(&g);
	create(&g, false);
	fake_gate(GATE_BUILD, false);
	new_guest(&slow);
	building = begin("Create", g_variant_new("(@a{sv}u)", configuration(&slow), 0));
	UNTIL(g_atomic_int_get(&xylemd.stuck) == 1);
	fake_gate(GATE_BUILD, true);
	UNTIL(building->done);
	call = make("Pause", g_variant_new("(s)", g.uuid));
	tap_ok(building->good && call->good, "a call right after one that took long is taken%s%s",
	       call->good ? "" : ": ", call->good ? "" : call->error);
	end(call);
	end(building);
	end(make("Destroy", g_variant_new("(s)", slow.uuid)));
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* A kernel, or a disk, on a disk that does not answer. */
static void test_give_up_build(void)
{
	struct call *building, *call;
	gint64 begun = g_get_monotonic_time();
	struct test_guest g;

	new_guest(&g);
	fake_gate(GATE_UNPACK, false);
	building = begin("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
	UNTIL(fake_waiting(GATE_UNPACK));
	call = make("Destroy", g_variant_new("(s)", g.uuid));
	UNTIL(building->done);
	tap_ok(call->good && !building->good && !g_strcmp0(building->error, "org.xylem.Error.Device") &&
	               g_get_monotonic_time() - begun < 20 * G_USEC_PER_SEC && fake_waiting(GATE_UNPACK),
	       "a start that waits for a dead disk ends at once when its guest is destroyed");
	end(call);
	end(building);
	call = make("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.Busy"),
	       "until the disk answers it is not started again");
	end(call);
	fake_gate(GATE_UNPACK, true);
	/* What follows is behind it. */
	settle(&g);
	tap_ok(!fake_find(g.id), "nothing of it runs when the disk answers");
	call = make("Create", g_variant_new("(@a{sv}u)", configuration(&g), 0));
	tap_ok(call->good && fake_find(g.id), "and it can be started");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

/* The host's time zone may be changed while the daemon runs. */
static void test_time_zone(void)
{
	static const char *const zones[] = { "AAA-1", "BBB-5:30" };
	static const int64_t offsets[] = { 3600, 19800 };
	guint i;

	clock_base = "localtime";
	for (i = 0; i < G_N_ELEMENTS(zones); i++) {
		struct test_guest g;

		g_setenv("TZ", zones[i], TRUE);
		reach(&g, RUNNING, -1);
		tap_ok(fake_domains[fake_find(g.id)].time_offset_s == offsets[i],
		       "a guest with the host's local time begins in the zone that the host has then, %s",
		       zones[i]);
		end(make("Destroy", g_variant_new("(s)", g.uuid)));
	}
	clock_base = "utc";
}

/* In each of its lives. */
static void test_tsc(void)
{
	static const char *const modes[] = { "default", "emulate", "native" };
	static const enum xyl_tsc set[] = { XYL_TSC_DEFAULT, XYL_TSC_EMULATE, XYL_TSC_NATIVE };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(modes); i++) {
		struct test_guest g;
		uint32_t first;
		bool good;

		tsc = modes[i];
		reach(&g, RUNNING, -1);
		first = fake_find(g.id);
		good = fake_domains[first].tsc == set[i] && fake_domains[first].hidden == 1 << 20;
		fake_stop(first, XYL_SHUTDOWN_REBOOT);
		scan_request();
		UNTIL(fake_find(g.id) && fake_find(g.id) != first && !fake_domains[fake_find(g.id)].pauses);
		tap_ok(good && fake_domains[fake_find(g.id)].tsc == set[i] &&
		               fake_domains[fake_find(g.id)].hidden == 1 << 20,
		       "a guest reads the TSC as it is told, and sees the CPU that it is told, and when it has rebooted: %s",
		       modes[i]);
		end(make("Destroy", g_variant_new("(s)", g.uuid)));
	}
	tsc = "default";
}

static int screens_now(void)
{
	int count;

	fake_lock();
	count = fake_screens;
	fake_unlock();
	return count;
}

static char *screen_state(uint32_t domid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/0/backend/vfb/%u/0/state", domid);

	return fake_read(path);
}

/* A screen comes and goes with the guest, and again when its process dies, but not for ever. */
static void test_screen(void)
{
	g_autofree char *state = NULL;
	g_autofree char *left = NULL;
	struct test_guest g, none;
	struct call *call;
	uint32_t domid;
	int i;

	new_guest(&none);
	create(&none, false);
	tap_ok(!screens_now(), "a guest without a screen has none");
	call = make("Screenshot", g_variant_new("(s)", none.uuid));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.NotFound"), "and no picture");
	end(call);
	end(make("Destroy", g_variant_new("(s)", none.uuid)));
	with_screen = true;
	new_guest(&g);
	create(&g, false);
	with_screen = false;
	domid = fake_find(g.id);
	state = screen_state(domid);
	tap_ok(screens_now() == 1 && !g_strcmp0(state, "2"), "one with a screen has it");
	call = make("Screenshot", g_variant_new("(s)", g.uuid));
	tap_ok(call->good, "and a picture of it");
	end(call);
	call = make("SendKeys", g_variant_new_parsed("(%s, uint32 20000, [uint32 30])", g.uuid));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.InvalidArgument"),
	       "keys are not held for ever");
	end(call);
	fake_screen_dies();
	settle(&g);
	tap_ok(screens_now() == 2 && fake_find(g.id) == domid, "its process died: it has another one");
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	settle(&g);
	UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
	settle(&g);
	domid = fake_find(g.id);
	tap_ok(screens_now() == 1, "rebooted, it has one of its own");
	for (i = 0; i < 8; i++) {
		fake_screen_dies();
		settle(&g);
	}
	tap_ok(!screens_now() && fake_find(g.id) == domid, "one that dies again and again is given up");
	call = make("Screenshot", g_variant_new("(s)", g.uuid));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.Device"), "which is told");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	left = screen_state(domid);
	tap_ok(!left, "its nodes go with it");
}

static char *console_state(uint32_t domid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/0/backend/console/%u/1/state", domid);

	return fake_read(path);
}

/* A further console comes and goes with each domain of the guest, and one that cannot be had fails its start. */
static void test_console(void)
{
	g_autofree char *first = NULL, *second = NULL, *gone = NULL, *left = NULL;
	struct test_guest g, refused;
	struct call *call;
	uint32_t domid;

	with_console = true;
	new_guest(&refused);
	fake_console_refused = true;
	call = make("Create", g_variant_new("(@a{sv}u)", configuration(&refused), 0));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.Device") && !fake_find(refused.id),
	       "a console that cannot be had fails the guest's start");
	end(call);
	fake_console_refused = false;
	new_guest(&g);
	create(&g, false);
	with_console = false;
	domid = fake_find(g.id);
	first = console_state(domid);
	tap_ok(!g_strcmp0(first, fake_frontends ? "4" : "2"), "a guest with a further console has it");
	call = make("AttachDevice", g_variant_new_parsed("(%s, {'class': <'console'>})", g.uuid));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.NotSupported"),
	       "it is not attached while the guest runs");
	end(call);
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	settle(&g);
	UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
	settle(&g);
	gone = console_state(domid);
	domid = fake_find(g.id);
	second = console_state(domid);
	tap_ok(!gone && second, "rebooted, it has one of its own");
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	left = console_state(domid);
	tap_ok(!left, "its nodes go with it");
}

int main(void)
{
	g_log_set_writer_func(quiet, NULL, NULL);
	set_up();
	test_names();
	test_time_zone();
	test_tsc();
	test_calls_in_states();
	test_unpause_then_reboot();
	test_kernel_let_go();
	test_attach_without_frontend();
	test_detach_while_store_fails();
	test_disk_of_a_foreign_domain();
	test_cpupool();
	test_held_nic();
	test_screen();
	test_console();
	test_policy();
	test_resize();
	test_adopt_dead_disk();
	test_held_memory();
	test_stuck_teardowns();
	test_store_fails_at_teardown();
	test_after_stuck_call();
	test_give_up_build();
	test_cheap_refusals();
	tap_ok(!g_atomic_int_get(&fake_image_users), "no build is left that others would wait for");
	g_rmdir(dir);
	g_rmdir(dump_dir);
	g_free(dump_dir);
	g_free(dir);
	return tap_end();
}
