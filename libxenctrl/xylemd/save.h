/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Saves, core files, and jobs: what takes long, tells how far it has come and can be cancelled. */
#ifndef XYLEMD_SAVE_H
#define XYLEMD_SAVE_H

#include "guest.h"

/* A job of the operation that runs: false with Device when the guest is doomed. */
bool job_begin(struct guest *guest, const char *what, GError **error);
/* Whether it was cancelled, of which nothing may be left; from now on Cancel finds no job. */
bool job_end(struct guest *guest);
/* For xyl_domain_save() and its like; data is the guest. */
bool job_progress(const struct xyl_progress *progress, void *data);
/* What an error of the library's is to a client; other: one that has no name of its own. */
enum xd_error job_error(int why, enum xd_error other);
/* Whether the client is still there, to whom the answer belongs, and the stream if there is one. */
bool job_client_waits(struct op *op);
/* For live saves of the domain that the guest has now; false: it has none. */
bool save_set_limits(struct guest *guest, GVariant *limits, GError **error);
/* False: there is none. */
bool job_cancel(struct guest *guest);
/* Sets *error from errno and xyl_error(), and returns false. */
bool job_fail(const struct guest *guest, const char *call, GError **error);
bool job_fail_cancelled(const struct guest *guest, const char *call, GError **error);
void op_save(struct op *op);
void op_resume(struct op *op);
void op_dump(struct op *op);
/* Of a guest that was found running: what a save that was under way has left. */
void save_adopt(struct guest *guest);
/* Whether the guest stopped for a save that had been given up, and runs again. */
bool save_resume_abandoned(struct guest *guest);

#endif
