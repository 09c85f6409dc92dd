// SPDX-License-Identifier: Apache-2.0
/* team: a fixed set of threads that walk a list of steps together.
 *
 * A step is a pure function over items [0, n_item), cut into chunks of `grain` items. Chunk bounds
 * depend on the step alone, never on the number of threads, so results do not either; which thread
 * takes a chunk is decided as it runs. All chunks of a step end before the next step begins.
 *
 *          step 0         step 1
 *   t0 |##c0##|##c3##|    |##c0##| ...      the caller of bt_team_run is t0
 *   t1 |##c1##|##c2##|....|##c1##| ...
 */
#pragma once
#include "base/status.h"

typedef void (*bt_range_fn)(const void *args, int64_t begin, int64_t end);

typedef struct bt_step {
    bt_range_fn fn;
    const void *args; // read by every thread; alive until bt_team_run returns
    int64_t n_item;   // >= 0
    int64_t grain;    // items a chunk, >= 1
} bt_step;

typedef struct bt_team bt_team;

/* Start a team of n_thread (1..256) threads, the caller of bt_team_run counted as one. */
BT_CHECKED bt_status bt_team_new(int n_thread, bt_team **ret_team);
void bt_team_free(bt_team *team); // NULL is nothing
int bt_team_size(const bt_team *team);

/* Keep each thread but the caller's on a processor of its own, as far as the process may use so many;
 * best effort. */
void bt_team_pin(bt_team *team);

/* Run step(ctx, 0), ..., step(ctx, n_step - 1) (fewer than 2^20) in order and return when all is
 * done. `step` must be pure: every thread calls it. One caller at a time. Never fails, never
 * allocates. */
void bt_team_run(bt_team *team, bt_step (*step)(const void *ctx, int i), const void *ctx,
                 int n_step);

/* The same, noting the clock: stamp[i] when step i began, stamp[n_step] at the end. */
void bt_team_run_timed(bt_team *team, bt_step (*step)(const void *ctx, int i), const void *ctx,
                       int n_step, int64_t *ret_stamp);

/* Run one step. */
void bt_team_run_one(bt_team *team, bt_step step);
