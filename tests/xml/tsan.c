/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ThreadSanitizer is to know of GLib, which is not built with it and makes its locks of the kernel's futexes: that a lock,
 * a condition, a queue of a pool and a main context order what comes before and after. libvirt's are pthread's, which it sees.
 */
#include <dlfcn.h>
#include <glib.h>

#include "xylem.h"

void __tsan_acquire(void *at);
void __tsan_release(void *at);

#define REAL(name)                        \
	static __typeof__(&(name)) real;  \
	if (!g_atomic_pointer_get(&real)) \
	g_atomic_pointer_set(&real, (__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

void(g_mutex_lock)(GMutex *mutex)
{
	REAL(g_mutex_lock);
	real(mutex);
	__tsan_acquire(mutex);
}

void(g_mutex_unlock)(GMutex *mutex)
{
	REAL(g_mutex_unlock);
	__tsan_release(mutex);
	real(mutex);
}

void(g_cond_wait)(GCond *cond, GMutex *mutex)
{
	REAL(g_cond_wait);
	__tsan_release(mutex);
	real(cond, mutex);
	__tsan_acquire(mutex);
}

gboolean(g_cond_wait_until)(GCond *cond, GMutex *mutex, gint64 end_us)
{
	gboolean in_time;

	REAL(g_cond_wait_until);
	__tsan_release(mutex);
	in_time = real(cond, mutex, end_us);
	__tsan_acquire(mutex);
	return in_time;
}

/* References are counted by atomic operations of libgobject: whoever frees an object comes after all who let go of it. */
static void let_go(void *object)
{
	if (!object)
		return;
	__tsan_release(object);
	__tsan_acquire(object);
}

void(virObjectUnref)(void *object)
{
	REAL(virObjectUnref);
	let_go(object);
	real(object);
}

void(virDomainObjEndAPI)(virDomainObj **vm)
{
	REAL(virDomainObjEndAPI);
	let_go(*vm);
	real(vm);
}

/* What is handed to another thread, with the function that takes it there. */
struct parcel {
	GFunc each;
	GSourceFunc once;
	gpointer data;
};

static void unpack_each(gpointer data, gpointer pool_data)
{
	struct parcel *p = pool_data;

	__tsan_acquire(data);
	p->each(data, p->data);
}

GThreadPool *(g_thread_pool_new)(GFunc func, gpointer data, gint max, gboolean exclusive, GError **error)
{
	struct parcel *p = g_new0(struct parcel, 1);

	REAL(g_thread_pool_new);
	p->each = func;
	p->data = data;
	return real(unpack_each, p, max, exclusive, error);
}

gboolean(g_thread_pool_push)(GThreadPool *pool, gpointer data, GError **error)
{
	REAL(g_thread_pool_push);
	__tsan_release(data);
	return real(pool, data, error);
}

static gboolean unpack_once(gpointer data)
{
	struct parcel *p = data;
	GSourceFunc once;

	__tsan_acquire(p);
	once = p->once;
	data = p->data;
	g_free(p);
	return once(data);
}

void(g_main_context_invoke)(GMainContext *context, GSourceFunc function, gpointer data)
{
	struct parcel *p = g_new0(struct parcel, 1);

	REAL(g_main_context_invoke);
	p->once = function;
	p->data = data;
	__tsan_release(p);
	real(context, unpack_once, p);
}
